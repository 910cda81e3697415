import gzip
import hashlib
import random
from pathlib import Path

import pytest

from app.ingestion.spool import PIECE_BYTES, BodyBroken, BodyTooLarge, Gunzip, Spool

DATA = bytes(5 * PIECE_BYTES + 17) + random.Random(1).randbytes(200_000)


@pytest.mark.parametrize("step", [1, 1_000, 1 << 30])
def test_gzip_comes_out_in_bounded_pieces(step: int) -> None:
    data = DATA if step > 1 else DATA[: 2 * PIECE_BYTES]
    zipped = gzip.compress(data) + gzip.compress(b"") + gzip.compress(b"end")
    decoder = Gunzip()
    pieces = [
        piece
        for start in range(0, len(zipped), step)
        for piece in decoder.feed(zipped[start : start + step])
    ]
    decoder.finish()
    assert b"".join(pieces) == data + b"end"
    assert max(map(len, pieces)) <= PIECE_BYTES


@pytest.mark.parametrize("length", [0, 5, 30, -9, -1])
def test_a_gzip_that_breaks_off_is_noticed_at_the_end(length: int) -> None:
    decoder = Gunzip()
    for _ in decoder.feed(gzip.compress(DATA)[:length]):
        pass
    with pytest.raises(BodyBroken, match="ends too early"):
        decoder.finish()


def test_what_was_written_can_be_read_again_and_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=1 << 20)
    for number in range(100):
        spool.write(b"line %d\n" % number)
    wanted = b"".join(b"line %d\n" % number for number in range(100))
    assert spool.checksum == hashlib.sha256(wanted).hexdigest()
    with spool.opened() as first, spool.opened() as second:
        assert first.readline(100) == b"line 0\n"
        assert second.read(1 << 20) == wanted
        assert first.read(1 << 20) == wanted[7:]
    assert list(tmp_path.iterdir()) == []
    spool.close()
    spool.close()
    with pytest.raises(OSError, match="closed"):
        spool.write(b"more")


def test_a_spool_takes_no_more_than_it_may(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=1 << 20)
    spool.write(bytes(1 << 20))
    with pytest.raises(BodyTooLarge, match="larger than 1 MiB"):
        spool.write(b"x")
    spool.close()
