"""A native TimescaleDB server: Debian's PostgreSQL 17 with TimescaleDB, Apache edition."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from tests.parts.accounts import Account, server_account, server_folder
from tests.parts.commands import PartFailed, run
from tests.parts.debian import Part, unpacked
from tests.parts.guarded import GuardedProcess, free_port, start_guarded
from tests.parts.loader import give_own_loader

PROGRAMS = ("postgres", "initdb", "psql", "pg_dump", "pg_restore")

# PostgreSQL 17.x and TimescaleDB 2.19.3, with every library that PROGRAMS and the modules load.
# LLVM is absent on purpose (120 MB): the server runs with jit off.
TIMESCALEDB = Part(
    name="timescaledb",
    suite="trixie",
    packages=(
        *("postgresql-17", "postgresql-17-timescaledb", "postgresql-client-17"),
        *("libaudit1", "libc6", "libcap-ng0", "libcap2", "libcom-err2", "libgcc-s1"),
        *("libgssapi-krb5-2", "libicu76", "libk5crypto3", "libkeyutils1", "libkrb5-3"),
        *("libkrb5support0", "libldap2", "liblz4-1", "liblzma5", "libpam0g", "libpcre2-8-0"),
        *("libpq5", "libreadline8t64", "libsasl2-2", "libselinux1", "libssl3t64", "libstdc++6"),
        *("libsystemd0", "libtinfo6", "libuuid1", "libxml2", "libxslt1.1", "libxxhash0"),
        *("libzstd1", "zlib1g"),
    ),
    left_out=(
        "./usr/lib/postgresql/*/lib/bitcode",
        "./usr/share/postgresql/*/extension/timescaledb--*--*.sql",
    ),
)


class NativeServer:
    """A server on the loopback address, which can be stopped, killed and started again."""

    def __init__(self, *, bin_dir: Path, folder: Path, port: int, account: Account | None) -> None:
        self.bin_dir = bin_dir
        self.data_dir = folder / "data"
        self._folder = folder
        self._port = port
        self._account = account
        self._process: GuardedProcess | None = None

    @property
    def url(self) -> str:
        """The address of the database `postgres`, as its superuser."""
        return self.database_url("postgres")

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise PartFailed("the server is not running")
        return self._process.pid

    def database_url(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{quote(name, safe='')}"

    def start(self, *, timeout_s: float = 60) -> None:
        """Start the server on its port and wait until it answers, recovery included."""
        if self._process is not None and self._process.running():
            raise PartFailed("the server is running already")
        self.kill()  # Lets go of one that ended by itself.
        self._process = start_guarded(
            [self.bin_dir / "postgres", "-D", self.data_dir, "-p", str(self._port)],
            account=self._account,
            # An immediate shutdown: the postmaster also ends its children, which SIGKILL
            # would leave working until their statement is done.
            abandon_signal=signal.SIGQUIT,
            environment={"LC_ALL": "C", "PATH": str(self.bin_dir)},
            folder=self._folder,
            log=self._folder / "server.log",
        )
        give_up_at = time.monotonic() + timeout_s
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if not self._process.running() or time.monotonic() > give_up_at:
                    log_tail = self._process.log_tail()
                    self.kill()
                    raise PartFailed(f"PostgreSQL did not start:\n{log_tail}") from error
            time.sleep(0.02)

    def stop(self, *, timeout_s: float = 60) -> None:
        """Shut down in order, closing all sessions (fast shutdown)."""
        if self._process is not None:
            self._process.stop(signal.SIGINT, timeout_s=timeout_s)
            self._process = None

    def kill(self) -> None:
        """SIGKILL the postmaster and its children: a crash, without a power loss."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def create_database(self, name: str) -> str:
        """Create a database with the extension and return its URL."""
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        _create_extension(self.database_url(name))
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, closing its sessions."""
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@contextmanager
def native_timescaledb(
    directory: Path, *, fsync: bool = True, shared_buffers_mb: int = 128
) -> Iterator[NativeServer]:
    """Run a new TimescaleDB server with its data in `directory`; stop it on leaving.

    PostgreSQL refuses to run as root, so root's server runs as `nobody`, and keeps its data under
    the temp dir where `nobody` cannot enter `directory` (see `data_dir`).

    Raises:
        PartFailed: the packages cannot be had, or the server does not start; with its log's end.
    """
    account = server_account()
    bin_dir = timescaledb_programs()
    with server_folder(directory, account) as folder:
        server = NativeServer(bin_dir=bin_dir, folder=folder, port=free_port(), account=account)
        _initialise(server, account)
        _configure(server, fsync=fsync, shared_buffers_mb=shared_buffers_mb)
        try:
            server.start()
            _create_extension(server.url)
            yield server
        finally:
            server.stop()


def timescaledb_programs() -> Path:
    """Return the folder with PROGRAMS; fetch them the first time."""
    bin_dir = "root/usr/lib/postgresql/17/bin"

    def finish(building: Path, final: Path) -> None:
        programs = [building / bin_dir / name for name in PROGRAMS]
        give_own_loader(building / "root", programs, final_root=final / "root")

    # PostgreSQL takes its time zones from the machine, at a place compiled in.
    if not Path("/usr/share/zoneinfo/Europe/Berlin").exists():
        raise PartFailed("the machine has no time zones: install the package tzdata")
    return unpacked(TIMESCALEDB, reader=server_account(), finish=finish) / bin_dir


def _initialise(server: NativeServer, account: Account | None) -> None:
    run(
        [
            *(server.bin_dir / "initdb", "--pgdata", server.data_dir, "--username=postgres"),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
            *("--builtin-locale=C.UTF-8", "--no-instructions", "--no-sync"),
        ],
        timeout_s=60,
        environment={"LC_ALL": "C", "PATH": str(server.bin_dir)},
        folder=server.data_dir.parent,
        account=account,
    )


def _configure(server: NativeServer, *, fsync: bool, shared_buffers_mb: int) -> None:
    """Append the settings; `timescaledb.license` stays what the build has."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "100",
        "shared_buffers": f"{shared_buffers_mb}MB",
        "fsync": "on" if fsync else "off",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
        # Each database with the extension takes one worker; tests keep several databases.
        "max_worker_processes": "40",
        "timescaledb.max_background_workers": "24",
    }
    with (server.data_dir / "postgresql.conf").open("a") as configuration:
        configuration.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def _create_extension(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("SET client_min_messages = error")
        session.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
