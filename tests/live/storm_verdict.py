"""Hold what a client has merged to what the database has."""

from collections.abc import Mapping

import psycopg

from tests.live.storm_clients import Base, Client

Rows = Mapping[str, tuple[int, bool, str]]


def rows_of(url: str) -> Rows:
    """Give each trade as it is: batch, cancelled, price and size."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT trade_id::text, batch_id, cancelled, concat_ws(' ', price, size) FROM trade"
        ).fetchall()
    return {each[0]: (each[1], each[2], each[3]) for each in rows}


def amiss(client: Client, base: Base, rows: Rows) -> list[str]:
    """Say in which ways a client's merged stream is not the database."""
    seen, found = client.seen, list(client.fatal)
    state = seen.state
    wanted = {key: value for key, value in base.items() if value is not None}
    found += [f"missing {key}" for key in wanted.keys() - state.keys()]
    found += [f"{key} is gone, not {state[key]}" for key in state.keys() - wanted.keys()]
    found += [
        f"{key}: {state[key]}, not {wanted[key]}"
        for key in wanted.keys() & state.keys()
        if wanted[key] != state[key]
    ]
    since = seen.first["trades"]
    for trade_id, (batch_id, cancelled, content) in rows.items():
        if batch_id <= since:
            continue
        if not seen.versions[trade_id, batch_id]:
            found.append(f"trade {trade_id} of batch {batch_id} is missing")
            continue
        revision, trade = seen.trades[trade_id]
        told = f"{trade['price']} {trade['size']}"
        if (revision, trade["gone"], told) != (batch_id, cancelled, content):
            found.append(f"trade {trade_id}: {revision} {trade}, not {batch_id} {content}")
    found += [f"trade {key} came {n} times" for key, n in seen.versions.items() if n > 1]
    found += [f"{key} came {n} times" for key, n in seen.changes.items() if n > 1]
    return found
