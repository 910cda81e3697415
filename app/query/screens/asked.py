"""A screen with everything that its statement is made from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from app.query.screens.days import Bound, Days
from app.query.screens.lookback import Stretch, VenueDay, stretches
from app.query.screens.question import Extreme, Measure, Place, Screen
from app.query.screens.universe import Group

_DAY = timedelta(days=1)
_AVERAGED = frozenset({Measure.AVERAGE_VOLUME, Measure.RELATIVE_VOLUME})

First = Callable[[VenueDay], date]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A screen, who and when; `limit` rows behind `after`.

    `stale`: roll-ups may lack batches; `splits`: there may be splits to adjust for.
    """

    screen: Screen
    venues: Sequence[VenueDay]
    groups: Sequence[Group]
    stale: bool
    splits: bool
    after: Place | None
    limit: int

    @property
    def days(self) -> Days:
        """How days are read."""
        return Days(
            minutes=tuple(sorted({group.minutes for group in self.groups})),
            session=self.screen.session,
            stale=self.stale,
        )

    @property
    def averaged(self) -> bool:
        """Whether the average volume of every instrument is needed."""
        return bool(self.screen.measures & _AVERAGED)

    def read(self, first: First, last: First) -> list[Stretch]:
        """Give the stretches that hold dates of every exchange."""
        return stretches((each, first(each), last(each)) for each in self.venues)

    def ids_of(self, minutes: int) -> list[int]:
        """Give the instruments whose days are made of rows of an interval."""
        return [
            instrument_id
            for group in self.groups
            if group.minutes == minutes
            for instrument_id in group.instrument_ids
        ]

    def places_of(self, minutes: int) -> list[int]:
        """Give the place among `venues`, from 1, of the exchange of each of them."""
        numbers = {venue.mic: number for number, venue in enumerate(self.venues, start=1)}
        return [
            numbers[group.mic]
            for group in self.groups
            if group.minutes == minutes
            for _ in group.instrument_ids
        ]


def extreme_from(extreme: Extreme) -> First:
    """Give the first date that a day is compared with."""
    days = extreme.days
    return (lambda venue: venue.year_from) if days is None else (lambda venue: venue.counted[days])


def eve(venue: VenueDay) -> date:
    """Give the last date before an exchange's own."""
    return venue.on - _DAY


def before_recent(venue: VenueDay) -> date:
    """Give the last date before the recent ones."""
    return venue.recent_from - _DAY


def subjects(asked: Asked, ids: Mapping[int, str], bound: Bound) -> str:
    """Give the instruments of each interval, `ids` bound already, with their dates.

    Without a join with the dates: the planner would take it for one that leaves a few instruments.
    """
    dates = {
        "on_date": [each.on for each in asked.venues],
        "recent_from": [each.recent_from for each in asked.venues],
        "average_from": [each.average_from for each in asked.venues],
        "year_from": [each.year_from for each in asked.venues],
    }
    columns = ", ".join(
        f"({bound.bind(values, 'date[]')})[g.place] AS {name}" for name, values in dates.items()
    )
    return "".join(
        _SUBJECTS.format(
            minutes=minutes,
            columns=columns,
            ids=own,
            places=bound.bind(asked.places_of(minutes), "integer[]"),
        )
        for minutes, own in ids.items()
    )


_SUBJECTS = """subject_{minutes} AS MATERIALIZED (
    SELECT g.instrument_id, {minutes} AS minutes, g.place, {columns}
    FROM unnest({ids}, {places}) AS g (instrument_id, place)
),
"""
