"""Series that PostgreSQL does not write: with indicators, filled gaps, or fewer points.

The selection becomes columns and calls of indicators; their arrays are written as JSON text beside
the event loop, without a Python object for each number.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from graphql import FieldNode, VariableValues

from app.errors import TickgraphError
from app.query.answers import Basis
from app.query.indicators.calls import Call
from app.query.indicators.catalogue import Floats
from app.query.market import Subject
from app.query.series import Asked, Wanted, asked_series, check_warm_up, read_series
from app.query.series_rows import COLUMNS, Series
from app.query.shapes import SERIES_FIELDS
from app.query.window import window_of
from graphql_schema.analytics.indicators import generic_call
from graphql_schema.analytics.usual_indicators import TYPED
from graphql_schema.candle_arguments import spec_of
from graphql_schema.context import Context
from graphql_schema.fast.selection import Selections, Unsupported
from graphql_schema.loaders import series_key

_SERIES = frozenset({"CandleSeries"})
_COMPUTED = frozenset({"fill", "maxPoints"})
_RESULT = b'"IndicatorResult"'

Arguments = Callable[[VariableValues], dict[str, Any]]
Values = Callable[[Arguments], dict[str, Any]]
Fields = tuple[tuple[bytes, str], ...]
Pieces = list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A field of the series: a constant, a column, or an indicator with its own fields.

    An indicator's fields are response keys with the outputs' names, '' for the type's; None: it is
    a list. Those of the generic one are `name` and `outputs`, the latter with fields of its own.
    """

    key: bytes
    constant: bytes | None = None
    column: str | None = None
    indicator: str | None = None
    arguments: Arguments | None = None
    fields: Fields | None = None
    outputs: tuple[Fields, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A series to be computed."""

    key: bytes
    arguments: Arguments
    parts: tuple[Part, ...]


def is_computed(node: FieldNode, fields: Sequence[str]) -> bool:
    """Tell whether a series takes more than what PostgreSQL writes."""
    given = {argument.name.value for argument in node.arguments or ()}
    return bool(given & _COMPUTED) or not SERIES_FIELDS.issuperset(fields)


def parts_of(
    nodes: list[FieldNode],
    selections: Selections,
    arguments: Callable[[str, FieldNode], Arguments],
) -> tuple[Part, ...]:
    """Compile the selection under `series`.

    Raises:
        Unsupported: something in it is for the ordinary path.
    """
    parts = []
    for name, own in selections.of(nodes, _SERIES).items():
        key, field = _key(name), own[0].name.value
        if field == "__typename":
            parts.append(Part(key=key, constant=b'"CandleSeries"'))
        elif field in COLUMNS:
            parts.append(Part(key=key, column=field))
        elif field in TYPED:
            fields = _fields_of_usual(field, own, selections)
            given = arguments("CandleSeries", own[0])
            parts.append(Part(key=key, indicator=field, arguments=given, fields=fields))
        elif field == "indicator":
            parts.append(_generic(key, own, selections, arguments("CandleSeries", own[0])))
        else:
            raise Unsupported(field)
    return tuple(parts)


def _fields_of_usual(field: str, nodes: list[FieldNode], selections: Selections) -> Fields | None:
    typed = TYPED[field]
    if typed.result is None:
        return None
    found = _fields(nodes, selections, typed.result.__name__)
    return tuple((key, typed.outputs.get(name, "")) for key, name in found)


def _generic(key: bytes, nodes: list[FieldNode], selections: Selections, given: Arguments) -> Part:
    fields, outputs = [], []
    for name, own in selections.of(nodes, frozenset({"IndicatorResult"})).items():
        fields.append((_key(name), own[0].name.value))
        if own[0].name.value == "outputs":
            outputs.append(_fields(own, selections, "IndicatorOutput"))
    return Part(
        key=key, indicator="indicator", arguments=given, fields=tuple(fields),
        outputs=tuple(outputs),
    )  # fmt: skip


def _fields(nodes: list[FieldNode], selections: Selections, typename: str) -> Fields:
    found = selections.of(nodes, frozenset({typename}))
    return tuple((_key(key), own[0].name.value) for key, own in found.items())


async def draw(
    chart: Chart, subjects: Sequence[Subject], values: Values, context: Context
) -> list[tuple[bytes, Basis]]:
    """Give each subject's series as JSON text.

    Raises:
        Unsupported, TickgraphError, GraphQLError: there is an error, which the ordinary path words.
    """
    most = context.limits.max_points
    asked = _asked(values(chart.arguments), most)
    calls = [_call(part, values) for part in chart.parts]
    for call in calls:
        if call is not None:
            check_warm_up(call, most)
    wanted: list[Wanted] = [each.column for each in chart.parts if each.column is not None]
    wanted += [call for call in calls if call is not None]
    with context.noting(series_key(asked)):
        answers = await read_series(
            context.market,
            subjects,
            asked,
            wanted,
            lambda series: _written(series, chart.parts, calls),
        )
    found = []
    for answer in answers:
        if isinstance(answer, TickgraphError):
            raise Unsupported(answer.code) from answer
        found.append((answer.value, answer.basis))
    return found


def _asked(given: Mapping[str, Any], most: int) -> Asked:
    spec = spec_of(
        given["interval"], given.get("session"), given.get("timezone"), given.get("adjust")
    )
    return asked_series(
        spec,
        window_of(given.get("from"), given.get("to"), given.get("last"), most),
        fill=given.get("fill"),
        max_points=given.get("maxPoints"),
        method=given.get("method"),
        limit=most,
    )


def _call(part: Part, values: Values) -> Call | None:
    if part.indicator is None or part.arguments is None:
        return None
    given = values(part.arguments)
    if part.indicator in TYPED:
        return TYPED[part.indicator].call(part.indicator, given)
    return generic_call(given["name"], given.get("parameters") or (), given.get("inputs") or ())


def _written(series: Series, parts: Sequence[Part], calls: Sequence[Call | None]) -> bytes:
    """Write a series; its pieces, which are large, are joined once."""
    pairs = zip(parts, calls, strict=True)
    return b"".join(_object((part.key, _part(series, part, call)) for part, call in pairs))


def _part(series: Series, part: Part, call: Call | None) -> Pieces:
    if part.constant is not None:
        return [part.constant]
    if part.column is not None:
        return [
            _array(series.time // 1000 if part.column == "time" else series.values[part.column])
        ]
    assert call is not None
    assert part.indicator is not None
    outputs = series.outputs[call]
    if part.fields is None:
        (only,) = outputs.values()
        return [_array(only)]
    if part.indicator in TYPED:
        typename = orjson.dumps(getattr(TYPED[part.indicator].result, "__name__", ""))
        return _object(
            (key, [_array(outputs[name]) if name else typename]) for key, name in part.fields
        )
    lists = iter(part.outputs)
    fields: list[tuple[bytes, Pieces]] = []
    for key, field in part.fields:
        if field == "outputs":
            own = next(lists)
            fields.append((key, _list([_output(own, name, outputs[name]) for name in outputs])))
        else:
            fields.append((key, [orjson.dumps(call.name) if field == "name" else _RESULT]))
    return _object(fields)


def _output(fields: Fields, name: str, values: Floats) -> Pieces:
    known = {"name": orjson.dumps(name), "__typename": b'"IndicatorOutput"'}
    return _object(
        (key, [_array(values) if field == "values" else known[field]]) for key, field in fields
    )


def _object(fields: Iterable[tuple[bytes, Pieces]]) -> Pieces:
    pieces, before = [b"{"], b""
    for key, value in fields:
        pieces += [before, key, *value]
        before = b","
    return [*pieces, b"}"]


def _list(values: Iterable[Pieces]) -> Pieces:
    pieces, before = [b"["], b""
    for value in values:
        pieces += [before, *value]
        before = b","
    return [*pieces, b"]"]


def _array(column: npt.NDArray[Any]) -> bytes:
    """Write a column; NaN becomes null."""
    return orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)


def _key(name: str) -> bytes:
    return f'"{name}":'.encode()
