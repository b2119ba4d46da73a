"""A real PostgreSQL and a real MariaDB that speak TLS with an authority's certificate for `localhost`.

They are for what happens before a login.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.nginx_server import free_ports
from tests.requirements import need


@dataclass
class Database:
    """One server that has TLS, and one beside it that has none."""

    port: int
    plain_port: int
    ca_file: Path
    socket: str = ""
    """Where root of the one with TLS logs in without a password."""


def found(name: str, *folders: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *folders]))


@contextmanager
def folder_of(user: str) -> Iterator[tuple[Path, str | None]]:
    """A folder, and the user that owns it where captain's tests run as root, which no database does."""
    owner = user if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="captain-test-") as made:
        folder = Path(made)
        if owner:
            entry = pwd.getpwnam(owner)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder, owner


def certificate(folder: Path, owner: str | None) -> Path:
    """server.pem and server.key in the folder; the authority that issued it."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", common_name="localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    issued.private_key_pem.write_to_path(str(folder / "server.key"))
    (folder / "server.key").chmod(0o600)
    if owner:
        for name in ("ca.pem", "server.pem", "server.key"):
            shutil.chown(folder / name, owner)
    return folder / "ca.pem"


@contextmanager
def running(argv: list[str], owner: str | None, folder: Path, port: int) -> Iterator[None]:
    log = folder / f"{port}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            argv, user=owner, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={"HOME": str(folder)}
        )
    try:
        end = time.monotonic() + 30
        while True:
            assert process.poll() is None and time.monotonic() < end, log.read_text(errors="replace")[-2000:]
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def tls_postgres() -> Iterator[Database]:
    """PostgreSQL, with and without TLS."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    program = found("postgres", *map(str, homes))
    need("postgresql", None if program else "not installed")
    with folder_of("postgres") as (folder, owner):
        ca_file = certificate(folder, owner)
        subprocess.run(
            [str(Path(str(program)).with_name("initdb")), "-D", str(folder / "data"), "--no-sync", "-U", "postgres"],
            user=owner,
            cwd=folder,
            check=True,
            capture_output=True,
            env={"HOME": str(folder), "LANG": "C.UTF-8"},
        )
        port, plain_port = free_ports(2)
        shutil.copytree(folder / "data", folder / "plain")
        if owner:
            for path in [folder / "plain", *(folder / "plain").rglob("*")]:
                shutil.chown(path, owner)
        common = [str(program), "-k", "", "-h", "127.0.0.1", "-c", "fsync=off"]
        secured = [
            "-c",
            "ssl=on",
            "-c",
            f"ssl_cert_file={folder}/server.pem",
            "-c",
            f"ssl_key_file={folder}/server.key",
        ]
        with (
            running([*common, "-D", str(folder / "data"), "-p", str(port), *secured], owner, folder, port),
            running([*common, "-D", str(folder / "plain"), "-p", str(plain_port)], owner, folder, plain_port),
        ):
            yield Database(port, plain_port, ca_file)


@pytest.fixture(scope="session")
def tls_mariadb() -> Iterator[Database]:
    """MariaDB, with and without TLS."""
    program = found("mariadbd", "/usr/sbin")
    need("mariadb-server", None if program else "not installed")
    with folder_of("mysql") as (folder, owner):
        ca_file = certificate(folder, owner)
        port, plain_port = free_ports(2)
        subprocess.run(
            [
                str(found("mariadb-install-db")),
                "--no-defaults",
                f"--datadir={folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *([f"--user={owner}"] if owner else []),
            ],
            check=True,
            capture_output=True,
        )
        secured = [f"--ssl-cert={folder}/server.pem", f"--ssl-key={folder}/server.key", f"--ssl-ca={folder}/ca.pem"]
        data = _mariadb(str(program), folder, "data", owner, port, *secured)
        plain = _mariadb(str(program), folder, "plain", owner, plain_port, "--skip-grant-tables")
        with (
            running(data, owner, folder, port),
            running(plain, owner, folder, plain_port),
        ):
            yield Database(port, plain_port, ca_file, f"{folder}/data.sock")


def _mariadb(program: str, folder: Path, name: str, owner: str | None, port: int, *more: str) -> list[str]:
    data = folder / name
    data.mkdir(exist_ok=True)
    if owner:
        shutil.chown(data, owner)
    return [
        program,
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={folder}/{name}.sock",
        f"--pid-file={folder}/{name}.pid",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--innodb-buffer-pool-size=8M",
        "--innodb-log-file-size=4M",
        *more,
    ]
