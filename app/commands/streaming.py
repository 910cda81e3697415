"""`tickgraph ingest`: store a stream until told to stop; say what became of its records."""

import logging
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from app.commands.console import say, settings
from app.commands.database import OpenDatabase, open_database
from app.commands.importing import new_instruments
from app.commands.operator import operator
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.redis_stream import RedisStream
from app.ingestion.streams import Consumer, Pace
from app.ingestion.times import is_zone
from app.market.interval import Interval
from app.settings import Settings
from app.storage.batches import BatchKind, Counts
from app.validation.reasons import Reason

logger = logging.getLogger(__name__)

STREAMED = {
    each.value.lower(): each for each in (BatchKind.TRADES, BatchKind.QUOTES, BatchKind.BARS)
}
_SAY_EVERY_S = 10.0


@click.command()
@click.argument("url")
@click.option("--stream", required=True, help="The stream's key.")
@click.option("--kind", required=True, type=click.Choice(list(STREAMED)))
@click.option("--interval", help="The bars' interval, such as 1m, 1h or 1d.")
@click.option("--group", default="tickgraph", help="The consumer group.  [tickgraph]")
@click.option("--consumer", help="This consumer of the group.  [the machine's name]")
@click.option("--symbol", help="The symbol of every record, where they have no such field.")
@click.option("--timezone", default="UTC", help="Zone of times that have none.  [UTC]")
@click.option("--create-instruments", is_flag=True, help="Create instruments that are unknown.")
@click.option("--exchange", default="24/7", help="Exchange of new instruments: a MIC.  [24/7]")
@click.option("--asset-class", default="EQUITY", help="Asset class of new ones.  [EQUITY]")
@click.option("--currency", default="USD", help="Currency of new ones.  [USD]")
def ingest(
    *,
    url: str,
    stream: str,
    kind: str,
    interval: str | None,
    group: str,
    consumer: str | None,
    symbol: str | None,
    timezone: str,
    create_instruments: bool,
    exchange: str,
    asset_class: str,
    currency: str,
) -> None:
    """Store the records of a Redis stream, each exactly once, until told to stop.

    URL is the server's: redis://user:password@host:6379/0.
    """
    if (kind == "bars") != (interval is not None):
        raise click.UsageError("--interval goes with bars, and bars need it: such as 1m, 1h, 1d")
    if not is_zone(timezone):
        raise click.UsageError(f"--timezone {timezone!r} is no IANA time zone")
    new = new_instruments(exchange=exchange, asset_class=asset_class, currency=currency)
    delivery = Delivery(
        kind=STREAMED[kind],
        source="stream",
        actor=operator(),
        interval=None if interval is None else Interval.parse(interval),
        symbol=symbol,
        timezone=timezone,
        create=new if create_instruments else None,
    )
    broker = RedisStream(url, stream=stream, group=group, consumer=consumer or socket.gethostname())
    with open_database(settings(), say) as database:
        database.require_schema()
        totals = run_consumer(database, broker, delivery)
    click.echo(totals.as_text())


class Totals:
    """What became of the records of all batches so far."""

    def __init__(self) -> None:
        self.batches = 0
        self.counts = Counts(stored=0, duplicate=0, rejected=0)
        self.reasons: Counter[Reason] = Counter()
        self._said_at = time.monotonic()

    def add(self, receipt: Receipt) -> None:
        """Count a batch; now and then, log the counts."""
        self.batches += 1
        self.counts = Counts(
            stored=self.counts.stored + receipt.counts.stored,
            duplicate=self.counts.duplicate + receipt.counts.duplicate,
            rejected=self.counts.rejected + receipt.counts.rejected,
        )
        self.reasons.update(receipt.reasons)
        if time.monotonic() - self._said_at >= _SAY_EVERY_S:
            self._said_at = time.monotonic()
            logger.info("%s", self.line())

    def line(self) -> str:
        """Give the counts in one line."""
        counts = self.counts
        return (
            f"{counts.received:,} records received in {self.batches:,} batches:"
            f" {counts.stored:,} stored, {counts.duplicate:,} duplicate,"
            f" {counts.rejected:,} rejected"
        )

    def as_text(self) -> str:
        """Say it to a person."""
        reasons = [f"  {count:,} {reason}" for reason, count in sorted(self.reasons.items())]
        return "\n".join([self.line(), *reasons])


def pace_of(settings: Settings) -> Pace:
    """Give how a consumer takes entries."""
    return Pace(
        batch=settings.stream_batch,
        linger_s=settings.stream_linger_s,
        claim_after_s=settings.stream_claim_s,
    )


def run_consumer(database: OpenDatabase, broker: RedisStream, delivery: Delivery) -> Totals:
    """Deliver what the broker gives until SIGTERM or SIGINT; a batch that was begun is finished.

    Raises:
        BrokerUnavailable: it cannot be reached at the start; later it is waited for.
        BrokerRefused: it has no such stream for us.
    """
    totals = Totals()
    with broker, _told_to_stop() as stop:
        logger.info("ingesting %s", broker.source)
        Consumer(
            broker,
            delivery,
            database.connection,
            pace=pace_of(database.settings),
            stop=stop,
            on_batch=totals.add,
        ).run()
    return totals


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Give an event that the first SIGTERM or SIGINT sets; a second one ends the process."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            sys.exit(128 + number)
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
