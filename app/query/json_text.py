"""Pieces of JSON text inside SQL."""


def quoted(name: str) -> str:
    """Give a GraphQL name in quotes: letters, digits and underscores need no escapes."""
    return f'"{name}"'


def literal(text: str) -> str:
    """Give a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
