"""The scalars of the schema: how each is written, read, and refused."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NewType

import strawberry
from graphql import ValueNode
from strawberry.types.scalar import ScalarDefinition

from app.errors import BadInput
from app.market.interval import Interval

EpochMillis = NewType("EpochMillis", int)
Revision = NewType("Revision", int)
Cursor = NewType("Cursor", str)

_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MAX_DIGITS = 64
_SAFE_DIGITS = 15  # of a decimal that a double gives back as it was
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_datetime(text: object) -> datetime:
    """Read an ISO 8601 time with a zone, or a date, which means 00:00 UTC.

    Raises:
        BadInput: it is neither, or before 1900 or after the year 2200 has begun.
    """
    moment = None
    if isinstance(text, str):
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None and _DATE.fullmatch(text):
                moment = moment.replace(tzinfo=UTC)
            moment = None if moment.tzinfo is None else moment.astimezone(UTC)
    if moment is None:
        raise BadInput(
            f"{text!r} is no time: write ISO 8601 with a zone, such as 2024-01-31T09:30:00Z,"
            " or a date, which means 00:00 UTC"
        )
    # What imports accept, with room for buckets before and behind it.
    if not _FIRST <= moment <= _LAST:
        raise BadInput(f"{text!r} is out of range: times are from {_FIRST:%Y} to {_LAST:%Y}")
    return moment


def parse_date(text: object) -> date:
    """Read an ISO 8601 date.

    Raises:
        BadInput: it is none, or before 1900 or behind 2200-01-01.
    """
    day = None
    if isinstance(text, str) and _DATE.fullmatch(text):
        with suppress(ValueError):
            day = date.fromisoformat(text)
    if day is None:
        raise BadInput(f"{text!r} is no date: write ISO 8601, such as 2024-01-31")
    if not _FIRST.date() <= day <= _LAST.date():
        raise BadInput(f"{text!r} is out of range: dates are from {_FIRST:%Y} to {_LAST:%Y-%m-%d}")
    return day


def parse_interval(text: object) -> Interval:
    """Read an interval.

    Raises:
        BadInterval: it is not of the form number and unit.
    """
    return Interval.parse(text if isinstance(text, str) else repr(text))


def write_decimal(number: Decimal) -> str:
    """Write every digit, never an exponent."""
    return format(number, "f")


def parse_decimal(value: object) -> Decimal:
    """Read an exact number: text, or a number of so few digits that none can have been lost.

    Raises:
        BadInput: it is neither, or not finite.
    """
    number = None
    if isinstance(value, float):
        value = (
            repr(value) if len(Decimal(repr(value)).as_tuple().digits) <= _SAFE_DIGITS else value
        )
    if isinstance(value, str) and len(value) <= _MAX_DIGITS:
        with suppress(InvalidOperation):
            number = Decimal(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    if number is None or not number.is_finite():
        raise BadInput(f'{value!r} is no exact number: write it as text, such as "101.25"')
    return number


def parse_decimal_literal(
    node: ValueNode, variables: Mapping[str, object] | None = None
) -> Decimal:
    """Read a number in a document: its very digits.

    Raises:
        BadInput: it is no number.
    """
    return parse_decimal(getattr(node, "value", None))


def parse_revision(value: object) -> Revision:
    """Read a whole number.

    Raises:
        BadInput: it is none, or beyond 63 bits.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise BadInput(f"{value!r} is no whole number from 0 to 2^63 - 1")
    return Revision(value)


def parse_text(text: object) -> str:
    """Read an opaque text.

    Raises:
        BadInput: it is no text.
    """
    if not isinstance(text, str):
        raise BadInput(f"{text!r} is no text")
    return text


def _read_nothing(value: object) -> Any:
    raise BadInput(f"{value!r} cannot be given: this scalar is only answered")


SCALARS: Mapping[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment, ISO 8601 with its zone; answers are in UTC."
        " A date alone means 00:00 UTC. The years are 1900 to 2199.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
        serialize=datetime.isoformat,
        parse_value=parse_datetime,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A calendar date, ISO 8601. The years are 1900 to 2199.",
        serialize=date.isoformat,
        parse_value=parse_date,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="An exact decimal number, as text; one of up to 15 digits may be given as a"
        " number.",
        serialize=write_decimal,
        parse_value=parse_decimal,
        parse_literal=parse_decimal_literal,
    ),
    Interval: strawberry.scalar(
        name="Interval",
        description="A candle's length: a number and s, m (minutes), h, d, w, mo (months) or y,"
        " such as 1m, 65m, 1d, 1w, 1mo. Seconds to hours are clock time; days and longer are whole"
        " trading dates, weeks from Monday.",
        serialize=str,
        parse_value=parse_interval,
    ),
    EpochMillis: strawberry.scalar(
        name="EpochMillis",
        description="Milliseconds since 1970-01-01 UTC, as a JSON integer.",
        serialize=int,
        parse_value=_read_nothing,
    ),
    Revision: strawberry.scalar(
        name="Revision",
        description="A JSON integer that grows whenever what carries it changes: the"
        " number of a batch.",
        serialize=int,
        parse_value=parse_revision,
    ),
    Cursor: strawberry.scalar(
        name="Cursor",
        description="A place in a list or stream; opaque.",
        serialize=str,
        parse_value=parse_text,
    ),
}
