"""Tell the records that can be stored from those that are refused, each of these with its reasons.

Three looks, each at what the one before has left: at the record alone; at what its symbol means;
and at what is expected of that instrument at that time. Only the last one's rules may be waived.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from app.ingestion.symbols import Symbols
from app.validation import rules
from app.validation.reasons import Reason

Rule = tuple[Reason, pl.Expr]
Place = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What records are held against beside their own fields.

    `now` is when they came in (aware), `future_tolerance` how far ahead of it their times may be.
    Those before `kept_from` are too old; None: all are kept. Of the rules in `waived`, those that
    may be waived refuse nothing.
    """

    now: datetime
    future_tolerance: timedelta = timedelta(seconds=60)
    kept_from: datetime | None = None
    waived: frozenset[Reason] = frozenset()


def judge(
    rows: pl.DataFrame,
    symbols: Symbols,
    place: Place,
    limits: Limits,
    *,
    alone: Sequence[Rule],
    prices: Sequence[str],
    ahead: timedelta = timedelta(0),
    expected: Sequence[Rule] = (),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the rows to store, and line and reasons of the others.

    The rows have symbol, event_time and the columns that the rules need. `alone` judges a record by
    itself, `expected` adds to what is expected of every kind; `prices` are its columns of prices.
    `ahead` is how much later than its beginning a record may be stamped. `place` gives resolved
    rows their session and trading_date.

    Instruments are looked up only for rows that pass the first look, and made only for rows that
    pass all.
    """
    too_old = (Reason.TOO_OLD, rules.too_old("event_time", limits.kept_from))
    rows, broken = _split(rows, [(Reason.BAD_SYMBOL, rules.bad_symbol()), *alone, too_old])
    rows = symbols.resolve(rows)
    unknown = (Reason.UNKNOWN_SYMBOL, pl.col("instrument_id").is_null() & ~pl.col("is_new"))
    rows, nameless = _split(rows, [unknown])
    rows = place(rows)
    wanted = [
        (
            Reason.IN_FUTURE,
            rules.in_future("event_time", limits.now, limits.future_tolerance + ahead),
        ),
        (Reason.PRICE_NOT_POSITIVE, rules.not_positive(*prices)),
        *expected,
    ]
    # Most instruments have neither: then there are no such columns, and nothing to compute.
    if "tick" in rows.columns:
        wanted.append((Reason.OFF_TICK, rules.off_tick(*prices)))
    if "listed_on" in rows.columns:
        wanted.append((Reason.NOT_LISTED, rules.not_listed("trading_date")))
    waived = {reason for reason in limits.waived if reason.may_be_waived}
    rows, unexpected = _split(rows, [rule for rule in wanted if rule[0] not in waived])
    if rows["is_new"].any():
        rows = place(symbols.make(rows))
    return rows, pl.concat([broken, nameless, unexpected]).sort("line")


def _split(rows: pl.DataFrame, judged_by: Sequence[Rule]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the rows that break no rule, and line and reasons of the others."""
    none = pl.DataFrame(schema={"line": pl.Int64, "reasons": pl.List(pl.String)})
    if not judged_by:
        return rows, none
    is_good = ~pl.any_horizontal(broken.fill_null(value=False) for _, broken in judged_by)
    good = rows.select(is_good.alias("is_good"))["is_good"]
    if good.all():
        return rows, none
    bad = rows.filter(~good).select("line", rules.reasons(judged_by).alias("reasons"))
    return rows.filter(good), bad
