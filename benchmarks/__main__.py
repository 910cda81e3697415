"""Run all benchmarks, or those named on the command line."""

import sys

from benchmarks import (
    chunks,
    correlation,
    growth,
    indicators,
    ingest,
    memory,
    reads,
    screen,
    sessions,
    subscriptions,
    subscriptions_storm,
    upload,
)
from benchmarks.report import write

BENCHMARKS = {
    "ingest": ingest.run,
    "reads": reads.run,
    "growth": growth.run,
    "indicators": indicators.run,
    "chunks": chunks.run,
    "sessions": sessions.run,
    "correlation": correlation.run,
    "screen": screen.run,
    "memory": memory.run,
    "upload": upload.run,
    "subscriptions": subscriptions.run,
    "live_storm": subscriptions_storm.run,
}


def main() -> None:
    """Run and report, one after the other."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"no benchmark {sorted(unknown)}; there are {sorted(BENCHMARKS)}")
    for name in names:
        result = BENCHMARKS[name]()
        write(name, result)
        print(f"\n{result.name}: {result.question.strip()}")
        for row in result.rows:
            print("  " + "  ".join(row))
        for finding in result.findings:
            print(f"  {finding}")


main()
