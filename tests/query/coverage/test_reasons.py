"""Why buckets are empty, told from the instruments of the venue."""

import numpy as np
import pytest

from app.query.coverage.reasons import Had, MissingReason, gaps_of, present_in, witnesses_of

EXPECTED = np.arange(10, dtype=np.int64)


def had(*times: int) -> Had:
    if not times:
        return Had(times=np.array([], dtype=np.int64), first=None, end=None)
    return Had(times=np.array(times, dtype=np.int64), first=times[0], end=times[-1] + 1)


def reasons(
    own: Had, *others: Had, listed: int | None = None, delisted: int | None = None
) -> list[tuple[int, int, str]]:
    gaps = gaps_of(EXPECTED, own, witnesses_of(EXPECTED, [own, *others]), listed, delisted)
    return [
        (int(gaps.first[place]), int(gaps.last[place]), gaps.why(place).value)
        for place in range(len(gaps))
    ]


BUSY = had(0, 1, 2, 3, 6, 7, 8, 9)


def test_where_others_have_data_it_did_not_trade() -> None:
    assert reasons(had(0, 9), BUSY) == [
        (1, 3, "NO_TRADES"),
        (4, 5, "OUTAGE"),
        (6, 8, "NO_TRADES"),
    ]


def test_its_own_usual_data_tell_of_an_outage() -> None:
    assert reasons(BUSY) == [(4, 5, "OUTAGE")]


def test_where_nobody_usually_has_data_nothing_is_told() -> None:
    assert reasons(had(0, 9), had(0, 4, 9)) == [
        (1, 3, "UNEXPLAINED"),
        (4, 4, "NO_TRADES"),
        (5, 8, "UNEXPLAINED"),
    ]


def test_a_witness_tells_only_of_the_time_of_its_data() -> None:
    assert reasons(had(0, 9), had(3, 4, 6)) == [
        (1, 2, "UNEXPLAINED"),
        (3, 4, "NO_TRADES"),
        (5, 5, "OUTAGE"),
        (6, 6, "NO_TRADES"),
        (7, 8, "UNEXPLAINED"),
    ]


def test_before_its_first_and_after_its_newest_data() -> None:
    assert reasons(had(3, 4, 5), BUSY) == [(0, 2, "BEFORE_DATA"), (6, 9, "NOT_YET")]


def test_before_it_was_listed_and_after_it_was_delisted() -> None:
    assert reasons(had(3, 4, 5), BUSY, listed=2, delisted=8) == [
        (0, 1, "BEFORE_LISTING"),
        (2, 2, "BEFORE_DATA"),
        (6, 7, "NOT_YET"),
        (8, 9, "AFTER_DELISTING"),
    ]


def test_without_any_data_everything_is_before_them() -> None:
    assert reasons(had(), BUSY) == [(0, 9, "BEFORE_DATA")]


def test_without_gaps_there_are_no_runs() -> None:
    assert reasons(had(*range(10))) == []


@pytest.mark.parametrize("seed", range(20))
def test_runs_hold_every_empty_bucket_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = np.sort(rng.choice(1000, 300, replace=False)).astype(np.int64)
    several = [
        had(*np.sort(rng.choice(1000, int(rng.integers(1, 700)), replace=False)).tolist())
        for _ in range(4)
    ]
    own = several[0]
    gaps = gaps_of(expected, own, witnesses_of(expected, several), None, None)
    places = [
        place
        for first, last in zip(gaps.first.tolist(), gaps.last.tolist(), strict=True)
        for place in range(first, last + 1)
    ]
    assert places == [n for n, at in enumerate(expected.tolist()) if at not in own.times]
    assert int(present_in(expected, own.times).sum()) + len(places) == len(expected)
    # Neighbours differ: a run is as long as it can be.
    for left in range(len(gaps) - 1):
        together = gaps.last[left] + 1 == gaps.first[left + 1]
        assert not together or gaps.why(left) is not gaps.why(left + 1)
    assert {gaps.why(place) for place in range(len(gaps))} <= set(MissingReason)
