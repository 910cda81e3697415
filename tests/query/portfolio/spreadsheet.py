"""A portfolio as a spreadsheet would have it: a row a day, loops and fractions; the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

Number = Fraction


@dataclass(kw_only=True)
class Line:
    """One transaction; `amount` of cash for what is no trade."""

    day: date
    kind: str
    symbol: str | None = None
    quantity: Fraction = Fraction(0)
    price: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    amount: Fraction = Fraction(0)
    currency: str | None = None


@dataclass(kw_only=True)
class Sheet:
    """Closes by symbol and day, each symbol's currency, and rates to the currency by day."""

    closes: Mapping[str, Mapping[date, Fraction]]
    currencies: Mapping[str, str]
    rates: Mapping[str, Mapping[date, Fraction]]
    currency: str
    lines: Sequence[Line]
    method: str = "FIFO"
    cash: Fraction | None = None


@dataclass(kw_only=True)
class Row:
    """What is known at the end of a day."""

    day: date
    value: Fraction | None
    cash: Fraction
    cost: Fraction
    invested: Fraction
    flow: Fraction
    realised: Fraction
    income: Fraction
    held: dict[str, Fraction]
    worth: dict[str, Fraction | None]
    paid: dict[str, Fraction]
    flows: list[Fraction] = field(default_factory=list)


def last(known: Mapping[date, Fraction], day: date) -> Fraction | None:
    days = [each for each in known if each <= day]
    return known[max(days)] if days else None


def rate(sheet: Sheet, currency: str, day: date) -> Fraction | None:
    return Fraction(1) if currency == sheet.currency else last(sheet.rates[currency], day)


def rows(sheet: Sheet, days: Sequence[date]) -> list[Row]:
    """Go through the days; lines of days between them count to the next, earlier to the first."""
    account = sheet.cash is not None or any(
        line.kind in ("DEPOSIT", "WITHDRAWAL") for line in sheet.lines
    )
    cash = invested = sheet.cash or Fraction(0)
    realised = income = Fraction(0)
    lots: dict[str, list[list[Fraction]]] = {}
    todo = sorted(sheet.lines, key=lambda line: line.day)
    found = []
    for day in days:
        flows: list[Fraction] = []
        paid: dict[str, Fraction] = {}
        while todo and todo[0].day <= day:
            line = todo.pop(0)
            own = line.currency or (sheet.currencies[line.symbol] if line.symbol else None)
            fx = Fraction(1) if own is None else rate(sheet, own, line.day)
            assert fx is not None
            if line.kind in ("DEPOSIT", "WITHDRAWAL"):
                amount = line.amount * fx * (1 if line.kind == "DEPOSIT" else -1)
                cash += amount
                invested += amount
                flows.append(amount)
                continue
            assert line.symbol is not None
            own_lots = lots.setdefault(line.symbol, [])
            if line.kind == "DIVIDEND":
                out = -(line.amount - line.fees) * fx
                income -= out
            else:
                signed = line.quantity * (1 if line.kind == "BUY" else -1)
                out = (signed * line.price + line.fees) * fx
                realised += trade(own_lots, signed, out, sheet.method)
            paid[line.symbol] = paid.get(line.symbol, Fraction(0)) + out
            if account:
                cash -= out
            else:
                invested += out
                flows.append(out)
        held = {symbol: sum((lot[0] for lot in own), Fraction(0)) for symbol, own in lots.items()}
        worth: dict[str, Fraction | None] = {}
        for symbol, quantity in held.items():
            close, fx = last(sheet.closes[symbol], day), rate(sheet, sheet.currencies[symbol], day)
            known = close is not None and fx is not None
            worth[symbol] = Fraction(0) if not quantity else None
            if known and quantity:
                worth[symbol] = quantity * close * fx  # type: ignore[operator]
        parts = list(worth.values())
        value = None if None in parts else sum((each for each in parts if each), cash)
        found.append(
            Row(
                day=day,
                value=value,
                cash=cash,
                cost=sum((lot[1] for own in lots.values() for lot in own), Fraction(0)),
                invested=invested,
                flow=sum(flows, Fraction(0)),
                realised=realised,
                income=income,
                held=held,
                worth=worth,
                paid=paid,
                flows=flows,
            )
        )
    return found


def trade(lots: list[list[Fraction]], signed: Fraction, out: Fraction, method: str) -> Fraction:
    """Sell unit lots off or add one; units of the other sign are closed first."""
    unit = out / signed  # signed: what one unit cost or brought, fees included
    left, gained = signed, Fraction(0)
    while left and lots and (lots[0][0] > 0) != (left > 0):
        lot = lots[0]
        closed = min(abs(lot[0]), abs(left))
        sign = 1 if lot[0] > 0 else -1
        cost = lot[1] / lot[0] * closed * sign
        gained += unit * closed * sign - cost
        lot[0] -= closed * sign
        lot[1] -= cost
        left += closed * sign
        if not lot[0]:
            lots.pop(0)
    if left:
        if method == "AVERAGE" and lots:
            lots[0][0] += left
            lots[0][1] += unit * left
        else:
            lots.append([left, unit * left])
    return gained


def returns(table: Sequence[Row], opening: Fraction) -> list[Fraction | None]:
    """Give the growth less one, row by row; all values must be known."""
    level: Fraction | None = Fraction(1)
    before, found = opening, []
    for row in table:
        assert row.value is not None
        step = gain_over(row, before)
        level = None if level is None or step is None else level * (1 + step)
        found.append(None if level is None else level - 1)
        before = row.value
    return found


def capital(row: Row, before: Fraction) -> Fraction:
    put_in = most = Fraction(0)
    for flow in row.flows:
        put_in += flow
        most = max(most, put_in)
    return before + most


def gain_over(row: Row, before: Fraction) -> Fraction | None:
    assert row.value is not None
    gain, base = row.value - before - row.flow, capital(row, before)
    if base > 0 and gain / base >= -1:
        return gain / base
    return Fraction(0) if base == 0 and gain == 0 else None


def contributions(
    table: Sequence[Row], opening: Fraction, worth: Mapping[str, Fraction]
) -> dict[str, Fraction]:
    """Give what each symbol added to the growth, by its own gain in each row."""
    growth = returns(table, opening)
    found: dict[str, Fraction] = {}
    level, before, worth_before = Fraction(1), opening, dict(worth)
    for row, after in zip(table, growth, strict=True):
        base = capital(row, before)
        assert row.value is not None
        for symbol, own in row.worth.items():
            assert own is not None
            gain = own - worth_before.get(symbol, Fraction(0)) - row.paid.get(symbol, Fraction(0))
            if gain:
                found[symbol] = found.get(symbol, Fraction(0)) + level * gain / base
            worth_before[symbol] = own
        assert after is not None
        level, before = after + 1, row.value
    return found
