"""Run the embedded database for this process, or join the one that another process runs."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from app.embedded.data_dir import (
    SOCKET_NAME,
    DataDir,
    lock_data_dir,
    open_data_dir,
    remove_leftovers,
    running_socket_dir,
    socket_dir_of,
)
from app.embedded.install import ensure_installed
from app.embedded.maintenance import Intervals, maintained
from app.embedded.owner import Launch, running_database
from app.embedded.process import Limits
from app.errors import EmbeddedDatabaseFailed

JOIN_POLL_S = 0.05
DEFAULT_LIMITS = Limits()
DEFAULT_INTERVALS = Intervals()


@contextmanager
def embedded_database(
    data_dir: Path,
    *,
    on_progress: Callable[[str], None] = lambda _message: None,
    limits: Limits = DEFAULT_LIMITS,
    maintenance: Intervals | None = DEFAULT_INTERVALS,
    start_timeout_s: float = 120,
    stop_timeout_s: float = 10,
) -> Iterator[str]:
    """Yield the URL of the database in `data_dir`, for asyncpg and psycopg alike.

    The first process to ask starts the database, restarts it when it dies, and ends it on exit;
    others join it meanwhile. The database ends with its owner, however the owner ends.

    Args:
        data_dir: Everything the database keeps; made when missing.
        on_progress: Receives short messages about what takes time.
        limits: What clients may use; the owner's hold.
        maintenance: How often the owner looks after the database; None for never.
        start_timeout_s: How long to wait for a start, also for another process's.
        stop_timeout_s: How long the owner waits for a clean end before it forces one.

    Raises:
        EmbeddedDatabaseFailed: It cannot be installed, started or joined.
    """
    directory = open_data_dir(data_dir)
    held = _own_or_join(directory, start_timeout_s)
    if isinstance(held, Path):
        on_progress("using the embedded database that is already running")
        yield _url_of(held)
        return
    with ExitStack() as stack:
        stack.callback(os.close, held)
        remove_leftovers(directory)
        launch = Launch(
            data_dir=directory,
            installation=ensure_installed(on_progress),
            limits=limits,
            lock_descriptor=held,
            start_timeout_s=start_timeout_s,
        )
        socket_dir = stack.enter_context(socket_dir_of(directory))
        stack.enter_context(
            running_database(
                launch,
                socket_dir / SOCKET_NAME,
                stop_timeout_s=stop_timeout_s,
                on_progress=on_progress,
            )
        )
        url = _url_of(socket_dir)
        if maintenance is not None:
            stack.enter_context(maintained(url, maintenance))
        yield url


def _own_or_join(directory: DataDir, timeout_s: float) -> int | Path:
    """Return the lock's descriptor, or the socket folder of the database that its holder runs."""
    deadline = time.monotonic() + timeout_s
    while True:
        descriptor = lock_data_dir(directory)
        if descriptor is not None:
            return descriptor
        socket_dir = running_socket_dir(directory)
        if socket_dir is not None and _accepts_connections(socket_dir / SOCKET_NAME):
            return socket_dir
        if time.monotonic() > deadline:
            raise EmbeddedDatabaseFailed(
                f"another process holds {str(directory.path)!r}, but its database does not answer"
            )
        time.sleep(JOIN_POLL_S)


def _accepts_connections(path: Path) -> bool:
    # A busy database answers late, but the kernel accepts for it: it is there.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True


def _url_of(socket_dir: Path) -> str:
    return f"postgresql://postgres@/postgres?host={quote(os.fspath(socket_dir))}"
