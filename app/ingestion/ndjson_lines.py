"""The lines of NDJSON, and the keys of their objects."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from app.errors import ImportRefused
from app.ingestion.blocks import UTF16_MARKS, Source, whole_lines

MAX_KEYS = 1_000
_BOM = b"\xef\xbb\xbf"
# What msgspec raises on bytes that are no JSON object, or one nested too deeply.
NO_OBJECT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Decode = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of a source, and the number of the first; `data` are the same in one piece."""

    first: int
    data: bytes
    lines: list[bytes]

    def line(self, number: int) -> bytes:
        """Give a line by its number."""
        return self.lines[number - self.first]


def blocks_of(source: Source, size: int) -> Iterator[Block]:
    """Give the lines of a source in blocks of about `size` bytes.

    Raises:
        ImportRefused: it is UTF-16, or has a line that is too long.
    """
    first = 1
    while data := whole_lines(source, size, first):
        if first == 1:
            if data.startswith(UTF16_MARKS):
                raise ImportRefused("it is UTF-16: save it as UTF-8")
            data = data.removeprefix(_BOM)
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        yield Block(first, data, lines)
        first += len(lines)


def find_keys(source: Source, size: int) -> list[str]:
    """Give the keys of all records: a field that only late records have must not get lost.

    Raises:
        ImportRefused: there is no JSON object, or there are more than MAX_KEYS keys.
    """
    keys: dict[str, None] = {}
    any_key = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    known_keys = _only_keys(keys)
    empty, objects = True, False
    for block in blocks_of(source, size):
        try:
            deque(map(known_keys, block.lines), maxlen=0)
        except NO_OBJECT:
            pass
        else:
            objects = objects or bool(block.lines)
            continue
        for line in block.lines:
            try:
                known_keys(line)
                objects = True
            except NO_OBJECT:
                if not line.strip():
                    continue
                empty = False
                try:
                    found = any_key(line)
                except NO_OBJECT:
                    continue
                objects = True
                if not found.keys() <= keys.keys():
                    keys |= dict.fromkeys(found)
                    if len(keys) > MAX_KEYS:
                        words = f"its records have more than {MAX_KEYS} different keys"
                        raise ImportRefused(words) from None
                    known_keys = _only_keys(keys)
    if not objects:
        raise ImportRefused("there is no record in it" if empty else "no line is a JSON object")
    return list(keys)


def _only_keys(keys: Mapping[str, None]) -> Decode:
    """Decode objects that have none but these keys; much faster than to see which they have."""
    slots = {f"f{number}": key for number, key in enumerate(keys) if is_plain(key)}
    row = msgspec.defstruct(
        "Known",
        [(slot, msgspec.Raw, msgspec.Raw()) for slot in slots],
        rename=slots,
        gc=False,
        forbid_unknown_fields=True,
    )
    return msgspec.json.Decoder(row).decode


def is_plain(key: str) -> bool:
    """Tell whether msgspec takes a key as the name of a struct's field."""
    return not any(each in '"\\' or each < " " for each in key)
