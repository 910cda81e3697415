"""The native Redis server: what others may rely on."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.parts.commands import PartFailed
from tests.parts.redis import RedisServer, native_redis


def _ask(server: RedisServer, command: str) -> str:
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=5) as session:
        session.sendall(f"{command}\r\n".encode())
        return session.recv(1024).decode()


def test_server_answers_on_the_loopback_address(tmp_path: Path) -> None:
    with native_redis(tmp_path) as server:
        assert _ask(server, "PING") == "+PONG\r\n"
        assert _ask(server, 'EVAL "return cjson.encode({1})" 0') == "$3\r\n[1]\r\n"
        process = psutil.Process(server.pid)
        addresses = {connection.laddr.ip for connection in process.net_connections("tcp")}
        assert addresses == {"127.0.0.1"}
    assert not process.is_running()


@pytest.mark.parametrize(("append_only", "kept"), [(True, "$2\r\n42\r\n"), (False, "$-1\r\n")])
def test_append_only_server_keeps_its_keys(tmp_path: Path, append_only: bool, kept: str) -> None:
    with native_redis(tmp_path, append_only=append_only) as server:
        assert _ask(server, "SET price 42") == "+OK\r\n"
        server.stop()
        server.start()
        assert _ask(server, "GET price") == kept


def test_killed_server_starts_again_on_its_port(tmp_path: Path) -> None:
    with native_redis(tmp_path) as server:
        killed_pid = server.pid
        server.kill()
        with pytest.raises(PartFailed, match="not running"):
            _ = server.pid
        server.start()
        assert server.pid != killed_pid
        assert _ask(server, "PING") == "+PONG\r\n"
