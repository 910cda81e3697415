"""One process of the embedded database: started, waited for, stopped."""

import json
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.embedded.install import Installation
from app.embedded.log_file import LogFile
from app.errors import EmbeddedDatabaseFailed

MAIN = Path(__file__).parent / "wire" / "main.mjs"
KEPT_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients of the embedded database may use."""

    max_connections: int = 100
    idle_in_transaction_timeout_s: float = 60
    startup_timeout_s: float = 60
    stalled_client_timeout_s: float = 30
    max_message_bytes: int = 256 << 20
    max_copy_bytes: int = 1 << 30
    max_result_bytes: int = 256 << 20
    max_unsent_notification_bytes: int = 16 << 20

    def as_config(self) -> dict[str, int]:
        """Return the limits by the names that the wire front end knows."""
        return {
            "sessions": self.max_connections,
            "idleInTransactionMs": round(self.idle_in_transaction_timeout_s * 1000),
            "startupMs": round(self.startup_timeout_s * 1000),
            "stallMs": round(self.stalled_client_timeout_s * 1000),
            "messageBytes": self.max_message_bytes,
            "copyBytes": self.max_copy_bytes,
            "resultBytes": self.max_result_bytes,
            "notificationBytes": self.max_unsent_notification_bytes,
        }


class DatabaseProcess:
    """A running Node with the database in it; it ends when this process does."""

    def __init__(
        self,
        installation: Installation,
        log: LogFile,
        *,
        database: Path,
        socket: Path | None = None,
        limits: Limits | None = None,
        lock_descriptor: int,
    ) -> None:
        config = {
            "modules": str(installation.modules),
            "database": str(database),
            "socket": None if socket is None else str(socket),
            "limits": (limits or Limits()).as_config(),
        }
        self._log = log
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._ready = threading.Event()
        self._child = subprocess.Popen(
            [installation.node, MAIN, json.dumps(config)],
            # Nothing is written to it: its end tells the child that this process has ended.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=(lock_descriptor,),
            # Away from the terminal's Ctrl-C: the owner decides when the database stops.
            start_new_session=True,
        )
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._readers = [
            threading.Thread(target=self._await_ready, args=(self._child.stdout,), daemon=True),
            threading.Thread(target=self._keep_log, args=(self._child.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The process id of Node."""
        return self._child.pid

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until clients can connect.

        Raises:
            EmbeddedDatabaseFailed: The process ended first, or took too long.
        """
        if not self._ready.wait(timeout_s):
            self.stop(0)
            raise EmbeddedDatabaseFailed(
                f"the embedded database did not start within {timeout_s:g} s"
            )
        if self._child.poll() is not None:
            raise EmbeddedDatabaseFailed(f"the embedded database ended at its start: {self.reason}")

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the end and return the exit code, or None when the time is up."""
        try:
            code = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            reader.join(1)
        return code

    def stop(self, timeout_s: float) -> None:
        """End the process: politely, then by force, which loses nothing that was committed."""
        if timeout_s > 0:
            self._child.terminate()
        if timeout_s <= 0 or self.wait(timeout_s) is None:
            self._child.kill()
            self.wait()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                stream.close()

    @property
    def reason(self) -> str:
        """The line that says best why the process ended."""
        lines = list(self._last_lines)
        telling = [line for line in lines if "FATAL" in line or "PANIC" in line]
        telling += [line for line in lines if "Error" in line]
        return (telling or lines or [f"exit code {self._child.returncode}"])[0]

    def _await_ready(self, stdout: IO[str]) -> None:
        for line in stdout:
            if line.strip() == '{"ready": true}':
                self._ready.set()
        # The end of the output is the end of the process: whoever waits must look.
        self._child.wait()
        self._readers[1].join(1)
        self._ready.set()

    def _keep_log(self, stderr: IO[str]) -> None:
        for line in stderr:
            if line.strip():
                self._last_lines.append(line.strip())
                self._log.write(line)
