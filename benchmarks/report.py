"""Write results into docs/benchmarks.md, one section a benchmark, replaced in place."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
HEADING = """# Benchmarks

Written by `make bench`; `make bench NAME=ingest` runs one of them. Compare ratios, which come from
one run on one machine; absolute figures move with the machine.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one benchmark found."""

    name: str
    question: str
    data: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    findings: Sequence[str]


def write(key: str, result: Result) -> None:
    """Put a result into the page, in the place of its last one."""
    page = PAGE.read_text() if PAGE.exists() else HEADING
    section = f"<!-- {key} -->\n{_section(key, result)}<!-- /{key} -->\n"
    pattern = re.compile(rf"<!-- {key} -->\n.*?<!-- /{key} -->\n", re.DOTALL)
    if pattern.search(page):
        page = pattern.sub(lambda _: section, page)
    else:
        page = f"{page.rstrip()}\n\n{section}"
    PAGE.write_text(page)


def _section(key: str, result: Result) -> str:
    lines = [
        f"## {result.name}",
        "",
        result.question.strip(),
        "",
        f"- data: {result.data}",
        f"- machine: {os.cpu_count()} cores, {platform.machine()}, Python"
        f" {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}",
        f"- command: `make bench NAME={key}`",
        "",
        "| " + " | ".join(result.columns) + " |",
        "| " + " | ".join("---" for _ in result.columns) + " |",
        *("| " + " | ".join(row) + " |" for row in result.rows),
        "",
        *(f"- {finding}" for finding in result.findings),
        "",
    ]
    return "\n".join(lines)
