"""Redis Streams as a broker: one stream, read as one consumer of a group."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from app.ingestion.streams import BrokerRefused, BrokerUnavailable, Entry

_CONNECT_S = 5.0
_ANSWER_S = 30.0  # well above any wait for entries
# What no second try can mend: the words with which Redis's errors begin, and what is said then.
_REFUSALS = {
    "WRONGTYPE": "the key {stream!r} is no stream",
    "unknown command": "this Redis is too old: 7 or newer is needed",
    "invalid DB index": "Redis has no such database: {words}",
    "DB index is out of range": "Redis has no such database: {words}",
}


class RedisStream:
    """One consumer of a group; `source` tells this stream and group from all others.

    Use it as a context manager. Every method raises BrokerUnavailable where Redis is down, and
    BrokerRefused where no second try can help.
    """

    def __init__(self, url: str, *, stream: str, group: str, consumer: str) -> None:
        """Connect later.

        Raises:
            BrokerRefused: the URL is none of Redis.
        """
        try:
            # A second try is the consumer's: it takes up first what this connection left.
            client: Any = redis.Redis.from_url(
                url,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=_CONNECT_S,
                socket_timeout=_ANSWER_S,
                client_name="tickgraph",
            )
        except ValueError as error:
            raise BrokerRefused(
                "the broker's address is not of Redis: write it as redis://host:6379/0"
            ) from error
        self._client = client
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._claim_from: bytes | str = "0-0"
        self.source = _source(client.connection_pool.connection_kwargs, stream, group)

    def __enter__(self) -> Self:
        """Connect, and make the group where it is missing: from the stream's beginning."""
        try:
            with self._faults():
                self._make_group()
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection; what is not acknowledged stays with this consumer."""
        self._client.close()

    def read(self, limit: int, wait_s: float) -> list[Entry]:
        """Give entries that nobody of the group has had, waiting for the first of them."""
        # Redis waits for ever where it is told to wait for 0 ms.
        block = math.ceil(wait_s * 1000) if wait_s > 0 else None
        with self._faults():
            return self._read(">", limit, block)

    def resume(self, limit: int) -> list[Entry]:
        """Give entries that this consumer has had and not acknowledged, oldest first."""
        with self._faults():
            return self._read("0", limit, None)

    def reclaim(self, limit: int, idle_s: float) -> list[Entry]:
        """Take over entries that a consumer has held for longer than `idle_s`."""
        with self._faults():
            while True:
                answer = self._client.xautoclaim(
                    self._stream,
                    self._group,
                    self._consumer,
                    int(idle_s * 1000),
                    start_id=self._claim_from,
                    count=limit,
                )
                self._claim_from, claimed, gone = answer[0], answer[1], [*answer[2:], []][0]
                entries = [_entry(key, fields) for key, fields in claimed if key is not None]
                entries += [_entry(key, {}) for key in gone]
                if entries or self._claim_from in (b"0-0", "0-0"):
                    return entries

    def acknowledge(self, positions: Sequence[str]) -> None:
        """Tell Redis that it need not keep these entries for this group."""
        with self._faults():
            self._client.xack(self._stream, self._group, *map(_redis_id, positions))

    def floor(self) -> str:
        """Give the position below which everything has been delivered and acknowledged."""
        with self._faults():
            # In this order: what is delivered between the two is above the first answer.
            delivered = next(
                _position(group["last-delivered-id"])
                for group in self._groups()
                if group["name"] == self._group.encode()
            )
            pending = self._client.xpending(self._stream, self._group)
            oldest = pending["min"]
        return delivered if oldest is None else min(delivered, _position(oldest))

    def _groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self._client.xinfo_groups(self._stream)
        return groups

    def _read(self, after: str, limit: int, block: int | None) -> list[Entry]:
        answer = self._client.xreadgroup(
            self._group, self._consumer, {self._stream: after}, count=limit, block=block
        )
        return [_entry(key, fields) for _, entries in answer for key, fields in entries]

    def _make_group(self) -> None:
        try:
            self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Map Redis's exceptions to ours."""
        try:
            yield
        except (AuthenticationError, NoPermissionError, ResponseError) as error:
            words = str(error)
            if words.startswith(("NOGROUP", "UNBLOCKED")) or "requires the key to exist" in words:
                # The stream was deleted, or Redis lost it: go on with what comes from now on.
                with self._faults():
                    self._make_group()
                raise BrokerUnavailable("the stream was gone; it is made again") from error
            for start, said in _REFUSALS.items():
                if words.startswith(start):
                    raise BrokerRefused(said.format(stream=self._stream, words=words)) from error
            if isinstance(error, AuthenticationError):
                raise BrokerRefused(f"Redis refused the login: {words}") from error
            if isinstance(error, NoPermissionError):
                raise BrokerRefused(f"Redis forbids this user a command: {words}") from error
            raise BrokerUnavailable(f"Redis refused a command: {words}") from error
        except (RedisError, OSError) as error:
            raise BrokerUnavailable(f"Redis cannot be reached: {error}") from error


def _entry(key: bytes, fields: dict[bytes, bytes]) -> Entry:
    return Entry(position=_position(key), fields=fields)


def _position(key: bytes) -> str:
    """Write an id, milliseconds and a number, so that its text sorts as ids do."""
    milliseconds, _, number = key.decode().partition("-")
    return f"{milliseconds:0>20}-{number:0>20}"


def _redis_id(position: str) -> str:
    return f"{position[:20].lstrip('0') or '0'}-{position[21:].lstrip('0') or '0'}"


def _source(place: dict[str, Any], stream: str, group: str) -> str:
    """Name the stream and group without the login; two streams never share a name."""
    server = place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"
    names = "/".join(quote(name, safe=":") for name in (stream, group))
    return f"redis://{server}/{place.get('db', 0)}/{names}"
