"""A server process of this test run, which never outlives it."""

import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.parts import guard
from tests.parts.accounts import Account
from tests.parts.commands import PartFailed, last_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedProcess:
    """A running server, `pid`, below the guard that ends it if this process dies."""

    guard: subprocess.Popen[bytes]
    pid: int
    log: Path

    def running(self) -> bool:
        """Tell whether the server is still there."""
        # The guard needs a moment to notice the end of a server that ended by itself.
        return self.guard.poll() is None and psutil.pid_exists(self.pid)

    def stop(self, with_signal: signal.Signals, *, timeout_s: float) -> None:
        """Ask the server to end, and kill it if it does not."""
        if self.running():
            with suppress(ProcessLookupError):
                os.kill(self.pid, with_signal)
        try:
            self.guard.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise PartFailed(
                f"killed a server that did not end in {timeout_s} s: {self.log_tail()}"
            ) from error
        self._release()

    def kill(self) -> None:
        """SIGKILL the server and all its children at once, and wait until they are gone."""
        with suppress(psutil.NoSuchProcess):
            if self.running():
                _kill_family(psutil.Process(self.pid))
        self.guard.wait(10)
        self._release()

    def log_tail(self) -> str:
        """Return the last lines of the server's log."""
        return last_lines(self.log.read_text(errors="replace"))

    def _release(self) -> None:
        if self.guard.stdin is not None:
            self.guard.stdin.close()


def _kill_family(server: psutil.Process) -> None:
    # Held still first, so that it starts no child between the listing and the killing.
    server.suspend()
    family = [server, *server.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    # Seconds when a process is inside an fsync, which even SIGKILL does not interrupt.
    _, alive = psutil.wait_procs(family, timeout=30)
    if alive:
        raise PartFailed(f"processes outlived SIGKILL: {alive}")


def start_guarded(
    command: Sequence[str | Path],
    *,
    account: Account | None,
    abandon_signal: signal.Signals,
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
) -> GuardedProcess:
    """Start a server as `account`; what it prints is appended to `log`.

    `abandon_signal` is sent to it when this process has ended without stopping it.
    """
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    guard_program = Path(guard.__file__).resolve()
    with log.open("ab") as log_file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", guard_program),
                *(str(int(abandon_signal)), str(uid), str(gid)),
                *command,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            env=environment,
            cwd=folder,
            # Ctrl-C at the terminal is for the tests, which then stop their servers in order.
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout:
        readable, _, _ = select.select([process.stdout], [], [], 30)
        first_line = process.stdout.readline() if readable else b""
    started = GuardedProcess(guard=process, pid=int(first_line or b"-1"), log=log)
    if started.pid < 0:
        process.kill()
        process.wait(10)
        started.stop(signal.SIGKILL, timeout_s=1)
        raise PartFailed(f"{command[0]} did not start: {started.log_tail()}")
    return started


def free_port() -> int:
    """Return a loopback port that nobody uses at this moment.

    Below the range that Linux gives to outgoing connections (from 32768), so that a server that
    was stopped or killed finds its port free again.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PartFailed("found no free loopback port between 20000 and 32000")
