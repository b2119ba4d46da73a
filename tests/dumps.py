"""Real dumps of a real database, in every format of pg_dump, old enough to be finished."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.postgres_server import PASSWORD, Postgres, program

DATABASE = "backed_up"
ROWS = 5000
FORMATS = {"custom": "-Fc", "tar": "-Ft", "directory": "-Fd", "text": "-Fp"}


@dataclass
class Dumps:
    """Dumps of `DATABASE`: two tables, `orders` with `ROWS` rows and an empty one."""

    folder: Path
    server: Postgres

    def path(self, format_: str) -> Path:
        """`custom`, `tar`, `directory`, `text`, `cluster`."""
        return self.folder / format_


def rested(path: Path, seconds: float = 3600) -> Path:
    """The file or folder, as if nobody had touched it for a while."""
    moment = time.time() - seconds
    for each in [path, *path.rglob("*")]:
        os.utime(each, (moment, moment))
    return path


def packed(tool: str, data: bytes) -> bytes:
    """Data as a program of the machine packs it."""
    return subprocess.run([tool, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.fixture(scope="session")
def dumps(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dumps]:
    """Dumps for the whole session; tests copy what they change."""
    server = postgres_server
    server.run(f"create database {DATABASE} owner app")
    server.run(
        "create table orders (id int primary key, note text)",
        f"insert into orders select n, md5(n::text) from generate_series(1, {ROWS}) n",
        "create table nothing (id int)",
        database=DATABASE,
        role="app",
    )
    folder = tmp_path_factory.mktemp("dumps")
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]
    environ = {**os.environ, "PGPASSWORD": PASSWORD}
    for name, option in FORMATS.items():
        command = [program("pg_dump"), *where, option, "-f", str(folder / name), DATABASE]
        subprocess.run(command, env=environ, check=True, timeout=60)
    command = [program("pg_dumpall"), *where, "-f", str(folder / "cluster")]
    subprocess.run(command, env=environ, check=True, timeout=60)
    rested(folder)
    yield Dumps(folder, server)
    server.run(f"drop database {DATABASE} with (force)")
