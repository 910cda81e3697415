"""The Redis side: groups, what is pending, what can come again, and what Redis refuses."""

import time
from pathlib import Path

import pytest

from app.ingestion.redis_stream import RedisStream
from app.ingestion.streams import BrokerRefused, BrokerUnavailable
from tests.ingestion.streaming import Feed
from tests.parts.guarded import free_port
from tests.parts.redis import RedisServer, native_redis


def member(feed: Feed, consumer: str = "one") -> RedisStream:
    return RedisStream(feed.url, stream=feed.stream, group=feed.group, consumer=consumer)


def numbers(entries: object) -> list[str]:
    assert isinstance(entries, list)
    return [entry.fields[b"n"].decode() for entry in entries]


def test_a_group_that_is_missing_is_made_and_reads_from_the_beginning(feed: Feed) -> None:
    feed.add({"n": "1"}, {"n": "2"})
    with member(feed) as broker:
        assert numbers(broker.read(10, 0)) == ["1", "2"]
    feed.add({"n": "3"})
    with member(feed) as broker:
        assert numbers(broker.read(10, 0)) == ["3"]


def test_a_stream_that_is_missing_is_made(feed: Feed) -> None:
    with member(feed) as broker:
        began = time.monotonic()
        assert broker.read(10, 0.1) == []
        assert 0.05 < time.monotonic() - began < 5
        feed.add({"n": "1"})
        assert numbers(broker.read(10, 5)) == ["1"]


def test_what_is_not_acknowledged_comes_to_its_consumer_again(feed: Feed) -> None:
    feed.add(*({"n": str(n)} for n in range(5)))
    with member(feed) as broker:
        first = broker.read(3, 0)
    with member(feed) as broker, member(feed, "other") as other:
        assert numbers(other.read(10, 0)) == ["3", "4"]
        assert numbers(broker.resume(10)) == ["0", "1", "2"]
        broker.acknowledge([entry.position for entry in first[:2]])
        assert numbers(broker.resume(10)) == ["2"]
        assert numbers(broker.resume(10)) == ["2"]


def test_what_another_consumer_left_is_taken_over_after_a_while(feed: Feed) -> None:
    feed.add(*({"n": str(n)} for n in range(5)))
    with member(feed) as broker, member(feed, "other") as other:
        broker.read(5, 0)
        assert other.reclaim(10, 60) == []
        assert numbers(other.reclaim(3, 0)) == ["0", "1", "2"]
        assert numbers(other.reclaim(3, 0)) == ["3", "4"]
        assert broker.resume(10) == []


def test_entries_that_the_stream_has_dropped_are_told_without_fields(feed: Feed) -> None:
    feed.add({"n": "0"}, {"n": "1"})
    with member(feed) as broker, member(feed, "other") as other:
        held = broker.read(10, 0)
        feed.client.xtrim(feed.stream, maxlen=1, approximate=False)
        assert [entry.fields for entry in broker.resume(10)] == [{}, {b"n": b"1"}]
        taken = other.reclaim(10, 0)
        assert sorted((entry.position, bool(entry.fields)) for entry in taken) == [
            (held[0].position, False),
            (held[1].position, True),
        ]


def test_positions_sort_as_entries_come(feed: Feed) -> None:
    for key in ("5-0", "5-9", "5-10", "20-1", f"{2**64 - 1}-3"):
        feed.client.xadd(feed.stream, {"n": key}, id=key)
    with member(feed) as broker:
        entries = broker.read(10, 0)
        assert numbers(sorted(entries, key=lambda entry: entry.position)) == numbers(entries)
        broker.acknowledge([entry.position for entry in entries])
    assert feed.pending == 0


def test_the_floor_is_below_all_that_can_still_come(feed: Feed) -> None:
    with member(feed) as broker, member(feed, "other") as other:
        feed.add(*({"n": str(n)} for n in range(4)))
        assert broker.floor() == f"{0:020}-{0:020}"
        first, second = broker.read(2, 0), other.read(2, 0)
        assert broker.floor() == first[0].position
        other.acknowledge([entry.position for entry in second])
        assert other.floor() == first[0].position
        broker.acknowledge([first[0].position])
        assert broker.floor() == first[1].position
        broker.acknowledge([first[1].position])
        assert broker.floor() == second[1].position
        feed.rewind()
        assert broker.floor() == f"{0:020}-{0:020}"


def test_a_stream_that_is_deleted_is_made_again(feed: Feed) -> None:
    with member(feed) as broker:
        feed.add({"n": "1"})
        broker.read(1, 0)
        feed.client.delete(feed.stream)
        with pytest.raises(BrokerUnavailable, match="it is made again"):
            broker.read(1, 0)
        assert broker.resume(1) == []
        feed.add({"n": "2"})
        assert numbers(broker.read(1, 0)) == ["2"]


def test_streams_groups_and_servers_have_sources_of_their_own(server: RedisServer) -> None:
    def source(url: str, stream: str, group: str) -> str:
        return RedisStream(url, stream=stream, group=group, consumer="c").source

    place = server.url.removesuffix("/0")
    assert source(f"{place}/3", "md:trades", "g") == f"{place}/3/md:trades/g"
    assert source("redis://me:secret@h", "s", "g") == "redis://h:6379/0/s/g"
    assert source("redis://h", "a/b", "c") != source("redis://h", "a", "b/c")


@pytest.mark.parametrize("url", ["http://localhost:6379", "localhost", "", "redis://h:port/0"])
def test_an_address_that_is_not_of_redis_is_refused(url: str) -> None:
    with pytest.raises(BrokerRefused, match="write it as redis://host:6379/0"):
        RedisStream(url, stream="s", group="g", consumer="c")


def test_a_key_of_another_type_is_refused(feed: Feed) -> None:
    feed.client.set(feed.stream, "42")
    with pytest.raises(BrokerRefused, match=f"the key '{feed.stream}' is no stream"), member(feed):
        pass


def test_a_login_is_refused(server: RedisServer, feed: Feed) -> None:
    feed.client.acl_setuser("reader", enabled=True, passwords=["+secret"], commands=["+ping"])
    place = server.url.removeprefix("redis://")
    for login, words in (
        ("reader:wrong", "Redis refused the login: .*invalid"),
        ("reader:secret", "Redis forbids this user a command: .*permission"),
    ):
        broker = RedisStream(
            f"redis://{login}@{place}", stream=feed.stream, group="g", consumer="c"
        )
        with pytest.raises(BrokerRefused, match=words), broker:
            pass


def test_a_password_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    with native_redis(tmp_path) as server:
        feed = Feed(server.url, "s")
        feed.client.config_set("requirepass", "secret")
        with pytest.raises(BrokerRefused, match="Redis refused the login: Auth"), member(feed):
            pass


def test_a_database_that_redis_has_not_is_refused(server: RedisServer) -> None:
    url = server.url.removesuffix("/0") + "/999"
    with (
        pytest.raises(BrokerRefused, match="no such database"),
        RedisStream(url, stream="s", group="g", consumer="c"),
    ):
        pass


def test_no_redis_is_said_to_be_unavailable() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    with (
        pytest.raises(BrokerUnavailable, match="Redis cannot be reached"),
        RedisStream(url, stream="s", group="g", consumer="c"),
    ):
        pass
