"""What comes in at a door, and the receipt for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from app.errors import ImportRefused
from app.market.interval import Interval, Unit
from app.storage.audit import Action
from app.storage.batches import BatchKind, Counts
from app.storage.instrument_writes import NewInstruments
from app.validation.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Records of one kind from one source, and how they are to be read.

    `symbol` is that of every row where the source has no such column, `interval` that of bars,
    `columns` names the columns of fields, `timezone` is that of times without a zone. `create` lets
    unknown instruments be made, `replace` lets stored rows be corrected. What was stored once under
    an `idempotency_key` of the source, or from one of its `positions`, is not stored again; the
    `checksum` (SHA-256, where a door has it already) tells whether the same was sent. Rules that
    are `waived`, and may be, refuse nothing. Times may be up to `future_tolerance` ahead of our
    clock. `released` tells the audit trail of records that come out of
    quarantine.
    """

    kind: BatchKind
    source: str
    actor: str
    interval: Interval | None = None
    symbol: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    create: NewInstruments | None = None
    replace: bool = False
    idempotency_key: str | None = None
    checksum: str | None = None
    positions: Sequence[str] = ()
    waived: frozenset[Reason] = frozenset()
    future_tolerance: timedelta = timedelta(seconds=60)
    released: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        """Refuse an interval that bars cannot have.

        Raises:
            ImportRefused: it is missing, or no interval that bars can have.
        """
        if self.kind is BatchKind.BARS:
            bar_minutes(self.interval)

    @property
    def minutes(self) -> int:
        """The interval of bars, in minutes; 0 for what is no bar."""
        return bar_minutes(self.interval) if self.kind is BatchKind.BARS else 0

    @property
    def action(self) -> Action:
        """What the audit trail calls it."""
        if self.released is not None:
            return Action.RELEASE
        return Action.CORRECTION if self.replace else Action.BATCH

    @property
    def options(self) -> dict[str, str | None]:
        """How the source is read, for whoever reads a refused record of it again."""
        return {
            "kind": self.kind,
            "interval": None if self.interval is None else str(self.interval),
            "timezone": self.timezone,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a delivery; `repeated`: it had come before, and this is the receipt of then.

    `reasons` count the refused records by their first reasons; `seconds` went to each stage.
    """

    batch_id: int
    counts: Counts
    flagged: int = 0
    reasons: Mapping[Reason, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    repeated: bool = False

    def as_json(self) -> dict[str, int]:
        """Give batch, received, stored, duplicate and rejected: received is the sum of the last."""
        return {"batch": self.batch_id, **self.counts.as_json()}


def bar_minutes(interval: Interval | None) -> int:
    """Give a vendor bar interval in minutes: whole minutes up to one day.

    Raises:
        ImportRefused: it is missing, shorter, longer, or no whole number of minutes.
    """
    if interval is None:
        raise ImportRefused("bars need their interval, such as 1m, 1h or 1d")
    if interval.unit is Unit.DAY and interval.count == 1:
        return 1440
    if interval.unit is Unit.SECOND and interval.count % 60 == 0 and interval.count < 86_400:
        return interval.count // 60
    raise ImportRefused(f"bars of {interval} cannot be stored: whole minutes up to 1d can")
