import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

Pg: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def test_parameters_of_every_common_type_come_back(pg: Pg) -> None:
    await pg.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    sent: list[Any] = [
        {"a": [1, 2]},
        Decimal("123456789.123456789"),
        datetime(2024, 1, 2, 3, 4, 5, 678901, UTC),
        1.5,
        [1, 2**40],
        timedelta(hours=5),
        b"\x00\xff",
        UUID("12345678-1234-5678-1234-567812345678"),
        date(2024, 2, 29),
        "é",
    ]
    types = ["jsonb", "numeric", "timestamptz", "float8", "int8[]", "interval", "bytea", "uuid"]
    types += ["date", "text"]
    columns = ", ".join(f"${i}::{name}" for i, name in enumerate(types, 1))
    row = await pg.fetchrow(f"SELECT {columns}", *sent)
    assert row is not None
    assert list(row.values()) == sent


async def test_prepared_statement_runs_many_times(pg: Pg) -> None:
    statement = await pg.prepare("SELECT $1::int + 1")
    for i in range(50):
        assert await statement.fetchval(i) == i + 1


async def test_connections_with_equal_statement_names_do_not_meet(url: str, pg: Pg) -> None:
    other = await asyncpg.connect(url)
    one, two = await pg.prepare("SELECT $1::int"), await other.prepare("SELECT $1::text")
    assert await one.fetchval(1) == 1
    assert await two.fetchval("z") == "z"
    assert await one.fetchval(2) == 2
    await other.close()
    assert await one.fetchval(3) == 3


@pytest.mark.parametrize("cache_size", [0, 100])
async def test_unnamed_statements_survive_another_connection(url: str, cache_size: int) -> None:
    one = await asyncpg.connect(url, statement_cache_size=cache_size)
    two = await asyncpg.connect(url, statement_cache_size=cache_size)
    for i in range(20):
        number, text = await asyncio.gather(
            one.fetchval("SELECT $1::int", i), two.fetchval("SELECT $1::text", str(i))
        )
        assert (number, text) == (i, str(i))
    await asyncio.gather(one.close(), two.close())


@pytest.mark.parametrize("count", [1, 100, 20_000])
async def test_binary_copy_in_stores_every_row(pg: Pg, table: str, count: int) -> None:
    records = [(i, f"name {i}", Decimal(i) / 8) for i in range(count)]
    assert await pg.copy_records_to_table(table, records=records) == f"COPY {count}"
    stored = await pg.fetchrow("SELECT count(*), sum(price) FROM item")
    assert stored is not None
    assert tuple(stored) == (count, sum(record[2] for record in records))


async def test_text_copy_round_trips(pg: Pg, table: str) -> None:
    source = b"".join(b"%d,name %d,%d.5\n" % (i, i, i) for i in range(1000))
    await pg.copy_to_table(table, source=io.BytesIO(source), format="csv")
    target = io.BytesIO()
    query = "SELECT id, name, price FROM item ORDER BY id"
    assert await pg.copy_from_query(query, output=target, format="csv") == "COPY 1000"
    assert target.getvalue() == source


async def test_copy_error_reaches_the_client_and_stores_nothing(pg: Pg, table: str) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await pg.copy_records_to_table(table, records=[(1, "a", None)] * 2)
    with pytest.raises(asyncpg.UndefinedTableError):
        await pg.copy_records_to_table("no_such_table", records=[(1,)])
    assert await pg.fetchval("SELECT count(*) FROM item") == 0


async def test_copy_given_up_by_the_client_stores_nothing(pg: Pg, table: str) -> None:
    async def records() -> AsyncIterator[tuple[int, str, None]]:
        yield (1, "a", None)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await pg.copy_records_to_table(table, records=records())
    assert await pg.fetchval("SELECT count(*) FROM item") == 0


async def test_copy_in_a_transaction_is_rolled_back(pg: Pg, table: str) -> None:
    transaction = pg.transaction()
    await transaction.start()
    await pg.copy_records_to_table(table, records=[(1, "a", None)])
    assert await pg.fetchval("SELECT count(*) FROM item") == 1
    await transaction.rollback()
    assert await pg.fetchval("SELECT count(*) FROM item") == 0


async def test_savepoint_undoes_only_the_inner_block(pg: Pg, table: str) -> None:
    async with pg.transaction():
        await pg.execute("INSERT INTO item VALUES (1)")
        with pytest.raises(asyncpg.UniqueViolationError):
            async with pg.transaction():
                await pg.execute("INSERT INTO item VALUES (2), (1)")
        await pg.execute("INSERT INTO item VALUES (3)")
    assert [row["id"] for row in await pg.fetch("SELECT id FROM item ORDER BY id")] == [1, 3]


async def test_failed_transaction_refuses_until_it_is_rolled_back(pg: Pg) -> None:
    transaction = pg.transaction()
    await transaction.start()
    with pytest.raises(asyncpg.UndefinedTableError):
        await pg.execute("SELECT * FROM no_such_table")
    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await pg.fetchval("SELECT 1")
    await transaction.rollback()
    assert await pg.fetchval("SELECT 1") == 1


async def test_error_in_prepare_leaves_the_connection_usable(pg: Pg) -> None:
    for _ in range(3):
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await pg.prepare("SELEC 1")
        assert await pg.fetchval("SELECT $1::int", 7) == 7


async def test_executemany_stores_every_row(pg: Pg, table: str) -> None:
    await pg.executemany("INSERT INTO item VALUES ($1, $2)", [(i, "x") for i in range(20_000)])
    assert await pg.fetchval("SELECT count(*) FROM item") == 20_000


async def test_executemany_is_undone_by_its_last_row(pg: Pg, table: str) -> None:
    rows = [(i, "x") for i in [*range(5000), 0]]
    with pytest.raises(asyncpg.UniqueViolationError):
        await pg.executemany("INSERT INTO item VALUES ($1, $2)", rows)
    assert await pg.fetchval("SELECT count(*) FROM item") == 0


async def test_cursor_reads_in_portions(pg: Pg) -> None:
    async with pg.transaction():
        total = 0
        async for row in pg.cursor("SELECT generate_series(1, 1000) AS n", prefetch=100):
            total += row["n"]
    assert total == 500_500


async def test_isolation_level_and_read_only_hold(pg: Pg, table: str) -> None:
    async with pg.transaction(isolation="serializable", readonly=True):
        assert await pg.fetchval("SHOW transaction_isolation") == "serializable"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with pg.transaction():
                await pg.execute("INSERT INTO item VALUES (1)")


async def test_transactions_of_two_connections_do_not_mix(url: str, pg: Pg, table: str) -> None:
    other = await asyncpg.connect(url)
    transaction = pg.transaction()
    await transaction.start()
    await pg.execute("INSERT INTO item VALUES (1)")
    waiting = asyncio.create_task(other.execute("INSERT INTO item VALUES (2)"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await transaction.rollback()
    await asyncio.wait_for(waiting, 10)
    assert [row["id"] for row in await other.fetch("SELECT id FROM item")] == [2]
    await other.close()


async def test_server_settings_hold_after_the_pool_resets_the_connection(url: str) -> None:
    wanted = {"application_name": "foo", "timezone": "Asia/Tokyo", "search_path": "pg_catalog"}
    async with asyncpg.create_pool(url, min_size=1, max_size=1, server_settings=wanted) as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                shown = {name: await connection.fetchval(f"SHOW {name}") for name in wanted}
                assert shown == wanted
                await connection.execute("SET timezone = 'Europe/Berlin'; SET work_mem = '9MB'")


async def test_pool_under_load_loses_no_committed_row(url: str, table: str) -> None:
    async def work(pool: "asyncpg.Pool[asyncpg.Record]", worker: int) -> None:
        for i in range(25):
            try:
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute("INSERT INTO item VALUES ($1)", worker * 100 + i)
                    await asyncio.sleep(0.001)
                    if i % 5 == 0:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            assert await pool.fetchval(f"SELECT {i % 7} + $1::int", worker) == worker + i % 7

    async with asyncpg.create_pool(url, min_size=1, max_size=4) as pool:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for worker in range(8):
                group.create_task(work(pool, worker))
        assert await pool.fetchval("SELECT count(*) FROM item") == 8 * 20


async def test_notification_reaches_only_who_listens(url: str, pg: Pg) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()
    elsewhere: list[object] = []
    other = await asyncpg.connect(url)
    await pg.add_listener("here", lambda *event: heard.put_nowait(event[3]))
    await other.add_listener("there", lambda *event: elsewhere.append(event[3]))
    await other.execute("SELECT pg_notify('here', 'a')")
    await pg.execute("NOTIFY here, 'b'")
    async with asyncio.timeout(5):
        assert [await heard.get(), await heard.get()] == ["a", "b"]
    await other.close()
    assert elsewhere == []


async def test_listener_survives_another_pool_connection_being_reset(url: str, pg: Pg) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()
    await pg.add_listener("kept", lambda *event: heard.put_nowait(event[3]))
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        for i in range(3):
            async with pool.acquire() as connection:
                await connection.execute("SELECT pg_notify('kept', $1::text)", str(i))
    async with asyncio.timeout(5):
        assert [await heard.get() for _ in range(3)] == ["0", "1", "2"]


async def test_statement_timeout_cancels_a_running_statement(pg: Pg) -> None:
    async with pg.transaction():
        await pg.execute("SET LOCAL statement_timeout = '300ms'")
        with pytest.raises(asyncpg.QueryCanceledError, match="statement timeout"):
            async with pg.transaction():
                await pg.fetchval("SELECT count(*) FROM generate_series(1, 100000000)")
        assert await pg.fetchval("SELECT 1") == 1
    assert await pg.fetchval("SHOW statement_timeout") == "0"


async def test_queued_query_can_be_cancelled(url: str, pg: Pg, table: str) -> None:
    other = await asyncpg.connect(url)
    async with pg.transaction():
        await pg.execute("INSERT INTO item VALUES (1)")
        with pytest.raises(TimeoutError):
            await other.execute("INSERT INTO item VALUES (2)", timeout=0.3)
        # asyncpg raises first and sends its cancel request then.
        await asyncio.sleep(1)
    assert [row["id"] for row in await other.fetch("SELECT id FROM item")] == [1]
    await other.close()
