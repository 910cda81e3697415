"""Where a part cannot be had, and who may read it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.accounts import Account, can_reach, server_folder
from tests.parts.commands import PartFailed, run
from tests.parts.debian import Part, unpacked


def _nothing(building: Path, final: Path) -> None: ...


def test_failed_download_names_the_part_and_leaves_nothing() -> None:
    part = Part(name="absent", suite="no-such-suite", packages=("bash",))
    with pytest.raises(PartFailed, match=r"(?s)part 'absent'.*no-such-suite"):
        unpacked(part, reader=None, finish=_nothing)
    cache = Path(__file__).resolve().parents[2] / ".cache" / "parts"
    (lock,) = cache.glob("absent-*")
    lock.unlink()


def test_slow_and_missing_commands_are_named() -> None:
    with pytest.raises(PartFailed, match=r"not done after 0.1 s: sleep 5"):
        run(["sleep", "5"], timeout_s=0.1)
    with pytest.raises(PartFailed, match=r"no-such-command is not on this machine"):
        run(["no-such-command"], timeout_s=1)
    with pytest.raises(PartFailed, match=r"(?s)exit code 3 from: sh.*cause"):
        run(["sh", "-c", "echo cause >&2; exit 3"], timeout_s=5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_gets_a_folder_that_the_server_can_reach(tmp_path: Path) -> None:
    nobody = Account(uid=65534, gid=65534)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not can_reach(closed, nobody)
    with server_folder(closed / "server", nobody) as folder:
        assert folder != closed / "server"
        assert can_reach(folder, nobody)
    assert not folder.exists()


def test_modules_import_without_a_warning() -> None:
    modules = "accounts apt chromium commands debian guard guarded loader postgres redis sources"
    program = f"import {', '.join('tests.parts.' + name for name in modules.split())}"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=Path(__file__).resolve().parents[2],
        timeout=30,
        check=True,
    )
