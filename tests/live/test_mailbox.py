"""What waits for a subscriber is bounded, in order, and says where it ends."""

import pytest

from app.errors import SlowConsumer
from app.live.events import Mark
from app.live.hub import Frame
from app.live.mailbox import Mailbox


def frames(*batches: int, key: str | None = None, size: int = 10) -> list[Frame]:
    return [Frame(Mark(batch, 1, ""), key, b"x" * size) for batch in batches]


def test_each_frame_without_a_key_comes_in_order() -> None:
    mailbox = Mailbox(None)
    mailbox.put(frames(1, 2))
    mailbox.put(frames(3))
    assert [mailbox.take().mark.batch_id for _ in range(3)] == [1, 2, 3]
    assert len(mailbox) == 0


def test_of_two_frames_with_a_key_the_newer_stays_in_its_own_place() -> None:
    mailbox = Mailbox(None)
    mailbox.put(frames(1, key="a") + frames(2, key="b"))
    mailbox.put(frames(3, key="a"))
    assert [mailbox.take().mark.batch_id for _ in range(2)] == [2, 3]


@pytest.mark.parametrize("limits", [{"max_frames": 5}, {"max_bytes": 55}], ids=str)
def test_too_much_says_behind_which_frame_to_go_on(limits: dict[str, int]) -> None:
    mailbox = Mailbox(None, **limits)
    mailbox.put(frames(1, 2, 3))
    mailbox.take()
    mailbox.put(frames(4, 5, 6))
    with pytest.raises(SlowConsumer) as slow:
        mailbox.put(frames(7))
    assert slow.value.details["after"] == Mark(1, 1, "").cursor
    assert len(mailbox) == 0


def test_who_took_nothing_goes_on_where_it_wanted_to() -> None:
    after = Mark(7, 1, "x")
    mailbox = Mailbox(after, max_frames=2)
    mailbox.put(frames(8))
    with pytest.raises(SlowConsumer) as slow:
        mailbox.put(frames(9, 10))
    assert slow.value.details["after"] == after.cursor


def test_a_replay_fits_in_whatever_its_size() -> None:
    mailbox = Mailbox(Mark(1, 1, ""), max_frames=10)
    mailbox.put(frames(*range(2, 1000)))
    assert len(mailbox) == 998


def test_who_has_taken_a_part_goes_on_behind_it() -> None:
    mailbox = Mailbox(None, max_frames=3)
    mailbox.put(frames(5, 6, 7))
    assert mailbox.take().mark == Mark(5, 1, "")
    with pytest.raises(SlowConsumer) as slow:
        mailbox.put(frames(8, 9))
    assert slow.value.details["after"] == Mark(5, 1, "").cursor
