"""Every setting: name, unit, default, one line of help. Nothing else reads the environment."""

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from app.errors import SettingInvalid

PREFIX = "TICKGRAPH_"


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value.strip()


def _folder(value: str) -> Path:
    try:
        return Path(_text(value)).expanduser().absolute()
    except RuntimeError as error:  # ~somebody, who has no home here
        raise ValueError(str(error)) from error


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}")
        return number

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        number = float(value)
        if not low <= number <= high:
            raise ValueError(f"must be from {low:g} to {high:g} seconds")
        return number

    return parse


def _switch(value: str) -> bool:
    words = {"1": True, "true": True, "on": True, "yes": True}
    words |= {"0": False, "false": False, "off": False, "no": False}
    try:
        return words[value.strip().lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _level(value: str) -> str:
    name = value.strip().upper()
    if name not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return name


_DAYS = _whole(1, 36_500)


def _setting(default: Any, parse: Callable[[str], Any], words: str) -> Any:
    return field(default=default, metadata={"parse": parse, "help": words})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the server and the commands can be told, each by `TICKGRAPH_<NAME>`."""

    database_url: str | None = _setting(
        None, _text, "a TimescaleDB server, as postgresql://…; unset: the embedded database"
    )
    data_dir: Path = field(
        default_factory=lambda: Path(platformdirs.user_data_dir("tickgraph", appauthor=False)),
        metadata={
            "parse": _folder,
            "help": "where the embedded database keeps its files",
            "default": "the platform's user data folder",
        },
    )
    host: str = _setting("127.0.0.1", _text, "address to listen on")
    port: int = _setting(8000, _whole(0, 65535), "TCP port to listen on; 0: any free one")
    pool_size: int = _setting(8, _whole(1, 200), "most database connections of one process")
    pool_timeout_s: float = _setting(
        10.0, _seconds(0.1, 600), "seconds to wait for a free connection or a connect"
    )
    statement_timeout_s: float = _setting(
        30.0, _seconds(0.1, 3600), "seconds that one read statement may take"
    )
    write_timeout_s: float = _setting(
        1800.0, _seconds(1, 86_400), "seconds that one statement of a write or a refresh may take"
    )
    max_points: int = _setting(
        50_000, _whole(1, 1_000_000), "most candles, points or trades in one list"
    )
    max_symbols: int = _setting(1_000, _whole(1, 10_000), "most symbols in one `instruments` field")
    max_query_tokens: int = _setting(10_000, _whole(100, 1_000_000), "most tokens in one document")
    max_query_depth: int = _setting(20, _whole(1, 200), "deepest nesting of one document")
    max_body_bytes: int = _setting(1_000_000, _whole(1_000, 100_000_000), "largest request body")
    cache_mb: int = _setting(
        128, _whole(0, 100_000), "megabytes that remembered answers may take; 0: remember none"
    )
    lateness_s: float = _setting(
        60.0,
        _seconds(0, 86_400),
        "seconds by which an instrument's data must have passed a bucket's end to make it final",
    )
    look_interval_s: float = _setting(
        1.0, _seconds(0.05, 60), "seconds between looks for changes that nothing told of"
    )
    max_socket_operations: int = _setting(
        100, _whole(1, 10_000), "most operations that one WebSocket may have open"
    )
    refresh_interval_s: float = _setting(
        5.0, _seconds(0.1, 3600), "seconds between the server's looks for roll-ups to refresh"
    )
    trade_retention_days: int | None = _setting(
        None, _DAYS, "days after which trades are dropped, and their candles kept; unset: never"
    )
    bar_retention_days: int | None = _setting(
        None,
        _DAYS,
        "days after which bars are dropped, and their 1h and 1d candles kept; bars that no such"
        " candle holds, such as daily ones, stay; unset: never",
    )
    quote_retention_days: int | None = _setting(
        None, _DAYS, "days after which quotes are dropped; unset: never"
    )
    trade_compress_after_days: int | None = _setting(
        None, _DAYS, "days after which trades are compressed; unset: never"
    )
    bar_compress_after_days: int | None = _setting(
        None, _DAYS, "days after which bars are compressed; unset: never"
    )
    quote_compress_after_days: int | None = _setting(
        None, _DAYS, "days after which quotes are compressed; unset: never"
    )
    stream_batch: int = _setting(
        10_000, _whole(1, 100_000), "most entries of a stream in one batch"
    )
    stream_linger_s: float = _setting(
        0.05, _seconds(0, 60), "seconds that a batch of a stream waits for more entries"
    )
    stream_claim_s: float = _setting(
        60.0,
        _seconds(0.1, 86_400),
        "seconds after which entries that another consumer left unfinished are taken over",
    )
    ingest: bool = _setting(True, _switch, "take records at /ingest")
    ingest_max_mb: int = _setting(
        4096, _whole(1, 1_000_000), "largest body at /ingest, in MiB after decompression"
    )
    ingest_uploads: int = _setting(
        8, _whole(1, 1_000), "most bodies at /ingest at a time; each waits on disk until stored"
    )
    ingest_dir: Path | None = _setting(
        None, _folder, "where those bodies wait; unset: the system's temporary folder"
    )
    writers: int = _setting(
        2, _whole(1, 50), "connections that store what /ingest and mutations bring"
    )
    writes_waiting: int = _setting(
        64, _whole(0, 10_000), "most mutations that wait for one of those connections"
    )
    graphiql: bool = _setting(True, _switch, "serve GraphiQL to browsers at /graphql")
    introspection: bool = _setting(True, _switch, "answer introspection queries")
    log_level: str = _setting("INFO", _level, "DEBUG, INFO, WARNING or ERROR")

    @staticmethod
    def from_environment(environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from `TICKGRAPH_*`; unset ones have their defaults.

        Raises:
            SettingInvalid: a value cannot be used, or a name with the prefix is no setting.
        """
        given = os.environ if environment is None else environment
        known = {PREFIX + each.name.upper(): each for each in fields(Settings)}
        values: dict[str, Any] = {}
        for name, value in given.items():
            if not name.startswith(PREFIX) or name in _OUTSIDE or value == "":
                continue
            if name not in known:
                raise SettingInvalid(f"{name} is no setting; the settings are {', '.join(known)}")
            values[known[name].name] = _parse(name, known[name], value)
        return Settings(**values)


# Read by the tests alone; named here so that a developer's shell does not break the commands.
_OUTSIDE = frozenset({"TICKGRAPH_TEST_DATABASE_URL"})


def _parse(name: str, setting: Field[Any], value: str) -> Any:
    try:
        return setting.metadata["parse"](value)
    except ValueError as error:
        raise SettingInvalid(f"{name}={value!r}: {error}") from error


def reference() -> str:
    """Write the table of all settings, in Markdown, as docs/settings.md keeps it."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for each in fields(Settings):
        default = each.metadata.get("default", each.default)
        shown = default if "default" in each.metadata else f"`{default}`"
        if each.default is None:
            shown = "unset"
        lines.append(f"| `{PREFIX}{each.name.upper()}` | {shown} | {each.metadata['help']} |")
    return "\n".join(lines) + "\n"
