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


class ImportRefused(TickgraphError):
    """The file cannot be imported; nothing of it was stored."""

    code = "IMPORT_REFUSED"
