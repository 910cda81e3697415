"""Install the embedded database: a Node to run it and the exact npm package of the lock file."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from app.embedded.node import Node, ensure_node
from app.errors import EmbeddedDatabaseFailed

PACKAGE_DIR = Path(__file__).parent
ENTRY = Path("@unni-craftsman") / "pglite" / "dist" / "index.js"
NPM_TIMEOUT_S = 600
INSTALLING_PREFIX = ".installing-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What runs the embedded database: the Node executable and the folder of its packages."""

    node: Path
    modules: Path


def ensure_installed(
    on_progress: Callable[[str], None] = lambda _message: None,
    *,
    root: Path | None = None,
    package_dir: Path = PACKAGE_DIR,
) -> Installation:
    """Install what is missing and return where it is; at once when nothing is.

    Args:
        on_progress: Receives short messages about what takes time.
        root: Where installations are kept, one per lock file; by default within this Python.
        package_dir: The folder with `package.json` and `package-lock.json`.

    Raises:
        EmbeddedDatabaseFailed: It cannot be installed; nothing is left half installed.
    """
    root = root or Path(sys.prefix) / "share" / "tickgraph"
    target = root / f"embedded-{_lock_digest(package_dir)}"
    node = ensure_node(on_progress)
    if not (target / "node_modules" / ENTRY).is_file():
        try:
            with _exclusive(root):
                if not target.exists():
                    on_progress("installing the embedded database (10 MB)")
                    _install_packages(node, package_dir, root, target)
        except OSError as error:
            raise EmbeddedDatabaseFailed(
                f"cannot install the embedded database in {str(root)!r}: {error.strerror or error}"
            ) from error
    return Installation(node=node.executable, modules=target / "node_modules")


def _lock_digest(package_dir: Path) -> str:
    return hashlib.sha256((package_dir / "package-lock.json").read_bytes()).hexdigest()[:12]


@contextmanager
def _exclusive(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Whoever made these has been killed: the lock is ours.
        for stale in root.glob(f"{INSTALLING_PREFIX}*"):
            shutil.rmtree(stale, ignore_errors=True)
        yield


def _install_packages(node: Node, package_dir: Path, root: Path, target: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=INSTALLING_PREFIX, dir=root))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(package_dir / name, work)
        _run_npm(node, work)
        if not (work / "node_modules" / ENTRY).is_file():
            raise EmbeddedDatabaseFailed("npm installed the embedded database without its entry")
        work.chmod(0o755)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run_npm(node: Node, work: Path) -> None:
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
    try:
        outcome = subprocess.run(
            [*node.npm, "ci", *options],
            cwd=work,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=NPM_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedDatabaseFailed(f"could not run npm: {error}") from error
    if outcome.returncode != 0:
        raise EmbeddedDatabaseFailed(
            f"npm could not install the embedded database: {_reason(outcome.stderr)}"
        )


def _reason(stderr: str) -> str:
    """The first two lines that npm marks as errors: a code and what it means."""
    marks = ("npm error ", "npm ERR! ")
    lines = [
        line.removeprefix(mark).strip()
        for line in stderr.splitlines()
        for mark in marks
        if line.startswith(mark)
    ]
    return "; ".join(lines[:2]) or stderr.strip()[-200:] or "no reason given"


def main() -> None:
    """Install from the command line; used by `make`."""
    try:
        ensure_installed(lambda message: click.echo(f"setup: {message}"))
    except EmbeddedDatabaseFailed as error:
        raise SystemExit(f"setup: {error.message}") from error


if __name__ == "__main__":
    main()
