"""Processes to be killed: consumers of a stream and importers of files.

They are forked from one that has imported everything already, which costs milliseconds instead of
seconds. It reads one JSON list a line, [what, arguments], answers with a process id, and ends with
all of its children where its input ends.
"""

import faulthandler
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from app.errors import TickgraphError
from app.ingestion.delivery import Delivery
from app.ingestion.file_import import import_file
from app.ingestion.redis_stream import RedisStream
from app.ingestion.rejects import Rejects
from app.ingestion.streams import BrokerUnavailable, Consumer, Pace
from app.storage.batches import BatchKind
from app.storage.database import connect
from tests.ingestion.imports import new_instruments

logger = logging.getLogger("children")

CONNECTING = {"timeout_s": 2, "statement_timeout_s": 20}
PACE = Pace(batch=100, linger_s=0.01, claim_after_s=1.0)


class Nursery:
    """Starts children; they end with it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, what: str, *arguments: str) -> psutil.Process | None:
        """Start a child; None: it has ended already."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, arguments]) + "\n")
        self._process.stdin.flush()
        try:
            return psutil.Process(int(self._process.stdout.readline()))
        except psutil.NoSuchProcess:
            return None


@contextmanager
def nursery(log: Path) -> Iterator[Nursery]:
    """Run a nursery; what its children say goes to `log`."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
    try:
        yield Nursery(process)
    finally:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.wait(30)


def consume(database_url: str, redis_url: str, stream: str, consumer: str) -> None:
    """Consume until killed."""
    broker = RedisStream(redis_url, stream=stream, group="tickgraph", consumer=consumer)
    while True:
        try:
            with broker:
                Consumer(
                    broker,
                    delivery(""),
                    partial(connect, database_url, **CONNECTING),
                    pace=PACE,
                    stop=threading.Event(),
                    on_batch=lambda receipt: None,
                ).run()
        except BrokerUnavailable:
            time.sleep(0.05)


def import_once(database_url: str, path: str) -> None:
    """Import a file, if nothing hinders it."""
    try:
        with connect(database_url, **CONNECTING) as connection:
            import_file(
                connection,
                Path(path),
                delivery(f"file:{Path(path).name}"),
                Rejects(),
                lambda count: None,
            )
    except TickgraphError as error:
        logger.warning("%s: %s", path, error.message)


def delivery(source: str) -> Delivery:
    """Trades of instruments that are made where they are unknown."""
    return Delivery(
        kind=BatchKind.TRADES, source=source, actor="test", create=new_instruments("24/7", "CRYPTO")
    )


def main() -> None:
    """Fork as told."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(process)d %(name)s: %(message)s")
    faulthandler.register(signal.SIGUSR1)  # for whoever looks into one that stands still
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    works: dict[str, Callable[..., None]] = {"consume": consume, "import": import_once}
    for line in sys.stdin:
        what, arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                works[what](*arguments)
            except BaseException:
                logger.exception("a child failed")
            finally:
                os._exit(0)
        print(pid, flush=True)  # noqa: T201 - the answer
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
