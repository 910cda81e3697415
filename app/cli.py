"""Composition root of the commands: `tickgraph COMMAND`."""

import json
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from app.commands.database import open_database
from app.commands.demo import load_demo
from app.commands.doctor import Finding, Verdict, examine, unopened
from app.commands.importing import ImportRequest, import_command, new_instruments
from app.commands.serving import base_url, listen, serve
from app.errors import TickgraphError
from app.ingestion.times import is_zone
from app.main import create_app
from app.market.interval import Interval
from app.rollups.refresh import refresh
from app.settings import Settings
from app.settings import reference as settings_reference
from graphql_schema.schema import build_schema

_TRY = """
Tickgraph is ready.

  GraphiQL   {base}/graphql      (open it in a browser)
  GraphQL    {base}/graphql      (POST)
  health     {base}/healthz   {base}/readyz

Three queries to try:

  {{ instrument(symbol: "AAPL") {{ name candles(interval: "1mo", last: 12) {{ time open high low close volume }} }} }}
  {{ instruments(symbols: ["SIM.BTC", "SIM.ACME"]) {{ symbol candles(interval: "1m", last: 5) {{ time close trades final }} }} }}
  curl -s {base}/graphql -H 'content-type: application/json' \\
    -d '{{"query": "{{ instrument(symbol: \\"MSFT\\") {{ series(interval: \\"1w\\", last: 52) {{ time close }} }} }}"}}'

SIM.* instruments have made-up prices. Ctrl-C ends everything.
"""  # noqa: E501 - queries to copy


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Tickgraph: a GraphQL analytics server for market data on TimescaleDB."""


@cli.command()
def demo() -> None:
    """Load sample data and serve it, with GraphiQL."""
    settings = _settings()
    with listen(settings) as listening, open_database(settings, _say) as database:
        database.bring_up_to_date()
        with database.connection() as connection:
            load_demo(connection, _say)
        app = create_app(settings, database.url, embedded=database.embedded)
        ready = _TRY.format(base=base_url(listening))
        serve(app, listening, "warning", lambda: click.echo(ready))


@cli.command("serve")
@click.option("--embedded", is_flag=True, help="Serve from the embedded database.")
def serve_command(*, embedded: bool) -> None:
    """Serve a database that is ready: the server of TICKGRAPH_DATABASE_URL."""
    settings = _settings()
    if settings.database_url is None and not embedded:
        raise click.UsageError(
            "name the server in TICKGRAPH_DATABASE_URL, or say --embedded for the database that"
            " Tickgraph brings along (not for production)"
        )
    if settings.database_url is not None and embedded:
        raise click.UsageError("--embedded and TICKGRAPH_DATABASE_URL exclude each other")
    with listen(settings) as listening, open_database(settings, _say) as database:
        database.require_schema()
        app = create_app(settings, database.url, embedded=database.embedded)
        address = base_url(listening)
        serve(app, listening, settings.log_level, lambda: _say(f"serving on {address}/graphql"))


@cli.command("migrate")
@click.option(
    "--rebuild-rollups",
    "rebuild",
    is_flag=True,
    help="Make the roll-ups anew, after a change of the server's edition.",
)
def migrate_command(*, rebuild: bool) -> None:
    """Bring the database's schema to this version."""
    with open_database(_settings(), _say) as database:
        state = database.rebuild_rollups() if rebuild else database.bring_up_to_date()
        click.echo(f"the schema is at {state.current}")


@cli.command("refresh")
def refresh_command() -> None:
    """Bring the roll-ups up to the commit log now."""
    with open_database(_settings(), _say) as database:
        database.require_schema()
        with database.connection() as connection:
            done = refresh(connection)
        if done is None:
            click.echo("another process is refreshing")
        else:
            click.echo(f"the roll-ups have followed batch {done.batch_id}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON list of findings.")
def doctor(*, as_json: bool) -> None:
    """Examine the database and say what to do about each problem."""
    settings = _settings()
    findings: list[Finding] = []
    try:
        with open_database(settings, _say) as database:
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
@click.argument("kind", type=click.Choice(["instruments", "bars", "trades"]))
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
    """Import a CSV (also .gz) or Parquet file of instruments, bars or trades."""
    if (kind == "bars") != (interval is not None):
        raise click.UsageError("--interval goes with bars, and bars need it: such as 1m, 1h, 1d")
    pairs = [each.partition("=") for each in columns]
    if any(not middle or not name for name, middle, _ in pairs):
        raise click.UsageError("--map takes FIELD=COLUMN, such as open=Open")
    if not is_zone(timezone):
        raise click.UsageError(f"--timezone {timezone!r} is no IANA time zone")
    if kind == "instruments" and (symbol or create_instruments or replace):
        raise click.UsageError("--symbol, --create-instruments and --replace: not for instruments")
    request = ImportRequest(
        kind=kind,
        path=file,
        interval=None if interval is None else Interval.parse(interval),
        symbol=symbol,
        columns={name: column for name, _, column in pairs},
        timezone=timezone,
        create=create_instruments,
        new=new_instruments(exchange=exchange, asset_class=asset_class, currency=currency),
        replace=replace,
        rejects=rejects,
    )
    with open_database(_settings(), _say) as database:
        database.require_schema()
        summary = import_command(database, request)
    if as_json:
        click.echo(json.dumps(summary.as_json()))
    else:
        click.echo(summary.as_text())


def main() -> None:
    """Run a command; an expected error is one line and exit code 1."""
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        cli(prog_name="tickgraph")
    except TickgraphError as error:
        click.echo(f"tickgraph: {error.message}", err=True)
        sys.exit(1)


def _settings() -> Settings:
    settings = Settings.from_environment()
    logging.getLogger().setLevel(settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return settings


def _say(message: str) -> None:
    click.echo(f"tickgraph: {message}", err=True)


def _terminate(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that what this process has started is ended too."""
    sys.exit(128 + number)
