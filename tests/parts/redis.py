"""A native Redis server from Debian's packages."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.accounts import Account, server_account, server_folder
from tests.parts.commands import PartFailed
from tests.parts.debian import Part, unpacked
from tests.parts.guarded import GuardedProcess, free_port, start_guarded
from tests.parts.loader import give_own_loader

# redis-server itself is a link to redis-check-rdb, of redis-tools.
REDIS = Part(
    name="redis",
    suite="trixie",
    packages=(
        *("redis-server", "redis-tools", "libatomic1", "libc6", "libcap2", "libgcc-s1"),
        *("libhiredis1.1.0", "libjemalloc2", "liblua5.1-0", "liblzf1", "libssl3t64"),
        *("libstdc++6", "libsystemd0", "libzstd1", "lua-bitop", "lua-cjson", "zlib1g"),
    ),
)


class RedisServer:
    """A server on the loopback address, which can be stopped, killed and started again."""

    def __init__(
        self, *, program: Path, folder: Path, port: int, append_only: bool, account: Account | None
    ) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self.data_dir = folder
        self._program = program
        self._port = port
        self._append_only = append_only
        self._account = account
        self._process: GuardedProcess | None = None

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise PartFailed("the server is not running")
        return self._process.pid

    def start(self, *, timeout_s: float = 30) -> None:
        """Start the server on its port and wait until it answers, with its data loaded."""
        if self._process is not None and self._process.running():
            raise PartFailed("the server is running already")
        self.kill()  # Lets go of one that ended by itself.
        self._process = start_guarded(
            [
                *(self._program, "--bind", "127.0.0.1", "--port", str(self._port)),
                *("--dir", self.data_dir, "--save", "", "--daemonize", "no"),
                *("--appendonly", "yes" if self._append_only else "no"),
            ],
            account=self._account,
            abandon_signal=signal.SIGTERM,
            environment={"LC_ALL": "C", "PATH": str(self._program.parent)},
            folder=self.data_dir,
            log=self.data_dir / "server.log",
        )
        give_up_at = time.monotonic() + timeout_s
        while not answers_ping(self._port):
            if not self._process.running() or time.monotonic() > give_up_at:
                log_tail = self._process.log_tail()
                self.kill()
                raise PartFailed(f"Redis did not start:\n{log_tail}")
            time.sleep(0.02)

    def stop(self, *, timeout_s: float = 30) -> None:
        """Shut down in order, with the append-only file written."""
        if self._process is not None:
            self._process.stop(signal.SIGTERM, timeout_s=timeout_s)
            self._process = None

    def kill(self) -> None:
        """SIGKILL the server."""
        if self._process is not None:
            self._process.kill()
            self._process = None


@contextmanager
def native_redis(directory: Path, *, append_only: bool = False) -> Iterator[RedisServer]:
    """Run a new Redis server with its files in `directory`; stop it on leaving.

    Without `append_only` it keeps nothing over a restart. Root's server runs as `nobody`: any
    local user may connect and have it write files.

    Raises:
        PartFailed: the packages cannot be had, or the server does not start; with its log's end.
    """
    account = server_account()
    program = redis_program()
    with server_folder(directory, account) as folder:
        server = RedisServer(
            program=program,
            folder=folder,
            port=free_port(),
            append_only=append_only,
            account=account,
        )
        try:
            server.start()
            yield server
        finally:
            server.stop()


def redis_program() -> Path:
    """Return redis-server; fetch it the first time."""

    def finish(building: Path, final: Path) -> None:
        # patchelf replaces the file it is given: the link's target, for all the names of it.
        program = (building / "root/usr/bin/redis-server").resolve(strict=True)
        give_own_loader(building / "root", [program], final_root=final / "root")

    folder = unpacked(REDIS, reader=server_account(), finish=finish)
    return folder / "root/usr/bin/redis-server"


def answers_ping(port: int) -> bool:
    """Tell whether a Redis server on this loopback port answers PING."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as session:
            session.sendall(b"PING\r\n")
            return session.recv(64).startswith(b"+PONG")
    except OSError:
        return False
