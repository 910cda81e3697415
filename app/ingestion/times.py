"""Read times as files write them: ISO 8601 with or without a zone, dates, Unix epochs."""

from collections.abc import Sequence
from datetime import UTC, datetime, time

import polars as pl

_UTC = pl.Datetime("us", "UTC")
_NAIVE = pl.Datetime("us")
_MIDNIGHT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]00:00(?::00(?:\.0+)?)?)?$"
_NO_ZONE = r"^[0-9]{4}-?[0-9]{2}-?[0-9]{2}(?:[T ][0-9:.]+)?$"
# Zones that `%+` does not take: after minutes alone, and of hours alone, as PostgreSQL writes them.
_ZONED = (
    (r"^[0-9-]{10}T[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)$", "%Y-%m-%dT%H:%M%#z"),
    (r"^[0-9-]{10}T[0-9:.]{8,}[+-][0-9]{2}$", "%Y-%m-%dT%H:%M:%S%.f%#z"),
)
_ZONELESS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%Y%m%d")
# Beyond 2099 polars knows no clock changes: a time without a zone would be an hour off.
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH = {10: 1_000_000, 13: 1_000, 16: 1}  # digits -> microseconds per unit


def parse_times(texts: pl.Series, timezone: str) -> pl.Series:
    """Give aware UTC times (microseconds); null where a text is no time.

    A time without a zone is read in `timezone`; one that a clock change there skips or repeats is
    null. Whole numbers of 10, 13, 16 or 19 digits are Unix time in s, ms, us or ns; anything below
    a microsecond is cut. The years are 1900 to 2099.
    """
    parsed = _parsed(texts.str.strip_chars().rename("text"), timezone)
    return parsed.set(~parsed.is_between(_FIRST, _LAST, closed="left"), None).rename(texts.name)


def is_zone(name: str) -> bool:
    """Tell whether times can be read in a time zone of this name."""
    if not name:
        return False
    try:
        pl.Series([datetime(2000, 1, 1)]).dt.replace_time_zone(name)  # noqa: DTZ001 - the point
    except pl.exceptions.PolarsError:
        return False
    return True


def parse_dates(texts: pl.Series, zones: Sequence[str]) -> pl.Series:
    """Give the dates that daily bars are stamped with; null where a text is not the start of a day.

    A time without a zone must be a date or its midnight; one with a zone must be midnight in one of
    `zones`, which are tried in order.
    """
    text = texts.str.strip_chars().rename("text")
    plain = text.set(~text.str.contains(_MIDNIGHT).fill_null(value=False), None)
    dates = plain.str.head(10).str.to_date("%Y-%m-%d", strict=False)
    if _missing(text, dates):
        compact = text.set(~text.str.contains(r"^[0-9]{8}$").fill_null(value=False), None)
        dates = dates.fill_null(compact.str.to_date("%Y%m%d", strict=False))
    if _missing(text, dates):
        aware = parse_times(
            text.set(text.str.contains(_NO_ZONE).fill_null(value=False), None), "UTC"
        )
        for zone in zones:
            local = aware.dt.convert_time_zone(zone)
            dates = dates.fill_null(local.dt.date().set(local.dt.time() != time(0), None))
    low, high = _FIRST.date(), _LAST.date()
    return dates.set(~dates.is_between(low, high, closed="left"), None).rename(texts.name)


def _parsed(text: pl.Series, timezone: str) -> pl.Series:
    parsed = text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    if not _missing(text, parsed):
        return parsed
    number = text.cast(pl.Int64, strict=False)
    for digits, scale in _EPOCH.items():
        fits = text.str.contains(rf"^[0-9]{{{digits}}}$")
        if fits.any():
            parsed = _fill(parsed, fits, (number * scale).cast(_UTC))
    nanos = text.str.contains(r"^[0-9]{19}$")
    if nanos.any():
        parsed = _fill(parsed, nanos, (number // 1_000).cast(_UTC))
    joined = text.str.replace(" ", "T", literal=True)
    for shape, form in _ZONED:
        zoned = joined.set(~joined.str.contains(shape).fill_null(value=False), None)
        if zoned.null_count() < len(zoned):
            parsed = parsed.fill_null(
                zoned.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
            )
    for form in _ZONELESS:
        if not _missing(text, parsed):
            break
        parsed = parsed.fill_null(_local(joined, form, timezone))
    return parsed


def _local(text: pl.Series, form: str, timezone: str) -> pl.Series:
    shape = {"%Y-%m-%d": r"^[0-9-]{10}$", "%Y%m%d": r"^[0-9]{8}$"}.get(form, r"^[0-9-]{10}T")
    naive = text.set(~text.str.contains(shape).fill_null(value=False), None)
    if form in ("%Y-%m-%d", "%Y%m%d"):
        moment = naive.str.to_date(form, strict=False).cast(_NAIVE)
    else:
        moment = naive.str.to_datetime(form, time_unit="us", strict=False)
    local = moment.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    return local.dt.convert_time_zone("UTC")


def _missing(text: pl.Series, parsed: pl.Series) -> bool:
    return parsed.null_count() > text.null_count()


def _fill(parsed: pl.Series, where: pl.Series, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(where & parsed.is_null()).then(values).otherwise(parsed)).to_series()
