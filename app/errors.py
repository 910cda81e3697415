"""The few errors of Tickgraph: each has a stable code and a message that a client may see."""


class TickgraphError(Exception):
    """Something went wrong that the caller can do something about."""

    code = "TICKGRAPH_ERROR"

    def __init__(self, message: str | None = None, **details: object) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])
        self.details = details

    @property
    def message(self) -> str:
        """The client-safe text."""
        return str(self.args[0])


class SettingInvalid(TickgraphError):
    """A setting has a value that cannot be used."""

    code = "SETTING_INVALID"


class DatabaseUnavailable(TickgraphError):
    """The database cannot be reached or used."""

    code = "DATABASE_UNAVAILABLE"


class EmbeddedDatabaseFailed(DatabaseUnavailable):
    """The embedded database did not start."""

    code = "EMBEDDED_DATABASE_FAILED"


class QueryTimeout(TickgraphError):
    """The question took longer than the time allowed; ask for a shorter range."""

    code = "QUERY_TIMEOUT"


class BadInput(TickgraphError):
    """An argument cannot be used."""

    code = "BAD_INPUT"


class BadInterval(BadInput):
    """The interval cannot be read, or the instrument's data cannot give it."""

    code = "BAD_INTERVAL"


class BadRange(BadInput):
    """The time range cannot be used."""

    code = "BAD_RANGE"


class BadCursor(BadInput):
    """The cursor was not given out by this field."""

    code = "BAD_CURSOR"


class RangeTooLarge(BadInput):
    """The answer would have more points than the server gives at once."""

    code = "RANGE_TOO_LARGE"


class NoData(BadInput):
    """The instrument has no data in the range."""

    code = "NO_DATA"


class ImportRefused(TickgraphError):
    """The file cannot be imported; nothing of it was stored."""

    code = "IMPORT_REFUSED"


class UnknownSymbol(BadInput):
    """No instrument has this symbol at that time."""

    code = "UNKNOWN_SYMBOL"


class UnknownTrade(BadInput):
    """There is no such trade."""

    code = "UNKNOWN_TRADE"


class RecordRefused(BadInput):
    """A record breaks a rule."""

    code = "RECORD_REFUSED"


class IdempotencyConflict(BadInput):
    """Something else was sent under the same idempotency key before."""

    code = "IDEMPOTENCY_CONFLICT"


class Overloaded(TickgraphError):
    """As many writes wait as may; try again later."""

    code = "OVERLOADED"

    def __init__(self, message: str | None = None, *, retry_after_s: int) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s


class TooManyOperations(BadInput):
    """The connection has as many operations as it may have."""

    code = "TOO_MANY_OPERATIONS"


class CursorExpired(BadInput):
    """The cursor is too old to go on from: what it would bring is better asked for anew."""

    code = "CURSOR_EXPIRED"


class LiveFailed(TickgraphError):
    """Live data failed for a reason that is the server's; subscribe again."""

    code = "LIVE_FAILED"


class SlowConsumer(TickgraphError):
    """The subscriber reads too slowly; it can go on from the cursor."""

    code = "SLOW_CONSUMER"
