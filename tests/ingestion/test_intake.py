"""Writing from an event loop: bounds, order, cancelled callers, faults, the end."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import psycopg
import pytest

from app.errors import DatabaseUnavailable, ImportRefused, Overloaded, QueryTimeout
from app.ingestion.delivery import Delivery
from app.ingestion.intake import Intake
from app.ingestion.rows_table import rows_table
from app.ingestion.writer import Address
from app.storage.batches import BatchKind
from app.storage.database import Connection, DatabaseUnusable
from tests.conftest import TestDatabase
from tests.ingestion.imports import new_instruments, trades_of


@asynccontextmanager
async def intake_of(
    url: str, *, writers: int = 1, waiting: int = 2, **more: Any
) -> AsyncIterator[Intake]:
    address = Address(url=url, connect_timeout_s=10, statement_timeout_s=60)
    async with Intake(address, writers=writers, waiting=waiting, **more) as intake:
        yield intake


def trade(symbol: str, number: int = 1) -> dict[str, str | None]:
    return {
        "symbol": symbol,
        "time": f"2026-11-02T10:00:{number:02}Z",
        "price": "1.5",
        "size": "2",
        "trade_id": str(number),
    }


def delivery(**more: Any) -> Delivery:
    return Delivery(
        kind=BatchKind.TRADES, source="test", actor="test", create=new_instruments(), **more
    )


def pid(connection: Connection) -> int:
    return connection.info.backend_pid


class Gate:
    """Work that runs until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, connection: Connection) -> str:
        self.begun.set()
        assert self.go.wait(30)
        return "done"

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 30)


async def until(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not true():
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.01)


async def test_a_delivery_gives_its_receipt_and_is_counted(
    database: TestDatabase, connection: Connection, symbol: str
) -> None:
    written = asyncio.Event()
    async with intake_of(database.url, on_written=written.set) as intake:
        records = [trade(symbol), trade(symbol, 2), trade(symbol, 3) | {"price": "x"}]
        closed: list[int] = []
        receipt = await intake.deliver(
            lambda: rows_table(records), delivery(), after=lambda: closed.append(1)
        )
        async with asyncio.timeout(5):
            await written.wait()
        again = await intake.deliver(lambda: rows_table(records), delivery())
    assert receipt.as_json() | {"batch": 0} == {
        "batch": 0,
        "received": 3,
        "stored": 2,
        "duplicate": 0,
        "rejected": 1,
    }
    assert (again.counts.stored, again.counts.duplicate) == (0, 2)
    assert len(trades_of(connection, symbol)) == 2
    assert closed == [1]
    assert intake.tally.batches() == {"TRADES": 2}
    assert intake.tally.records() == {
        ("TRADES", "stored"): 2,
        ("TRADES", "duplicate"): 2,
        ("TRADES", "rejected"): 2,
    }
    assert set(intake.tally.seconds()) >= {"parse", "validate", "copy", "insert", "log"}
    assert intake.calls() == {"running": 0, "waiting": 0}


async def test_a_connection_is_kept_after_a_refusal_and_dropped_after_a_fault(
    native_database: TestDatabase,
) -> None:
    async with intake_of(native_database.url) as intake:
        first = await intake.run(pid)
        assert await intake.run(pid) == first
        with pytest.raises(ImportRefused):
            await intake.deliver(lambda: rows_table([]), delivery())
        assert await intake.run(pid) == first

        def fail(connection: Connection) -> None:
            raise ValueError("a fault of ours")

        with pytest.raises(ValueError, match="of ours"):
            await intake.run(fail)
        second = await intake.run(pid)
        assert second != first
        # A server that has ended the connection meanwhile is noticed before the work begins.
        with psycopg.connect(native_database.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (second,))
        assert await intake.run(pid) not in {first, second}


async def test_calls_run_in_their_order_and_no_more_wait_than_may(database: TestDatabase) -> None:
    async with intake_of(database.url, waiting=3) as intake:
        gate = Gate()
        order: list[int] = []

        def noting(number: int, connection: Connection) -> None:
            order.append(number)

        running = asyncio.create_task(intake.run(gate))
        await gate.entered()
        waiting = []
        for number in range(3):
            waiting.append(asyncio.create_task(intake.run(partial(noting, number))))
            await asyncio.sleep(0)
        assert intake.calls() == {"running": 1, "waiting": 3}
        for _ in range(2):
            with pytest.raises(Overloaded) as refused:
                await intake.run(pid)
            assert 1 <= refused.value.retry_after_s <= 60
            assert refused.value.details == {"retry_after_s": refused.value.retry_after_s}
        with pytest.raises(Overloaded):
            intake.admit()
        assert intake.refused == 3
        closed: list[int] = []
        with pytest.raises(Overloaded):
            await intake.deliver(lambda: rows_table([]), delivery(), after=lambda: closed.append(1))
        assert closed == [1]
        admitted = asyncio.create_task(
            intake.deliver(lambda: rows_table([]), delivery(), admitted=True)
        )
        gate.go.set()
        assert await running == "done"
        await asyncio.gather(*waiting)
        assert order == [0, 1, 2]
        with pytest.raises(ImportRefused):
            await admitted
        intake.admit()
        assert intake.calls() == {"running": 0, "waiting": 0}


async def test_writers_work_at_the_same_time(native_database: TestDatabase) -> None:
    async with intake_of(native_database.url, writers=2, waiting=0) as intake:
        gates = [Gate(), Gate()]
        tasks = [asyncio.create_task(intake.run(gate)) for gate in gates]
        for gate in gates:
            await gate.entered()
        with pytest.raises(Overloaded):
            await intake.run(pid)
        for gate in gates:
            gate.go.set()
        assert await asyncio.gather(*tasks) == ["done", "done"]


async def test_a_cancelled_caller_leaks_nothing(
    database: TestDatabase, connection: Connection, symbol: str
) -> None:
    async with intake_of(database.url) as intake:
        gate, closed = Gate(), []
        running = asyncio.create_task(intake.run(gate))
        await gate.entered()
        waiting = asyncio.create_task(
            intake.deliver(
                lambda: rows_table([trade(symbol)]), delivery(), after=lambda: closed.append("w")
            )
        )
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert closed == ["w"]
        assert intake.calls() == {"running": 1, "waiting": 0}
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert intake.calls() == {"running": 1, "waiting": 0}
        gate.go.set()
        await until(lambda: intake.calls() == {"running": 0, "waiting": 0})
        assert await intake.run(lambda connection: 7) == 7
        assert trades_of(connection, symbol) == []


async def test_a_delivery_that_runs_is_stored_though_its_caller_is_gone(
    native_database: TestDatabase, symbol: str
) -> None:
    begun, go = threading.Event(), threading.Event()

    def opening() -> Any:
        begun.set()
        assert go.wait(30)
        return rows_table([trade(symbol)])

    async with intake_of(native_database.url) as intake:
        closed: list[int] = []
        caller = asyncio.create_task(
            intake.deliver(opening, delivery(), after=lambda: closed.append(1))
        )
        assert await asyncio.to_thread(begun.wait, 30)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert closed == []
        go.set()
        await until(lambda: closed == [1])
        assert len(await intake.run(lambda connection: trades_of(connection, symbol))) == 1
    assert intake.tally.batches() == {"TRADES": 1}


async def test_deliveries_are_tried_again_after_a_lost_connection(
    native_database: TestDatabase, symbol: str
) -> None:
    attempts = []

    async with intake_of(native_database.url) as intake:

        def opening() -> Any:
            attempts.append(1)
            if len(attempts) < 3:
                with psycopg.connect(native_database.url, autocommit=True) as other:
                    other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'tickgraph' AND datname = current_database()"
                    )
            return rows_table([trade(symbol)])

        receipt = await intake.deliver(opening, delivery())
        assert receipt.counts.stored == 1
        assert len(attempts) == 3


@pytest.mark.parametrize("repeatable", [True, False])
async def test_only_repeatable_work_is_tried_again(
    native_database: TestDatabase, repeatable: bool
) -> None:
    attempts = []

    def deadlocked(connection: Connection) -> int:
        attempts.append(1)
        if len(attempts) < 3:
            connection.execute("DO $$ BEGIN RAISE EXCEPTION 'd' USING ERRCODE = '40P01'; END $$")
        return 7

    async with intake_of(native_database.url) as intake:
        if repeatable:
            assert await intake.run(deadlocked, repeatable=True) == 7
            assert len(attempts) == 3
        else:
            with pytest.raises(Exception, match="refused a statement: d"):
                await intake.run(deadlocked)
            assert len(attempts) == 1


async def test_faults_that_stay_come_out_after_a_bounded_number_of_attempts(
    native_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ingestion.writer.PAUSES_S", (0.01, 0.01))
    attempts = []

    def lost(connection: Connection) -> None:
        attempts.append(1)
        connection.close()
        connection.execute("SELECT 1")

    async with intake_of(native_database.url) as intake:
        with pytest.raises(DatabaseUnavailable):
            await intake.run(lost, repeatable=True)
        assert len(attempts) == 3
        assert await intake.run(lambda connection: 7) == 7


async def test_no_database_is_said_at_once() -> None:
    async with intake_of("postgresql://127.0.0.1:1/none") as intake:
        with pytest.raises(DatabaseUnusable):
            await intake.deliver(lambda: rows_table([trade("X")]), delivery())


async def test_the_end_waits_for_what_runs_and_refuses_what_waits(
    native_database: TestDatabase,
) -> None:
    async with intake_of(native_database.url) as intake:
        gate = Gate()
        running = asyncio.create_task(intake.run(gate))
        await gate.entered()
        waiting = asyncio.create_task(intake.run(pid))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(intake.close())
        await asyncio.sleep(0.1)
        assert not closing.done()
        with pytest.raises(Overloaded, match="about to end"):
            await intake.run(pid)
        gate.go.set()
        await closing
        assert await running == "done"
        with pytest.raises(Overloaded, match="about to end"):
            await waiting


async def test_the_end_cancels_what_takes_too_long(native_database: TestDatabase) -> None:
    async with intake_of(native_database.url) as intake:
        running = asyncio.create_task(
            intake.run(lambda connection: connection.execute("SELECT pg_sleep(50)"))
        )
        await until(lambda: intake.calls()["running"] == 1)
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await intake.close(timeout_s=0.2)
        assert time.monotonic() - began < 5
        with pytest.raises(QueryTimeout):
            await running
