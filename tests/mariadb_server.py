"""A real MariaDB for tests, on a loopback port and a unix socket, in a folder of its own. Its settings are defaults."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql
import pytest

from tests.postgres_server import account, free_port, give, write_certificate
from tests.requirements import need

PASSWORD = "planted/s3cret@maria"
"""Of every account; nothing that captain shows may hold it."""
ACCOUNTS = {
    "owner": "grant all on *.* to {} with grant option",
    "monitor": "grant process, select on *.* to {}",
    "plain": "grant select on shop.orders to {}",
    "tls_only": "grant usage on *.* to {} require ssl",
}


@dataclass
class Mariadb:
    """One server with a database `shop`. Its accounts are `ACCOUNTS`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def ca(self) -> Path:
        """The certificate authority of its certificate for `localhost` and 127.0.0.1."""
        return self.folder / "ca.pem"

    @property
    def door(self) -> Path:
        return self.folder / "sock"

    def dsn(
        self, account: str = "monitor", database: str = "shop", host: str = "127.0.0.1", port: int = 0, **options: str
    ) -> str:
        """A URL; `options` are its parameters."""
        tail = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        return f"mysql://{account}:{quote(PASSWORD, safe='')}@{host}:{port or self.port}/{database}?{tail}".rstrip("?")

    def run(self, *statements: str, user: str = "owner", database: str = "shop") -> list[tuple[Any, ...]]:
        """Run statements and return the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=PASSWORD, database=database, autocommit=True
        )
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows = list(cursor.fetchall())
        return rows

    def stop(self) -> None:
        """End it, at once but cleanly."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)


@contextlib.contextmanager
def running_mariadb(*arguments: str, tls: bool = True) -> Iterator[Mariadb]:
    """A server with those arguments besides what it needs to run here."""
    server = shutil.which("mariadbd", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    maker = shutil.which("mariadb-install-db")
    need("mariadb", None if server and maker else "mariadb-server is not installed")
    user = account("mysql")
    folder = Path(tempfile.mkdtemp(prefix="captain-my-"))
    try:
        give(folder, user)
        write_certificate(folder, user)
        data = folder / "data"
        small = ("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0")
        subprocess.run(
            [str(maker), "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", *small],
            **user,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )
        port = free_port()
        secured = (
            f"--ssl-ca={folder}/ca.pem",
            f"--ssl-cert={folder}/server.pem",
            f"--ssl-key={folder}/server.key",
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(str(server), "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1"),
                    *(f"--socket={folder}/sock", f"--pid-file={folder}/pid", *small, *(secured if tls else ())),
                    *arguments,
                ],
                **user,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        made = Mariadb(folder, port, process)
        try:
            _furnish(made)
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _furnish(server: Mariadb) -> None:
    """Wait until it answers and make its accounts."""
    deadline = time.monotonic() + 60
    while not _accepts(server.door):
        said = (server.folder / "log").read_text(errors="replace")[-2000:]
        assert server.process.poll() is None and time.monotonic() < deadline, said
        time.sleep(0.05)
    connection = pymysql.connect(unix_socket=str(server.door), user="root", autocommit=True)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("delete from mysql.global_priv where user = ''")
        cursor.execute("flush privileges")
        cursor.execute("create database shop")
        cursor.execute("create table shop.orders (id int primary key auto_increment, state varchar(20))")
        cursor.execute("create table shop.payments (id int primary key)")
        for name, grant in ACCOUNTS.items():
            cursor.execute(f"create user '{name}'@'%%' identified by %s", (PASSWORD,))
            cursor.execute(grant.format(f"'{name}'@'%'"))


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.connect(str(path))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Mariadb]:
    """A server for the whole session. Whoever changes a variable changes it back."""
    with running_mariadb() as server:
        yield server
