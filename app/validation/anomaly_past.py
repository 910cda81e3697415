"""What a watch remembers: the last rows of each instrument, from the database and the delivery.

The database's rows between what was read of it before a delivery and its newest rows are `unseen`.
A delivered row among them is not judged and is no past of others; the rows before and after are two
series, 2 * instrument_id and one more.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import polars as pl

from app.market.instrument import AssetClass
from app.validation.anomaly_rows import DEPTH, NO_ID, Columns, Flags, Floats, Rows, series_starts


class RowKind(StrEnum):
    """What the rows are."""

    TRADES = "TRADES"
    BARS = "BARS"
    QUOTES = "QUOTES"


# Asked for instruments and a time: rows before it and the newest ones, and what lies unseen between
# them as [from, to) by instrument. Columns as `Watch.judge` takes them, without line and class.
Unseen = Mapping[int, tuple[datetime, datetime]]
Recall = Callable[[Sequence[int], datetime], tuple[pl.DataFrame, Unseen]]

NUMBERS = {
    RowKind.TRADES: ("price", "size"),
    RowKind.BARS: ("price", "size", "open", "high", "low"),
    RowKind.QUOTES: ("bid", "ask", "bid_size", "ask_size"),
}
_SERIES = np.int64
_DELIVERED, _RECALLED = -1, -2  # places of rows of earlier chunks, and of the database's
_MOMENT = pl.Datetime("us", "UTC")


class Past:
    """The rows that the next ones are judged by."""

    def __init__(self, kind: RowKind, recall: Recall | None) -> None:
        self._kind = kind
        self._recall = recall
        self._asked: set[int] = set()
        self._unseen: dict[int, tuple[int, int]] = {}
        # From when on all rows of a series are known; everything, where it is not here.
        self._since: dict[int, int] = {}
        self._rows: Columns = {}

    def take(self, rows: pl.DataFrame) -> Rows | None:
        """Give new rows merged with the past of their series, and remember the last of them.

        None where no row is left to be judged.
        """
        if rows.is_empty():
            return None
        new = self._columns(rows)
        self._ask(rows)
        new["place"] = np.arange(rows.height)
        new = self._seen(new)
        if not len(new["series"]):
            return None
        others, past = self._split(new["series"])
        merged = self._sorted(_joined(past, new))
        if self._kind is RowKind.QUOTES:
            merged["price"] = _filled(merged["price"], merged["series"])
        starts = series_starts(merged["series"])
        self._keep(merged, starts, others)
        some = np.maximum(np.maximum.reduceat(merged["place"], starts), 0)
        classes = [AssetClass(each) for each in rows["asset_class"].gather(some)]
        merged["line"] = rows["line"].to_numpy()
        return Rows(columns=merged, starts=starts, classes=classes)

    def _columns(self, rows: pl.DataFrame) -> Columns:
        numbers = rows.select(pl.col(NUMBERS[self._kind]).cast(pl.Float64))
        columns: Columns = {name: numbers[name].to_numpy() for name in numbers.columns}
        columns["series"] = rows["instrument_id"].to_numpy().astype(_SERIES) * 2
        columns["time"] = rows["event_time"].cast(_MOMENT).to_physical().to_numpy()
        columns["date"] = rows["trading_date"].to_physical().to_numpy()
        columns["row_id"] = rows["row_id"].cast(pl.Int64).fill_null(NO_ID).to_numpy()
        if self._kind is RowKind.QUOTES:
            columns["price"] = (columns["bid"] + columns["ask"]) / 2
        return columns

    def _ask(self, rows: pl.DataFrame) -> None:
        """Recall the rows of instruments that come for the first time."""
        if self._recall is None:
            return
        ids = set(rows["instrument_id"].unique()) - self._asked
        if not ids:
            return
        self._asked |= ids
        first = rows.filter(pl.col("instrument_id").is_in(list(ids)))["event_time"].min()
        assert isinstance(first, datetime)
        found, unseen = self._recall(sorted(ids), first)
        for instrument_id, (start, end) in unseen.items():
            edges = pl.Series([start, end]).cast(_MOMENT).to_physical()
            self._unseen[instrument_id] = (edges[0], edges[1])
        if found.is_empty():
            return
        past = self._columns(found)
        past["place"] = np.full(found.height, _RECALLED)
        past = self._sorted(self._seen(past))
        starts = series_starts(past["series"])
        for start, count in zip(starts, np.diff(starts, append=len(past["series"])), strict=True):
            series = int(past["series"][start])
            if count >= DEPTH or series % 2:
                self._since[series] = int(past["time"][start])
        self._rows = _joined(self._rows, past)

    def _seen(self, columns: Columns) -> Columns:
        """Drop rows of unseen stretches, and tell those after them by their series."""
        if not self._unseen:
            return columns
        series, time = columns["series"], columns["time"]
        edges = np.array([(2 * key, *self._unseen[key]) for key in sorted(self._unseen)])
        at = np.minimum(np.searchsorted(edges[:, 0], series), len(edges) - 1)
        own = edges[at, 0] == series
        columns["series"] = series + (own & (time >= edges[at, 2]))
        hidden = own & (time >= edges[at, 1]) & (time < edges[at, 2])
        return _taken(columns, ~hidden) if hidden.any() else columns

    def _split(self, series: npt.NDArray[np.int64]) -> tuple[Columns, Columns]:
        """Give the past of other series than these, and of these."""
        if not self._rows:
            return {}, {}
        own = np.isin(self._rows["series"], np.unique(series))
        return _taken(self._rows, ~own), _taken(self._rows, own)

    def _sorted(self, columns: Columns) -> Columns:
        """Sort by series, time and id; late rows go, and of rows with one key all but the first.

        A row that the database had is no past of the same row delivered: that may correct it.
        """
        order = _order(columns["series"])
        if order is not None:
            columns = _taken(columns, order)
        before, same = _sequence(columns)
        if before.any():
            keys = (columns["row_id"], columns["time"], columns["series"])
            columns = _taken(columns, np.lexsort(keys))
            columns = _taken(columns, ~self._late(columns))
            _, same = _sequence(columns)
        if not same.any():
            return columns
        pairs = np.flatnonzero(same)
        kept = np.ones(len(columns["series"]), dtype=np.bool_)
        kept[pairs + (columns["place"][pairs] != _RECALLED)] = False
        return _taken(columns, kept)

    def _late(self, columns: Columns) -> Flags:
        starts = series_starts(columns["series"])
        series, time = columns["series"], columns["time"]
        always = np.iinfo(_SERIES).min
        since = [self._since.get(int(each), always) for each in series[starts]]
        late: Flags = time < np.repeat(since, np.diff(starts, append=len(time)))
        return late

    def _keep(self, merged: Columns, starts: npt.NDArray[np.int64], others: Columns) -> None:
        """Remember each series from the 65th row before the end of what was delivered of it."""
        places = np.arange(len(merged["series"]))
        delivered = np.where(merged["place"] > _RECALLED, places, -1)
        newest = np.maximum.reduceat(delivered, starts)
        first = np.maximum(newest - DEPTH + 1, starts)
        lengths = np.diff(starts, append=len(places))
        for at in np.flatnonzero(first > starts):
            self._since[int(merged["series"][first[at]])] = int(merged["time"][first[at]])
        kept = _taken(merged, places >= np.repeat(first, lengths))
        kept["place"] = np.minimum(kept["place"], _DELIVERED)
        self._rows = _joined(others, kept)


def _order(series: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """Give the stable order by series; None where they are in it. Sixteen bits sort in one pass."""
    if (series[1:] >= series[:-1]).all():
        return None
    low = series.min()
    if series.max() - low < 65_536:
        return np.argsort((series - low).astype(np.uint16), kind="stable")
    return np.argsort(series, kind="stable")


def _sequence(columns: Columns) -> tuple[Flags, Flags]:
    """Tell the pairs of rows of a series that are out of order, and those with the same key."""
    series, time, row_id = columns["series"], columns["time"], columns["row_id"]
    own = series[1:] == series[:-1]
    tie = own & (time[1:] == time[:-1])
    before = own & (time[1:] < time[:-1])
    if not tie.any():
        return before, tie
    return before | (tie & (row_id[1:] < row_id[:-1])), (
        tie & (row_id[1:] == row_id[:-1]) & (row_id[1:] != NO_ID)
    )


def _filled(price: Floats, series: npt.NDArray[np.int64]) -> Floats:
    """Carry the mid forward to quotes of one side; before any mid there is none to compare with."""
    missing = np.isnan(price)
    if not missing.any():
        return price
    starts = series_starts(series)
    places = np.where(missing, 0, np.arange(len(price)))
    places[starts] = starts
    return price[np.maximum.accumulate(places)]


def _taken(columns: Columns, where: npt.NDArray[np.int64] | Flags) -> Columns:
    places = np.flatnonzero(where) if where.dtype == np.bool_ else where
    return {name: values.take(places) for name, values in columns.items()}


def _joined(first: Columns, second: Columns) -> Columns:
    if not first or not len(first["series"]):
        return second
    return {name: np.concatenate([first[name], second[name]]) for name in second}
