"""A real PostgreSQL for tests, on a loopback port and a unix socket, in a folder of its own.

`postgres_server` lives as long as the session: TLS and archiving are on, `slow` statements are logged after 100 ms.
`postgres_database` is a database of one test in it. `running_postgres` starts another one with other settings.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import trustme
from psycopg import sql

from tests.requirements import need

PASSWORD = "planted/s3cret@shop"
"""Of every role; nothing that captain shows may hold it."""
OWNER = "postgres"
ROLES = {
    "app": "owns the databases of tests",
    "monitor": "reads what everybody does (pg_monitor)",
    "plain": "may only log in",
    "tls_only": "may only log in over TLS",
}
HBA = """\
local   all all                   trust
hostssl all tls_only 127.0.0.1/32 scram-sha-256
host    all tls_only 127.0.0.1/32 reject
host    all all      127.0.0.1/32 scram-sha-256
"""


@dataclass
class Postgres:
    """One server. Its superuser is `postgres`; its other roles are `ROLES`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def ca(self) -> Path:
        """The certificate authority of its certificate for `localhost` and 127.0.0.1."""
        return self.folder / "ca.pem"

    @property
    def log(self) -> Path:
        """What it writes about itself."""
        return self.folder / "log"

    @property
    def archive(self) -> Path:
        """Where it archives WAL files."""
        return self.folder / "archive"

    def dsn(
        self, role: str = "monitor", database: str = OWNER, host: str = "127.0.0.1", port: int = 0, **options: str
    ) -> str:
        """A URL for libpq; `options` are its parameters."""
        tail = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        return f"postgresql://{role}:{quote(PASSWORD, safe='')}@{host}:{port or self.port}/{database}?{tail}".rstrip(
            "?"
        )

    def connect(self, role: str = OWNER, database: str = OWNER) -> psycopg.Connection[Any]:
        """A connection that commits by itself, to be closed by the caller."""
        return psycopg.connect(self.dsn(role, database), autocommit=True)

    def run(self, *statements: str, database: str = OWNER, role: str = OWNER) -> list[tuple[Any, ...]]:
        """Run statements and return the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        with contextlib.closing(self.connect(role, database)) as connection:
            for statement in statements:
                done = connection.execute(statement.encode())
                rows = done.fetchall() if done.description else []
        return rows

    @contextlib.contextmanager
    def setting(self, **settings: str) -> Iterator[None]:
        """Settings that need no restart, for a while."""
        names = [sql.Identifier(name) for name in settings]
        pairs = zip(names, settings.values(), strict=True)
        self._reload([sql.SQL("alter system set {} = {}").format(name, sql.Literal(value)) for name, value in pairs])
        try:
            yield
        finally:
            self._reload([sql.SQL("alter system reset {}").format(name) for name in names])

    def _reload(self, statements: list[sql.Composed]) -> None:
        before = self._loaded_at()
        with contextlib.closing(self.connect()) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.execute("select pg_reload_conf()")
        self.until(lambda: self._loaded_at() > before)

    def _loaded_at(self) -> datetime:
        return self.run("select pg_conf_load_time()")[0][0]  # type: ignore[no-any-return]

    def until(self, true: Callable[[], bool], seconds: float = 15) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-2000:]
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, at once but cleanly."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)


def program(name: str) -> str:
    """Where a program of the server is: pg_dump, pg_restore. Skips the test where it is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name), reverse=True)
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    need("postgresql", None if found else f"{name} is not installed")
    return str(found)


def account(name: str) -> dict[str, Any]:
    """Keywords of subprocess that run a server as `name` where we are root, which it refuses to be run by."""
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        need(name, "there is no such user, and root may not run the server")
        raise
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give(path: Path, to: dict[str, Any]) -> None:
    """Make a file or folder belong to the server."""
    if to:
        os.chown(path, to["user"], to["group"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def running_postgres(**settings: str) -> Iterator[Postgres]:
    """A server with those settings besides the usual ones."""
    initdb, server = program("initdb"), program("postgres")
    user = account("postgres")
    # Short, because the path of a unix socket is; not below pytest's folder, which the server's user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="captain-pg-"))
    try:
        give(folder, user)
        (folder / "archive").mkdir()
        give(folder / "archive", user)
        write_certificate(folder, user)
        data = folder / "data"
        subprocess.run(
            [initdb, "--no-sync", "--auth=trust", f"--username={OWNER}", "--locale=C.UTF-8", str(data)],
            **user,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )
        (data / "pg_hba.conf").write_text(HBA)
        usual = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "max_connections": "40",
            "ssl": "on",
            "ssl_cert_file": str(folder / "server.pem"),
            "ssl_key_file": str(folder / "server.key"),
            "archive_mode": "on",
            "archive_command": f"cp %p {folder}/archive/%f",
            "log_min_duration_statement": "100",
            "log_line_prefix": "%m [%p] %u@%d ",
            "timezone": "UTC",
        }
        port = free_port()
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**usual, "port": str(port), **settings}.items())
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([server, "-D", str(data)], **user, cwd=folder, stdout=log, stderr=log)
        made = Postgres(folder, port, process)
        try:
            made.until(lambda: _answers(made), 30)
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_certificate(folder: Path, user: dict[str, Any]) -> None:
    """ca.pem, server.pem and server.key for `localhost` and 127.0.0.1, the key for the server alone."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "server.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "server.key").write_bytes(issued.private_key_pem.bytes())
    (folder / "server.key").chmod(0o600)
    give(folder / "server.key", user)


def _answers(server: Postgres) -> bool:
    """Whether it takes connections; its roles are made at the first."""
    assert server.process.poll() is None, server.log.read_text(errors="replace")[-2000:]
    try:
        connection = psycopg.connect(host=str(server.folder), port=server.port, user=OWNER, dbname=OWNER)
    except psycopg.OperationalError:
        return False
    with contextlib.closing(connection):
        connection.autocommit = True
        connection.execute(sql.SQL("alter role postgres password {}").format(sql.Literal(PASSWORD)))
        for role in ROLES:
            connection.execute(
                sql.SQL("create role {} login password {}").format(sql.Identifier(role), sql.Literal(PASSWORD))
            )
        connection.execute("grant pg_monitor to monitor")
    return True


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A server for the whole session. Whoever changes a setting changes it back."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: Postgres) -> Iterator[str]:
    """The name of an empty database that `app` owns, gone when the test ends."""
    name = f"shop_{secrets.token_hex(4)}"
    postgres_server.run(f"create database {name} owner app")
    yield name
    postgres_server.run(f"drop database {name} with (force)")
