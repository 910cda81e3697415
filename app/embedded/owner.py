"""Own the database process: initialise its files, start it, and start it again when it dies."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.embedded.data_dir import DataDir, check_marker, initialising
from app.embedded.install import PACKAGE_DIR, Installation
from app.embedded.log_file import LogFile
from app.embedded.process import DatabaseProcess, Limits
from app.errors import EmbeddedDatabaseFailed

logger = logging.getLogger(__name__)

FIRST_RESTART_DELAY_S = 0.05
LONGEST_RESTART_DELAY_S = 5.0
# A process that has run this long was healthy: the next restart is immediate again.
HEALTHY_AFTER_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that a start of the database process needs."""

    data_dir: DataDir
    installation: Installation
    limits: Limits
    lock_descriptor: int
    start_timeout_s: float

    def process(self, database: Path, socket: Path | None = None) -> DatabaseProcess:
        """Start Node on the files of `database`; without a socket it only initialises them."""
        return DatabaseProcess(
            self.installation,
            LogFile(self.data_dir.log),
            database=database,
            socket=socket,
            limits=self.limits,
            lock_descriptor=self.lock_descriptor,
        )


def engine_version() -> str:
    """Name the database that this version runs, as its data directories are marked."""
    dependencies = json.loads((PACKAGE_DIR / "package.json").read_text())["dependencies"]
    return " ".join(f"{name} {version}" for name, version in dependencies.items())


@contextmanager
def running_database(
    launch: Launch,
    socket: Path,
    *,
    stop_timeout_s: float,
    on_progress: Callable[[str], None],
) -> Iterator[None]:
    """Keep the database running on the socket within the block.

    Raises:
        EmbeddedDatabaseFailed: It did not start the first time.
    """
    if launch.data_dir.database.exists():
        check_marker(launch.data_dir, engine_version())
    else:
        on_progress("creating the embedded database")
        _initialise(launch)
    on_progress("starting the embedded database")
    first = launch.process(launch.data_dir.database, socket)
    try:
        first.wait_ready(launch.start_timeout_s)
    except EmbeddedDatabaseFailed as error:
        first.stop(0)
        raise EmbeddedDatabaseFailed(f"{error.message} (log: {launch.data_dir.log})") from error
    keeper = _Keeper(launch, socket, first)
    try:
        yield
    finally:
        keeper.stop(stop_timeout_s)


def _initialise(launch: Launch) -> None:
    with initialising(launch.data_dir, engine_version()) as work:
        process = launch.process(work)
        code = process.wait(launch.start_timeout_s)
        process.stop(0)
        if code != 0:
            reason = "it took too long" if code is None else process.reason
            raise EmbeddedDatabaseFailed(f"the embedded database could not be created: {reason}")


class _Keeper:
    """A thread that replaces a database process that has died."""

    def __init__(self, launch: Launch, socket: Path, process: DatabaseProcess) -> None:
        self._launch = launch
        self._socket = socket
        self._process = process
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="embedded-database", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the database and the watch over it."""
        self._stopping.set()
        with self._starting:
            self._process.stop(timeout_s)
        self._thread.join()

    def _watch(self) -> None:
        delay_s = FIRST_RESTART_DELAY_S
        started = time.monotonic()
        while True:
            code = self._process.wait()
            if self._stopping.is_set():
                return
            reason = self._process.reason
            logger.warning("embedded database ended with code %s, restarting: %s", code, reason)
            if time.monotonic() - started > HEALTHY_AFTER_S:
                delay_s = FIRST_RESTART_DELAY_S
            self._stopping.wait(delay_s)
            delay_s = min(delay_s * 2, LONGEST_RESTART_DELAY_S)
            started = time.monotonic()
            if not self._restart():
                return

    def _restart(self) -> bool:
        with self._starting:
            if self._stopping.is_set():
                return False
            self._process.stop(0)
            self._process = self._launch.process(self._launch.data_dir.database, self._socket)
        return True
