"""Run `tickgraph` as people do: a process with an environment of its own, or in this process."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from app import cli

TICKGRAPH = Path(sys.executable).parent / "tickgraph"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def one_line(self) -> str:
        """Give the only line of a clean refusal."""
        assert self.code == 1, self
        assert self.out == "", self
        lines = self.err.splitlines()
        assert len(lines) == 1, self
        assert lines[0].startswith("tickgraph: "), self
        return lines[0].removeprefix("tickgraph: ")


def environment(**settings: object) -> dict[str, str]:
    """Give this process's environment with these settings (TICKGRAPH_<NAME>) and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TICKGRAPH_")}
    return kept | {f"TICKGRAPH_{name.upper()}": str(value) for name, value in settings.items()}


def run(*arguments: object, **settings: object) -> Finished:
    """Run a command to its end in a process of its own."""
    done = subprocess.run(
        [TICKGRAPH, *map(str, arguments)],
        env=environment(**settings),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


def invoke(*arguments: object, **settings: object) -> Finished:
    """Run a command to its end within this process: 3 s of imports less."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    terminate = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in list(os.environ):
            if name.startswith("TICKGRAPH_"):
                patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(f"TICKGRAPH_{name.upper()}", str(value))
        patch.setattr(sys, "argv", ["tickgraph", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        finally:
            signal.signal(signal.SIGTERM, terminate)
    return Finished(code=code, out=out.getvalue(), err=err.getvalue())


class Running:
    """A command that runs until it is told to end; what it says is kept."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out = self.err = ""
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True)
            for name in ("out", "err")
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        stream = self.process.stdout if name == "out" else self.process.stderr
        assert stream is not None
        for line in stream:
            setattr(self, name, getattr(self, name) + line)

    def wait_for(self, words: str, *, timeout_s: float = 90) -> None:
        """Wait until the command has said something."""
        give_up = time.monotonic() + timeout_s
        while words not in self.out + self.err:
            assert self.process.poll() is None, self.err
            assert time.monotonic() < give_up, self.err
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> Finished:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        for reader in self._readers:
            reader.join(5)
        assert "Traceback" not in self.err, self.err
        return Finished(code=code, out=self.out, err=self.err)

    def address(self) -> str:
        """Give the base URL that the command has said that it serves on."""
        words = [word for word in (self.out + self.err).split() if word.startswith("http://")]
        return words[0].removesuffix("/graphql")


@contextmanager
def running(*arguments: object, **settings: object) -> Iterator[Running]:
    """Run a command for as long as the block."""
    process = subprocess.Popen(
        [TICKGRAPH, *map(str, arguments)],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def processes_of(data_dir: Path) -> list[list[str]]:
    """Give the command lines that name a data directory."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if any(str(data_dir) in part for part in line):
            found.append(line)
    return found
