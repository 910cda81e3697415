"""Questions for the newest candles of instruments, as each contender is asked them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bars import END, LONG, WIDE, Bars

OURS = """
query ($symbols: [String!]!, $last: Int!) {
  instruments(symbols: $symbols) {
    symbol
    candles(interval: "1m", last: $last) { time open high low close volume }
  }
}
"""

# The same rows, newest first.
POSTGRAPHILE = """
query ($symbols: [String!]!, $last: Int!) {
  allInstrumentsList(filter: {symbol: {in: $symbols}}) {
    symbol
    barsByInstrumentIdList(
      first: $last
      orderBy: BAR_START_DESC
      condition: {intervalMinutes: 1}
    ) { barStart open high low close volume }
  }
}
"""

# With the lower bound that Tickgraph works out by itself, where the client happens to know it:
# without it PostgreSQL plans over every chunk of the table.
POSTGRAPHILE_BOUNDED = """
query ($symbols: [String!]!, $last: Int!, $since: Datetime!) {
  allInstrumentsList(filter: {symbol: {in: $symbols}}) {
    symbol
    barsByInstrumentIdList(
      first: $last
      orderBy: BAR_START_DESC
      condition: {intervalMinutes: 1}
      filter: {barStart: {greaterThanOrEqualTo: $since}}
    ) { barStart open high low close volume }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The newest `last` one-minute candles of a group of instruments, asked of each group in turn.

    Groups in turn, because equal questions at one time would be answered once.
    """

    groups: Sequence[Sequence[str]]
    last: int

    def __str__(self) -> str:
        """Name it: instruments x candles."""
        return f"{len(self.groups[0])} x {self.last:,}"

    @property
    def points(self) -> int:
        """The number of candles in one answer."""
        return len(self.groups[0]) * self.last

    def ours(self) -> list[bytes]:
        """Write the bodies for Tickgraph."""
        return [body(OURS, symbols=group, last=self.last) for group in self.groups]

    def ordinary(self) -> list[bytes]:
        """Write the same with an extension, which the fast path leaves to the ordinary one."""
        return [
            body(OURS, {"benchmark": "ordinary"}, symbols=group, last=self.last)
            for group in self.groups
        ]

    def postgraphile(self) -> list[bytes]:
        """Write the bodies for PostGraphile."""
        return [body(POSTGRAPHILE, symbols=group, last=self.last) for group in self.groups]

    def postgraphile_bounded(self) -> list[bytes]:
        """Write the bodies for PostGraphile with a lower bound of time."""
        since = (END - WIDE.width * (self.last + 1)).isoformat()
        return [
            body(POSTGRAPHILE_BOUNDED, symbols=group, last=self.last, since=since)
            for group in self.groups
        ]


def question(bars: Bars, instruments: int, last: int, *, groups: int = 50) -> Question:
    """Ask about so many instruments at once, in as many groups as there are, up to `groups`."""
    symbols = bars.symbols
    whole = min(groups, len(symbols) // instruments)
    return Question(
        groups=[symbols[first * instruments :][:instruments] for first in range(whole)], last=last
    )


BATCHES = [question(WIDE, instruments, 500) for instruments in (1, 10, 50)]
GROWTH = [question(LONG, 1, last) for last in (50, 500, 5_000, 50_000)]
WHOLE = question(WIDE, 25, 2_000)


def body(query: str, extensions: dict[str, str] | None = None, /, **variables: object) -> bytes:
    """Write a request."""
    asked: dict[str, object] = {"query": query, "variables": variables}
    if extensions is not None:
        asked["extensions"] = extensions
    return json.dumps(asked, separators=(",", ":")).encode()
