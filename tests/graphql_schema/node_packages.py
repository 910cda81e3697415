"""The npm packages that tests run, installed once into the repository's cache from their lock."""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.embedded.node import ensure_node

_LOCKED = Path(__file__).with_name("node")
_CACHE = Path(__file__).parents[2] / ".cache" / "node"
_TIMEOUT_S = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A folder with packages and scripts, and the Node to run them with."""

    node: str
    folder: Path


def run_script(name: str, *arguments: str, timeout_s: float) -> str:
    """Run a script of `node/` with the locked packages and give what it prints."""
    installed = install(_LOCKED)
    done = subprocess.run(
        [installed.node, installed.folder / name, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(locked: Path) -> Installed:
    """Install a folder of scripts with a package-lock.json; another for each state of them."""
    node = ensure_node(lambda message: None)
    files = sorted(path for path in locked.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    target = _CACHE / digest
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=_CACHE) as building:
                made = Path(building) / digest
                made.mkdir()
                for path in files:
                    shutil.copy(path, made)
                done = subprocess.run(
                    [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                    cwd=made,
                    capture_output=True,
                    text=True,
                    stdin=subprocess.DEVNULL,
                    timeout=_TIMEOUT_S,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
                made.rename(target)
    return Installed(node=str(node.executable), folder=target)
