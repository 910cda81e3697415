"""Take the README's picture of GraphiQL: `python -m docs.screenshot URL`, a running demo's."""

import asyncio
import sys
from pathlib import Path

from tests.web.graphiql import browser, graphiql

PICTURE = Path(__file__).with_name("graphiql.png")
QUERY = """\
# Columns for a chart, candles for a table.
query Apple {
  instrument(symbol: "AAPL") {
    name
    exchange {
      mic
      timezone
    }
    latest {
      time
      price
    }
    series(interval: "1w", last: 4) {
      time
      close
    }
    candles(
      interval: "1mo"
      from: "2012-01-01"
      to: "2013-01-01"
    ) {
      time
      open
      high
      low
      close
      volume
      final
    }
  }
}
"""


async def take(base_url: str) -> None:
    """Run the query on the page and keep what it looks like."""
    async with (
        browser() as started,
        graphiql(started, base_url, width=1400, height=900) as opened,
    ):
        await opened.paste(QUERY)
        await opened.run()
        await opened.page.wait_for_timeout(1_000)
        await opened.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1]))
