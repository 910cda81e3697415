"""How quotes are asked for and made of rows, and how far they are first looked for."""

from datetime import timedelta

from app.market.candle import Session
from app.market.quote import Quote
from app.storage.reader import Row

# A chunk is a day, and a market may be closed for a long weekend.
FIRST_LOOK = timedelta(days=4)

COLUMNS = "event_time, quote_id, bid, ask, bid_size, ask_size, session, trading_date"


def quote_of(row: Row) -> Quote:
    """Make a quote of a row with the table's columns."""
    return Quote(
        time=row["event_time"],
        quote_id=row["quote_id"],
        bid=row["bid"],
        ask=row["ask"],
        bid_size=row["bid_size"],
        ask_size=row["ask_size"],
        session=Session(row["session"]),
        trading_date=row["trading_date"],
    )
