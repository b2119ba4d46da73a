"""Real Redis servers for tests, on loopback or a unix socket, ended by their pid."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.requirements import need

PASSWORD = "hunter22-redis-pw"
"""What must never be seen anywhere."""


@dataclass
class RedisServer:
    """One server that answers."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    password: str | None = None
    tls: bool = False

    def url(self, database: int = 0, *, user: str = "", password: str | None = None, host: str = "127.0.0.1") -> str:
        secret = password if password is not None else self.password
        login = f"{user}:{secret}@" if secret else ""
        return f"{'rediss' if self.tls else 'redis'}://{login}{host}:{self.port}/{database}"

    @property
    def unix(self) -> Path:
        return self.folder / "redis.sock"

    def client(self, database: int = 0) -> Any:
        """redis-py, over the unix socket; the caller closes it."""
        import redis

        return redis.Redis(
            unix_socket_path=str(self.unix), db=database, password=self.password, protocol=2, driver_info=None
        )

    def run(self, *command: str | bytes | int, database: int = 0) -> Any:
        with contextlib.closing(self.client(database)) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)


class RedisServers:
    """Starts servers and remembers them."""

    def __init__(self) -> None:
        self._made: list[RedisServer] = []

    def start(self, *options: str, password: str | None = None, tls: tuple[Path, Path] | None = None) -> RedisServer:
        """A server with those options of redis-server (`--maxmemory`, `64mb`); `tls` are certificate and key."""
        program = shutil.which("redis-server")
        need("redis-server", None if program else "not installed")
        assert program is not None
        folder = Path(tempfile.mkdtemp(prefix="captain-redis-"))
        port = _free_port()
        ports = ["--port", str(port)]
        if tls is not None:
            named = ["--tls-cert-file", str(tls[0]), "--tls-key-file", str(tls[1]), "--tls-auth-clients", "no"]
            ports = ["--port", "0", "--tls-port", str(port), *named]
        process = subprocess.Popen(
            [
                *(program, "--bind", "127.0.0.1", *ports, "--dir", str(folder), "--daemonize", "no"),
                *("--unixsocket", str(folder / "redis.sock"), "--save", "", "--appendonly", "no"),
                *(("--requirepass", password) if password else ()),
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = RedisServer(port, folder, process, password, tls is not None)
        self._made.append(server)
        deadline = time.monotonic() + 15
        while not _answers(server.unix):
            assert process.poll() is None, f"redis-server ended with {process.returncode}"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)
        return server

    def close(self) -> None:
        for server in self._made:
            server.kill()
            shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis with a password and 64 MB, shared by the session: tests take databases and keys of their own."""
    servers = RedisServers()
    yield servers.start("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", password=PASSWORD)
    servers.close()


@pytest.fixture
def redis_servers() -> Iterator[RedisServers]:
    """Redis servers of one test, gone when it ends."""
    servers = RedisServers()
    yield servers
    servers.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(path: Path) -> bool:
    """Even a refusal is an answer."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(path))
            sock.sendall(b"PING\r\n")
            return sock.recv(16)[:1] in (b"+", b"-")
    except OSError:
        return False
