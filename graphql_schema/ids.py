"""Global ids and page cursors: opaque to clients, checked when they come back."""

import base64

from app.errors import BadCursor

INSTRUMENT, TRADE, FOUND = "Instrument", "Trade", "Found"
QUOTE, TRADE_QUOTE = "Quote", "TradeQuote"


def encode(kind: str, key: object) -> str:
    """Make an opaque text of a kind and a key."""
    return base64.urlsafe_b64encode(f"{kind}:{key}".encode()).decode().rstrip("=")


def decode(kind: str, text: str) -> str | None:
    """Give the key back; None where `encode` did not make the text of that kind."""
    try:
        padded = text + "=" * (-len(text) % 4)
        found, _, key = (
            base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(":")
        )
    except ValueError:
        return None
    return key if found == kind and encode(kind, key) == text else None


def decode_cursor(kind: str, text: str | None) -> str | None:
    """Give the key of a cursor, or None where there is none.

    Raises:
        BadCursor: the field did not give it out.
    """
    if text is None:
        return None
    key = decode(kind, text)
    if key is None:
        raise BadCursor(f"{text!r} is no cursor of this field")
    return key
