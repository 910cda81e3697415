"""Instruments by symbol, remembered while nothing has changed them."""

from collections import OrderedDict
from collections.abc import Sequence

from app.market.instrument import Instrument
from app.query.ledger import Ledger, Touched
from app.storage import instruments
from app.storage.reader import Reader

MAX_SYMBOLS = 100_000


class InstrumentBook:
    """The instruments that symbols name; unknown symbols are never remembered."""

    def __init__(self, reader: Reader, ledger: Ledger, *, max_symbols: int = MAX_SYMBOLS) -> None:
        self._reader = reader
        self._ledger = ledger
        self._max = max_symbols
        self._rows: OrderedDict[str, Instrument] = OrderedDict()
        self._symbols: dict[int, set[str]] = {}
        self._event = 0
        ledger.tell(self._forget)

    async def by_symbols(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Find instruments by current or former symbol; unknown symbols are absent."""
        wanted = dict.fromkeys(symbols)
        kept = {each: self._rows[each] for each in wanted if each in self._rows}
        if kept:
            held = await self._ledger.confirm(frozenset(row.instrument_id for row in kept.values()))
            kept = {each: row for each, row in kept.items() if held and self._rows.get(each) is row}
        # PostgreSQL stores no NUL, and refuses it: no instrument has it.
        missing = [each for each in wanted if each not in kept and "\0" not in each]
        if not missing:
            return kept
        event = self._event if self._ledger.marks is not None else -1
        found = await instruments.by_symbols(self._reader, missing)
        if event == self._event:
            self._remember(found)
        return kept | found

    def _remember(self, found: dict[str, Instrument]) -> None:
        for symbol, row in found.items():
            self._rows[symbol] = row
            self._symbols.setdefault(row.instrument_id, set()).add(symbol)
        while len(self._rows) > self._max:
            self._drop(next(iter(self._rows)))

    def _drop(self, symbol: str) -> None:
        row = self._rows.pop(symbol)
        named = self._symbols[row.instrument_id]
        named.discard(symbol)
        if not named:
            del self._symbols[row.instrument_id]

    def _forget(self, touched: list[Touched], everything: bool) -> None:
        self._event += 1
        gone = list(self._rows) if everything else []
        for each in touched:
            gone += self._symbols.get(each.instrument_id, ())
        for symbol in dict.fromkeys(gone):
            self._drop(symbol)
