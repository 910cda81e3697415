"""Pages of lists that only grow forward: how many, from where, and what is told of them."""

from collections.abc import Sequence
from typing import Protocol

from app.errors import BadInput, RangeTooLarge
from graphql_schema import ids
from graphql_schema.market_types import PageInfo
from graphql_schema.scalars import Cursor

_PAGE, _MAX_PAGE = 50, 1000


def page_size(first: int | None) -> int:
    """Give how many a page may hold.

    Raises:
        BadInput, RangeTooLarge: it is negative, or more than are given at once.
    """
    count = _PAGE if first is None else first
    if count < 0:
        raise BadInput(f"`first` is {count}: it must be from 0 to {_MAX_PAGE}")
    if count > _MAX_PAGE:
        raise RangeTooLarge(f"`first` is {count}: at most {_MAX_PAGE} are given at once")
    return count


def plain_text(name: str, text: str | None) -> str | None:
    """Give a text that PostgreSQL can store.

    Raises:
        BadInput: it holds a NUL character.
    """
    if text is not None and "\0" in text:
        raise BadInput(f"`{name}` holds a NUL character")
    return text


def before_key(kind: str, cursor: str | None) -> int | None:
    """Give the number in a cursor; None where there is none.

    Raises:
        BadCursor: the field did not give it out.
    """
    key = ids.decode_cursor(kind, cursor)
    return None if key is None else int(key)


class Edge(Protocol):
    """What a page is made of."""

    cursor: Cursor


def page_info(edges: Sequence[Edge], has_next: bool, after: str | None) -> PageInfo:
    """Describe a page; `after` tells whether there is one before it."""
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=after is not None,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
