"""What a subscriber has not taken yet: bounded, and the newest of what only its newest matters."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from app.errors import SlowConsumer
from app.live.events import Mark
from app.live.hub import Frame

MAX_FRAMES = 2_000
MAX_BYTES = 1 << 20


class Mailbox:
    """Frames in the order of their marks; one that conflates takes the place of its elder.

    `taken` is the mark of the last one that was taken, at first the one that was asked to go on
    behind.
    """

    def __init__(
        self, after: Mark | None, *, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self._bytes = 0
        self._count = 0
        self.taken = after

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frames: Sequence[Frame]) -> None:
        """Add frames; where nothing waits, those of one step fit in: a replay can always be read.

        Raises:
            SlowConsumer: too many wait; nothing of this mailbox is delivered any more.
        """
        waited = bool(self._frames)
        for frame in frames:
            self._count += 1
            key = self._count if frame.key is None else (frame.key,)
            older = self._frames.pop(key, None)
            if older is not None:
                self._bytes -= len(older.body)
            self._frames[key] = frame
            self._bytes += len(frame.body)
        if waited and (len(self._frames) > self._max_frames or self._bytes > self._max_bytes):
            self._frames.clear()
            after = None if self.taken is None else self.taken.cursor
            raise SlowConsumer(
                "the subscriber reads too slowly: subscribe again with `after`", after=after
            )

    def take(self) -> Frame:
        """Give the oldest frame; it counts as delivered."""
        _, frame = self._frames.popitem(last=False)
        self._bytes -= len(frame.body)
        self.taken = frame.mark
        return frame
