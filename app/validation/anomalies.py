"""Rows that are stored and look odd: the table of rules, and the watch that applies it.

Scores are statistics, so exact decimals become floats here; nothing that is stored does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import polars as pl

from app.market.instrument import AssetClass
from app.validation import anomaly_scores as scores
from app.validation.anomaly_past import Past, Recall, RowKind
from app.validation.anomaly_rows import NO_ID, Floats, Rows


class Severity(StrEnum):
    """How much a flag asks for attention."""

    INFO = "INFO"
    WARNING = "WARNING"
    ALERT = "ALERT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to be odd: flagged where the score reaches the threshold of the asset class.

    A class whose threshold is infinite is not judged.
    """

    name: str
    kinds: frozenset[RowKind]
    severity: Severity
    threshold: float
    by_class: Mapping[AssetClass, float] = field(default_factory=dict)
    sentence: str
    score: Callable[[Rows, Floats], scores.Found]


_TRADES, _BARS, _QUOTES = RowKind.TRADES, RowKind.BARS, RowKind.QUOTES
_NEVER = float("inf")
_SHARES = (AssetClass.EQUITY, AssetClass.ETF, AssetClass.FUND, AssetClass.CRYPTO)

RULES = (
    Rule(
        name="PRICE_JUMP",
        kinds=frozenset(RowKind),
        severity=Severity.WARNING,
        threshold=8.0,
        by_class={AssetClass.CRYPTO: 10.0, AssetClass.OPTION: 12.0},
        sentence="The price is further from both prices before it than so many times the usual"
        " move.",
        score=scores.price_jump,
    ),
    Rule(
        name="SPLIT_LIKE",
        kinds=frozenset({_TRADES, _BARS}),
        severity=Severity.ALERT,
        threshold=_NEVER,
        by_class=dict.fromkeys(_SHARES, 5.0),
        sentence="The first price of a trading date is that of the date before times the ratio of"
        " a usual split, and so many times the usual move away from it.",
        score=scores.split_like,
    ),
    Rule(
        name="RANGE_SPIKE",
        kinds=frozenset({_BARS}),
        severity=Severity.WARNING,
        threshold=8.0,
        by_class={AssetClass.CRYPTO: 10.0, AssetClass.OPTION: 12.0},
        sentence="High and low are so many times further apart than usual.",
        score=scores.range_spike,
    ),
    Rule(
        name="VOLUME_SPIKE",
        kinds=frozenset({_TRADES, _BARS}),
        severity=Severity.INFO,
        threshold=6.0,
        by_class={AssetClass.CRYPTO: 8.0, AssetClass.OPTION: 8.0},
        sentence="The log of the size is so many times its usual deviation above its median.",
        score=scores.volume_spike,
    ),
    Rule(
        name="STALE_REPEAT",
        kinds=frozenset({_BARS}),
        severity=Severity.WARNING,
        threshold=4.0,
        sentence="So many bars in a row are the same in all prices and the volume.",
        score=scores.stale_repeat,
    ),
    Rule(
        name="STALE_REPEAT",
        kinds=frozenset({_TRADES, _QUOTES}),
        severity=Severity.INFO,
        threshold=32.0,
        by_class={AssetClass.CRYPTO: 24.0, AssetClass.OPTION: 48.0},
        sentence="So many rows in a row are the same in prices and sizes.",
        score=scores.stale_repeat,
    ),
    Rule(
        name="SEQUENCE_GAP",
        kinds=frozenset({_TRADES, _QUOTES}),
        severity=Severity.WARNING,
        threshold=1.0,
        sentence="At least so many ids are missing before this one, and ids follow each other as"
        " a rule.",
        score=scores.sequence_gap,
    ),
    Rule(
        name="LOCKED_QUOTE",
        kinds=frozenset({_QUOTES}),
        severity=Severity.INFO,
        threshold=1.0,
        sentence="Bid and ask have become equal.",
        score=scores.locked_quote,
    ),
)

FLAGS: dict[str, pl.DataType | type[pl.DataType]] = {
    "line": pl.Int64,
    "instrument_id": pl.Int32,
    "event_time": pl.Datetime("us", "UTC"),
    "row_id": pl.Int64,
    "rule": pl.String,
    "severity": pl.String,
    "score": pl.Float64,
    "threshold": pl.Float64,
}


class Watch:
    """Judges the accepted rows of one delivery, chunk by chunk.

    Rows in time order get the same flags however they are cut into chunks. Rows of a chunk may be
    in any order; one that comes in a later chunk than rows after it is judged by the rows before
    it in time where these are still known, otherwise not at all.
    """

    def __init__(
        self, kind: RowKind, recall: Recall | None = None, rules: tuple[Rule, ...] = RULES
    ) -> None:
        self._rules = [rule for rule in rules if kind in rule.kinds]
        self._past = Past(kind, recall)

    def judge(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give the flags of rows, by line and rule; they become the past of the next.

        Columns: line (int), instrument_id (int), asset_class (text), event_time (UTC),
        trading_date (date), row_id (trade_id or quote_id, null where there is none; 0 for bars)
        and, as text, decimals or floats: price and size of TRADES; open, high, low, price (the
        close) and size (the volume) of BARS; bid, ask, bid_size and ask_size of QUOTES, null where
        a side is missing.
        """
        merged = self._past.take(rows)
        if merged is None:
            return pl.DataFrame(schema=FLAGS)
        found = [flags for rule in self._rules if (flags := self._flags(rule, merged)) is not None]
        return pl.concat(found).sort("line", "rule") if found else pl.DataFrame(schema=FLAGS)

    def _flags(self, rule: Rule, rows: Rows) -> pl.DataFrame | None:
        threshold = rows.by_class(rule.by_class, rule.threshold)
        if np.isinf(threshold[0]) and threshold.strides == (0,):
            return None
        k, score = rule.score(rows, threshold)
        new = rows.new[k]
        k, score = k[new], score[new]
        if not len(k):
            return None
        ids = pl.Series(rows["row_id"][k])
        return pl.DataFrame(
            {
                "line": rows["line"][rows["place"][k]],
                "instrument_id": rows["series"][k] // 2,
                "event_time": pl.Series(rows["time"][k]).cast(pl.Datetime("us", "UTC")),
                "row_id": ids.set(ids == NO_ID, None),
                "rule": pl.repeat(rule.name, len(k), eager=True),
                "severity": pl.repeat(rule.severity.value, len(k), eager=True),
                "score": score,
                "threshold": threshold[k],
            }
        ).cast(FLAGS)  # type: ignore[arg-type]
