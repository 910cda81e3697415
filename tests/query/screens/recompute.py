"""Screens from raw rows in plain Python and Decimal: the truth that answers are held against."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from app.market.candle import Session
from tests.query.screens.listing import Listed, Raw, Split, sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal | None
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    symbol: str
    date: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal | None
    trades: int
    previous_close: Decimal | None
    change: Decimal | None
    change_percent: Decimal | None
    gap_percent: Decimal | None
    average_volume: Decimal | None
    relative_volume: Decimal | None
    high_52_week: Decimal
    low_52_week: Decimal
    new_high: bool | None
    new_low: bool | None


COLUMNS = [each.name for each in fields(Row)]


def days_of(listed: Listed, raws: Iterable[Raw], session: Session | None = None) -> dict[date, Day]:
    """Group an instrument's rows by trading date."""
    groups: dict[date, list[Raw]] = {}
    for raw in sorted(raws, key=lambda each: each.time):
        if session is None or raw.session is session:
            groups.setdefault(raw.day, []).append(raw)
    return {
        day: Day(
            open=group[0].open,
            high=max(each.high for each in group),
            low=min(each.low for each in group),
            close=group[-1].close,
            volume=sum((each.volume for each in group), Decimal(0)),
            notional=sum((each.close * each.volume for each in group), Decimal(0))
            if listed.kind == "trades"
            else None,
            trades=sum(each.trades for each in group),
        )
        for day, group in groups.items()
    }


class Truth:
    """All instruments' days, and what a screen of them must give."""

    def __init__(
        self, listed: Sequence[Listed], raws: Iterable[Raw], splits: Sequence[Split]
    ) -> None:
        self._listed = {each.symbol: each for each in listed}
        self._raws: dict[str, list[Raw]] = {each.symbol: [] for each in listed}
        for raw in raws:
            self._raws[raw.symbol].append(raw)
        self._splits = splits
        self._dates = {mic: sessions(mic) for mic in {each.exchange for each in listed}}

    def present(self) -> dict[str, date]:
        """Give each exchange's newest date with data."""
        newest: dict[str, date] = {}
        for symbol, raws in self._raws.items():
            mic = self._listed[symbol].exchange
            newest[mic] = max([newest.get(mic, date.min), *(raw.day for raw in raws)])
        return newest

    def rows(
        self, dates: Mapping[str, date], *, session: Session | None = None, adjust: bool = True
    ) -> list[Row]:
        """Give the rows of all instruments that have a day on their exchange's date."""
        found = []
        for symbol, listed in self._listed.items():
            days = days_of(listed, self._raws[symbol], session)
            on = dates[listed.exchange]
            if on in days:
                splits = [each for each in self._splits if each.symbol == symbol and adjust]
                found.append(self._row(listed, days, on, splits))
        return found

    def exceeded(self, row: Row, count: int, dates: Mapping[str, date], *, above: bool) -> bool:
        """Tell whether a row is a new high or low of so many trading dates."""
        listed = self._listed[row.symbol]
        on = dates[listed.exchange]
        splits = [each for each in self._splits if each.symbol == row.symbol]
        days = days_of(listed, self._raws[row.symbol])
        since = self._back(listed.exchange, on, count)
        past = _in_terms_of(on, {d: x for d, x in days.items() if since <= d < on}, splits)
        if above:
            return bool(past) and row.high > max(each.high for each in past.values())
        return bool(past) and row.low < min(each.low for each in past.values())

    def _back(self, mic: str, on: date, count: int) -> date:
        return [each for each in self._dates[mic] if each < on][-count]

    def _row(
        self, listed: Listed, days: Mapping[date, Day], on: date, splits: Sequence[Split]
    ) -> Row:
        today = days[on]
        year = {d: x for d, x in days.items() if on - timedelta(days=364) <= d < on}
        year = _in_terms_of(on, year, splits)
        before = year[max(year)].close if year else None
        since = self._back(listed.exchange, on, 20)
        volumes = [each.volume for day, each in year.items() if day >= since]
        average = Fraction(sum(volumes)) / len(volumes) if volumes else None
        highs, lows = [x.high for x in year.values()], [x.low for x in year.values()]
        return Row(
            symbol=listed.symbol,
            date=on,
            open=today.open,
            high=today.high,
            low=today.low,
            close=today.close,
            volume=today.volume,
            notional=today.notional,
            trades=today.trades,
            previous_close=before,
            change=None if before is None else today.close - before,
            change_percent=_percent(today.close, before),
            gap_percent=_percent(today.open, before),
            average_volume=None if average is None else _rounded(average, 6),
            relative_volume=_rounded(Fraction(today.volume) / average, 6) if average else None,
            high_52_week=max([today.high, *highs]),
            low_52_week=min([today.low, *lows]),
            new_high=today.high > max(highs) if highs else None,
            new_low=today.low < min(lows) if lows else None,
        )


def _in_terms_of(on: date, days: Mapping[date, Day], splits: Sequence[Split]) -> dict[date, Day]:
    """Divide what was before a split by its ratio, up to the date, and multiply the volume."""
    found = {}
    for day, own in days.items():
        ratio = Fraction(1)
        for split in splits:
            if day < split.day <= on:
                ratio *= Fraction(split.new, split.old)
        if ratio == 1:
            found[day] = own
            continue
        found[day] = Day(
            open=_rounded(Fraction(own.open) / ratio, 10),
            high=_rounded(Fraction(own.high) / ratio, 10),
            low=_rounded(Fraction(own.low) / ratio, 10),
            close=_rounded(Fraction(own.close) / ratio, 10),
            volume=_rounded(Fraction(own.volume) * ratio, 10),
            notional=own.notional,
            trades=own.trades,
        )
    return found


def _percent(value: Decimal, before: Decimal | None) -> Decimal | None:
    if before is None or before <= 0:
        return None
    return _rounded((Fraction(value) - Fraction(before)) * 100 / Fraction(before), 6)


def _rounded(value: Fraction, places: int) -> Decimal:
    """Round half away from zero."""
    with localcontext() as context:
        context.prec = 100
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        return exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
