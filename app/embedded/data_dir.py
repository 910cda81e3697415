"""The embedded database's folder: what is where, who owns it, and whether it can be used."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.errors import EmbeddedDatabaseFailed

SOCKET_NAME = ".s.PGSQL.5432"
# sockaddr_un.sun_path holds 108 bytes with the terminating zero.
MAX_SOCKET_PATH_BYTES = 107
INITIALISING_PREFIX = "initialising-"
SHORT_DIR_PREFIX = "tickgraph-"
MARKER_NAME = "tickgraph.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDir:
    """The paths within one data directory."""

    path: Path

    @property
    def database(self) -> Path:
        """PostgreSQL's own files; there only once they are complete."""
        return self.path / "database"

    @property
    def log(self) -> Path:
        """What the database process has said."""
        return self.path / "database.log"

    @property
    def state(self) -> Path:
        """Where the running database is reached; there while an owner runs."""
        return self.path / "running.json"


def open_data_dir(path: Path) -> DataDir:
    """Make the folder if it is missing and see that it can be written.

    Raises:
        EmbeddedDatabaseFailed: It cannot be, or it belongs to another kind of database.
    """
    path = path.expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        # As root every access() check passes, also on a read-only file system: write something.
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise EmbeddedDatabaseFailed(
            f"cannot use data directory {str(path)!r}: {error.strerror or error}"
        ) from error
    if (path / "PG_VERSION").exists():
        raise EmbeddedDatabaseFailed(
            f"{str(path)!r} is the data directory of another PostgreSQL; choose an empty one"
        )
    return DataDir(path=path)


def lock_data_dir(data_dir: DataDir) -> int | None:
    """Take the folder's lock and return its descriptor, or None while another holds it.

    The lock belongs to the open file: handed on to the database process, it is held until both
    processes have ended, so a new owner never meets the old one's database process.
    """
    descriptor = os.open(data_dir.path / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def check_marker(data_dir: DataDir, engine: str) -> None:
    """Refuse files that another version of the database made.

    Raises:
        EmbeddedDatabaseFailed: They are another version's, or not marked at all.
    """
    try:
        made_by = json.loads((data_dir.database / MARKER_NAME).read_text())["engine"]
    except (OSError, ValueError, KeyError, TypeError):
        made_by = "something unknown"
    if made_by != engine:
        raise EmbeddedDatabaseFailed(
            f"{str(data_dir.database)!r} was made by {made_by}, this is {engine}: "
            "choose another data directory"
        )


@contextmanager
def initialising(data_dir: DataDir, engine: str) -> Iterator[Path]:
    """Yield a temporary folder that becomes the database when the block succeeds."""
    work = Path(tempfile.mkdtemp(prefix=INITIALISING_PREFIX, dir=data_dir.path))
    try:
        yield work
        (work / MARKER_NAME).write_text(json.dumps({"engine": engine}))
        work.rename(data_dir.database)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove_leftovers(data_dir: DataDir) -> None:
    """Remove what owners left behind that were killed; only under the lock."""
    for stale in data_dir.path.glob(f"{INITIALISING_PREFIX}*"):
        shutil.rmtree(stale, ignore_errors=True)
    socket_dir = running_socket_dir(data_dir)
    if socket_dir is not None and socket_dir.name.startswith(SHORT_DIR_PREFIX):
        shutil.rmtree(socket_dir, ignore_errors=True)
    data_dir.state.unlink(missing_ok=True)


def running_socket_dir(data_dir: DataDir) -> Path | None:
    """Read where the running database is reached; None if nobody has said."""
    try:
        return Path(json.loads(data_dir.state.read_text())["socket_dir"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def socket_dir_of(data_dir: DataDir) -> Iterator[Path]:
    """Yield a private folder for the socket and say in the data directory which it is."""
    own = data_dir.path / "socket"
    if len(os.fsencode(own / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES:
        own.mkdir(mode=0o700, exist_ok=True)
        own.chmod(0o700)
        directory = own
    else:
        directory = Path(tempfile.mkdtemp(prefix=SHORT_DIR_PREFIX))
    draft = data_dir.state.with_suffix(".new")
    draft.write_text(json.dumps({"socket_dir": str(directory), "pid": os.getpid()}))
    draft.replace(data_dir.state)
    try:
        yield directory
    finally:
        data_dir.state.unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
