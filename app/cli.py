"""Composition root of the commands: `tickgraph COMMAND`."""

import json
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from app.commands.configuration import tell_configuration
from app.commands.console import say, settings
from app.commands.database import open_database
from app.commands.demo import load_demo
from app.commands.doctor import examine, unopened
from app.commands.findings import Finding, Verdict
from app.commands.importing import KINDS, ImportRequest, as_text, import_command, new_instruments
from app.commands.live_feed import live_feed
from app.commands.operator import operator
from app.commands.policies import require_policies
from app.commands.quarantine import quarantine
from app.commands.serving import base_url, listen, serve
from app.commands.streaming import ingest
from app.commands.verifying import verify, verify_request
from app.errors import TickgraphError
from app.ingestion.delivery import Delivery
from app.ingestion.times import is_zone
from app.main import create_app
from app.market.interval import Interval
from app.rollups.refresh import refresh
from app.settings import reference as settings_reference
from graphql_schema.schema import build_schema

_TRY = """
Tickgraph is ready.

  GraphiQL   {base}/graphql      (open it in a browser)
  GraphQL    {base}/graphql      (POST)
  health     {base}/healthz   {base}/readyz

To try:

  {{ instrument(symbol: "AAPL") {{ name candles(interval: "1mo", last: 12) {{ time open high low close volume }} }} }}
  {{ instruments(symbols: ["SIM.BTC", "SIM.ACME"]) {{ symbol candles(interval: "1m", last: 5) {{ time close trades final }} }} }}
  curl -s {base}/graphql -H 'content-type: application/json' \\
    -d '{{"query": "{{ instrument(symbol: \\"MSFT\\") {{ series(interval: \\"1w\\", last: 52) {{ time close }} }} }}"}}'

and, in GraphiQL, candles as they move:

  subscription {{ candles(symbols: ["SIM.BTC", "SIM.ETH"], interval: "1m") {{ symbol time revision candle {{ open high low close trades }} }} }}

SIM.* instruments have made-up prices. Ctrl-C ends everything.
"""  # noqa: E501 - queries to copy


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Tickgraph: a GraphQL analytics server for market data on TimescaleDB."""


@cli.command()
def demo() -> None:
    """Load sample data and serve it, with GraphiQL."""
    found = settings()
    with listen(found) as listening, open_database(found, say) as database:
        database.bring_up_to_date()
        require_policies(database)
        tell_configuration(database)
        with database.connection() as connection:
            load_demo(connection, say)
        app = create_app(found, database.url, embedded=database.embedded)
        ready = _TRY.format(base=base_url(listening))
        with live_feed(database.url):
            serve(app, listening, "warning", lambda: click.echo(ready))


@cli.command("serve")
@click.option("--embedded", is_flag=True, help="Serve from the embedded database.")
def serve_command(*, embedded: bool) -> None:
    """Serve a database that is ready: the server of TICKGRAPH_DATABASE_URL."""
    found = settings()
    if found.database_url is None and not embedded:
        raise click.UsageError(
            "name the server in TICKGRAPH_DATABASE_URL, or say --embedded for the database that"
            " Tickgraph brings along (not for production)"
        )
    if found.database_url is not None and embedded:
        raise click.UsageError("--embedded and TICKGRAPH_DATABASE_URL exclude each other")
    with listen(found) as listening, open_database(found, say) as database:
        database.require_schema()
        require_policies(database)
        tell_configuration(database)
        app = create_app(found, database.url, embedded=database.embedded)
        address = base_url(listening)
        serve(app, listening, found.log_level, lambda: say(f"serving on {address}/graphql"))


@cli.command("migrate")
@click.option(
    "--rebuild-rollups",
    "rebuild",
    is_flag=True,
    help="Make the roll-ups anew, after a change of the server's edition.",
)
def migrate_command(*, rebuild: bool) -> None:
    """Bring the database's schema to this version."""
    with open_database(settings(), say) as database:
        state = database.rebuild_rollups() if rebuild else database.bring_up_to_date()
        click.echo(f"the schema is at {state.current}")


@cli.command("refresh")
def refresh_command() -> None:
    """Bring the roll-ups up to the commit log now."""
    with open_database(settings(), say) as database:
        database.require_schema()
        with database.connection() as connection:
            done = refresh(connection)
        if done is None:
            click.echo("another process is refreshing")
        else:
            click.echo(f"the roll-ups have followed batch {done.batch_id}")


@cli.command("verify")
@click.option("--head", help="A head that was kept elsewhere, SEQUENCE:HASH, to compare with.")
@click.option("--from", "start", help="Recompute roll-ups from this time.  [the first row]")
@click.option("--to", "end", help="Recompute roll-ups before this time.  [past the last row]")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def verify_command(*, head: str | None, start: str | None, end: str | None, as_json: bool) -> None:
    """Verify the audit trail, the batch log, the counts of each source and the roll-ups."""
    request = verify_request(head, start, end)
    with open_database(settings(), say) as database:
        database.require_schema()
        found = verify(database, request)
    click.echo(json.dumps(found.as_json()) if as_json else "\n".join(found.as_lines()))
    if not found.ok:
        sys.exit(1)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON list of findings.")
def doctor(*, as_json: bool) -> None:
    """Examine the database and say what to do about each problem."""
    found = settings()
    findings: list[Finding] = []
    try:
        with open_database(found, say) as database:
            findings += examine(database)
    except TickgraphError as error:
        findings.append(unopened(error))
    if as_json:
        rows = [
            {
                "verdict": each.verdict,
                "subject": each.subject,
                "found": each.found,
                "advice": each.advice,
            }
            for each in findings
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for each in findings:
            click.echo(f"{each.verdict:8}{each.subject}: {each.found}")
            if each.advice is not None:
                click.echo(f"{'':8}-> {each.advice}")
    if any(each.verdict is Verdict.PROBLEM for each in findings):
        sys.exit(1)


@cli.command()
def schema() -> None:
    """Print the GraphQL schema."""
    click.echo(build_schema().as_str())


@cli.command("settings")
def settings_command() -> None:
    """Print the table of all settings."""
    click.echo(settings_reference(), nl=False)


@cli.command("import")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--interval", help="The bars' interval, such as 1m, 1h or 1d.")
@click.option("--symbol", help="The symbol of every row, where the file has no such column.")
@click.option("--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="Name a column.")
@click.option("--timezone", default="UTC", help="Zone of times that have none.  [UTC]")
@click.option("--create-instruments", is_flag=True, help="Create instruments that are unknown.")
@click.option("--exchange", default="24/7", help="Exchange of new instruments: a MIC.  [24/7]")
@click.option("--asset-class", default="EQUITY", help="Asset class of new ones.  [EQUITY]")
@click.option("--currency", default="USD", help="Currency of new ones.  [USD]")
@click.option("--replace", is_flag=True, help="Correct stored rows that differ from the file's.")
@click.option("--rejects", type=click.Path(path_type=Path), help="Write refused rows to this CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def import_(
    *,
    kind: str,
    file: Path,
    interval: str | None,
    symbol: str | None,
    columns: tuple[str, ...],
    timezone: str,
    create_instruments: bool,
    exchange: str,
    asset_class: str,
    currency: str,
    replace: bool,
    rejects: Path | None,
    as_json: bool,
) -> None:
    """Import a CSV (also .gz) or Parquet file of instruments, market data or corporate actions."""
    if (kind == "bars") != (interval is not None):
        raise click.UsageError("--interval goes with bars, and bars need it: such as 1m, 1h, 1d")
    pairs = [each.partition("=") for each in columns]
    if any(not middle or not name for name, middle, _ in pairs):
        raise click.UsageError("--map takes FIELD=COLUMN, such as open=Open")
    if not is_zone(timezone):
        raise click.UsageError(f"--timezone {timezone!r} is no IANA time zone")
    if kind == "instruments" and (symbol or create_instruments or replace):
        raise click.UsageError("--symbol, --create-instruments and --replace: not for instruments")
    if kind == "actions" and create_instruments:
        raise click.UsageError("--create-instruments: not for actions")
    new = new_instruments(exchange=exchange, asset_class=asset_class, currency=currency)
    delivery = Delivery(
        kind=KINDS[kind],
        source=f"file:{file.name}",
        actor=operator(),
        interval=None if interval is None else Interval.parse(interval),
        symbol=symbol,
        columns={name: column for name, _, column in pairs},
        timezone=timezone,
        create=new if create_instruments else None,
        replace=replace,
    )
    request = ImportRequest(path=file, delivery=delivery, new=new, rejects=rejects)
    with open_database(settings(), say) as database:
        database.require_schema()
        receipt = import_command(database, request)
    click.echo(json.dumps(receipt.counts.as_json()) if as_json else as_text(request, receipt))


cli.add_command(ingest)
cli.add_command(quarantine)


def main() -> None:
    """Run a command; an expected error is one line and exit code 1."""
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        cli(prog_name="tickgraph")
    except TickgraphError as error:
        click.echo(f"tickgraph: {error.message}", err=True)
        sys.exit(1)


def _terminate(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that what this process has started is ended too."""
    sys.exit(128 + number)
