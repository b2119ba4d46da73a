"""What the tls probe tells about real servers: nginx, PostgreSQL and MariaDB, good ones and every kind of bad one."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
import tracemalloc
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.tls import TlsProbe
from captain.systems.web import handshake
from captain.systems.web.handshake import accepted
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers
from tests.nginx_server import Nginx
from tests.probe_context import holds, probe_context
from tests.tls_databases import Database

TOLD_BY_ANY = {"days_left", "not_after", "issuer", "subject", "san_match", "key_bits", "protocol", "cipher", "ip"}


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


async def ask(port: int, *, host: str = "localhost", within: float = 5, **keys: Any) -> Measurement:
    keys = {name: str(value) if isinstance(value, Path) else value for name, value in keys.items()}
    return await TlsProbe(host=host, port=port, **keys).measure(probe_context(Path.cwd(), within))


async def test_a_server_in_order_passes_and_everything_is_told(nginx: Nginx) -> None:
    seen = await ask(nginx.tls["good"], ca_file=nginx.ca_file)
    assert holds(TlsProbe, seen) is True
    assert set(seen.observed) == {*TOLD_BY_ANY, "verified", "legacy_accepted", "legacy_untestable"}
    assert (seen.observed["protocol"], seen.observed["key_bits"]) == ("TLSv1.3", 256)
    assert (seen.observed["days_left"], seen.observed["san_match"]) == (89, True)
    assert str(seen.observed["issuer"]).startswith("O=trustme")
    assert holds(TlsProbe, seen, "not_after - now > days(21)") is True
    assert (seen.asked, seen.notes) == (f"TLS of localhost:{nginx.tls['good']}", ())


@pytest.mark.parametrize(
    ("name", "kind", "error"),
    [
        ("expired", "expired", "certificate has expired"),
        ("future", "not_yet_valid", "certificate is not yet valid"),
        ("wrong_host", "wrong_host", "Hostname mismatch, certificate is not valid for 'localhost'."),
        ("unknown_ca", "unknown_ca", "unable to get local issuer certificate"),
        ("self_signed", "self_signed", "self-signed certificate"),
    ],
)
async def test_f32_a_certificate_that_does_not_verify_fails_and_is_read_all_the_same(
    nginx: Nginx, name: str, kind: str, error: str
) -> None:
    seen = await ask(nginx.tls[name], ca_file=nginx.ca_file)
    assert holds(TlsProbe, seen) is False
    assert (seen.observed["verified"], seen.observed["verify_class"], seen.observed["verify_error"]) == (
        False,
        kind,
        error,
    )
    assert set(seen.observed) >= TOLD_BY_ANY
    assert seen.observed["days_left"] == {"expired": -4}.get(name, 89)
    assert seen.observed["san_match"] is (name != "wrong_host")
    assert isinstance(seen.observed["not_after"], datetime)
    assert any("certificates between" in note for note in seen.notes) is (kind == "unknown_ca")


def test_f32_python_tells_nothing_of_a_certificate_that_was_not_verified(nginx: Nginx) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", nginx.tls["expired"])) as plain, context.wrap_socket(plain) as secured:
        assert secured.getpeercert() == {}
        assert secured.getpeercert(binary_form=True)


async def test_a_private_authority_is_unknown_without_ca_file(nginx: Nginx) -> None:
    seen = await ask(nginx.tls["good"])
    assert (seen.observed["verified"], seen.observed["verify_class"]) == (False, "unknown_ca")


async def test_another_name_than_the_host_is_asked_for_with_sni(nginx: Nginx) -> None:
    port = nginx.tls["wrong_host"]
    seen = await ask(port, sni="a.shop.example.com", ca_file=nginx.ca_file)
    assert holds(TlsProbe, seen) is True
    assert seen.asked == f"TLS of localhost:{port} as a.shop.example.com"


async def test_an_address_verifies_where_the_certificate_holds_it(nginx: Nginx) -> None:
    good = await ask(nginx.tls["good"], host="127.0.0.1", ca_file=nginx.ca_file)
    assert (good.observed["verified"], good.observed["san_match"]) == (True, True)
    short = await ask(nginx.tls["short"], host="127.0.0.1", ca_file=nginx.ca_file)
    assert (short.observed["verify_class"], short.observed["san_match"]) == ("wrong_host", False)


async def test_a_certificate_that_ends_this_week_verifies_and_fails(nginx: Nginx) -> None:
    seen = await ask(nginx.tls["short"], ca_file=nginx.ca_file)
    assert (seen.observed["verified"], seen.observed["days_left"]) == (True, 4)
    assert holds(TlsProbe, seen) is False


async def test_old_versions_that_are_still_spoken_are_found(nginx: Nginx) -> None:
    seen = await ask(nginx.tls["legacy"], ca_file=nginx.ca_file)
    assert seen.observed["legacy_accepted"] == ["TLSv1.0", "TLSv1.1"]
    assert seen.observed["protocol"] == "TLSv1.2"
    assert holds(TlsProbe, seen) is False


async def test_what_is_old_is_for_the_file_to_say(nginx: Nginx) -> None:
    seen = await ask(nginx.tls["good"], ca_file=nginx.ca_file, min_version="TLSv1.3")
    assert seen.observed["legacy_accepted"] == ["TLSv1.2"]


async def test_a_server_with_nothing_new_fails(nginx: Nginx) -> None:
    with pytest.raises(ProbeError, match=r"no TLSv1\.2 and nothing newer") as raised:
        await ask(nginx.tls["ancient"], ca_file=nginx.ca_file)
    assert raised.value.fault == "subject"


async def test_versions_that_this_machine_cannot_offer_are_not_called_refused(
    nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a cipher that the old versions know, OpenSSL itself refuses to say hello in them.
    monkeypatch.setattr(handshake, "_EVERY_CIPHER", "ECDHE+AESGCM")
    seen = await ask(nginx.tls["legacy"], ca_file=nginx.ca_file)
    assert seen.observed["legacy_untestable"] == ["TLSv1.0", "TLSv1.1"]
    assert "legacy_accepted" not in seen.observed
    assert holds(TlsProbe, seen) is None
    assert seen.notes == ("this machine's OpenSSL does not offer TLSv1.0, TLSv1.1",)


async def test_old_versions_are_left_alone_where_the_file_says_so(nginx: Nginx) -> None:
    seen = await ask(nginx.tls["legacy"], ca_file=nginx.ca_file, probe_legacy=False)
    assert not {"legacy_accepted", "legacy_untestable"} & set(seen.observed)
    assert holds(TlsProbe, seen) is None


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (b"", False),
        (bytes.fromhex("15030100020246"), False),
        (bytes.fromhex("160301003602000032") + b"\x03\x01", True),
        (bytes.fromhex("160303003602000032") + b"\x03\x03", False),
        (bytes.fromhex("1603010036020000"), None),
        (b"HTTP/1.1 400", None),
        (b"SSH-2.0-Open", None),
    ],
)
def test_the_first_bytes_tell_an_acceptance_from_a_refusal_and_both_from_noise(said: bytes, means: bool | None) -> None:
    assert accepted("TLSv1.0", said) is means


async def test_a_wrong_port_is_told(nginx: Nginx) -> None:
    with pytest.raises(ProbeError, match=r"no TLS: wrong version number") as raised:
        await ask(nginx.plain)
    assert raised.value.fault == "unclear"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ProbeError, match="connection refused") as raised:
        await ask(port)
    assert raised.value.fault == "subject"
    with pytest.raises(ProbeError, match="was not resolved") as raised:
        await ask(443, host="shop.invalid")
    assert raised.value.fault == "unclear"


async def test_an_authorities_file_that_is_missing_is_our_own_mistake(nginx: Nginx) -> None:
    with pytest.raises(ProbeError, match="cannot load ca_file") as raised:
        await ask(nginx.tls["good"], ca_file="no-such.pem")
    assert raised.value.fault == "instrument"


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("starttls", ["none", "postgres", "mysql"])
async def test_no_manner_of_a_server_holds_it_or_fills_memory(
    hostile_server: HostileServer, manner: str, starttls: str
) -> None:
    greeting = b"\x4a\0\0\0\x0a5.5.5\0" if starttls == "mysql" else b""
    port = hostile_server.port(manner, after=b"S" if starttls == "postgres" else b"", greeting=greeting)
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(ProbeError):
        await ask(port, within=0.6, starttls=starttls)
    assert time.monotonic() - began < 1.1
    assert tracemalloc.get_traced_memory()[1] < 8 * 1024**2
    tracemalloc.stop()


async def test_a_handshake_that_never_ends_is_given_up(hostile_server: HostileServer) -> None:
    # A record that announces a certificate of 16 MB, and goes on and on.
    start = bytes.fromhex("160303ffff")
    with pytest.raises(ProbeError):
        await ask(hostile_server.port("flood", after=start), within=2)


async def test_what_could_not_be_tried_to_the_end_is_left_out(servers: Servers, nginx: Nginx) -> None:
    passed_on: list[bool] = []

    def first_only(peer: socket.socket) -> None:
        if passed_on:
            peer.recv(65536)
            peer.sendall(b"no more TLS today")
            return
        passed_on.append(True)
        with socket.create_connection(("127.0.0.1", nginx.tls["good"])) as real:
            _both_ways(peer, real)

    seen = await ask(servers.talk(first_only).port, ca_file=nginx.ca_file)
    assert seen.observed["verified"] is True
    assert "legacy_accepted" not in seen.observed
    assert "an answer that is not TLS" in seen.notes[0]
    assert holds(TlsProbe, seen) is None


def _both_ways(one: socket.socket, other: socket.socket) -> None:
    while True:
        for source in select.select([one, other], [], [], 5)[0]:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)


async def test_postgresql_is_asked_its_own_way(tls_postgres: Database) -> None:
    seen = await ask(tls_postgres.port, starttls="postgres", ca_file=tls_postgres.ca_file)
    assert holds(TlsProbe, seen) is True
    assert "CN=localhost" in str(seen.observed["subject"])
    unknown = await ask(tls_postgres.port, starttls="postgres")
    assert (unknown.observed["verify_class"], unknown.observed["san_match"]) == ("unknown_ca", True)


async def test_mariadb_is_asked_its_own_way(tls_mariadb: Database) -> None:
    seen = await ask(tls_mariadb.port, starttls="mysql", ca_file=tls_mariadb.ca_file, probe_legacy=True)
    assert holds(TlsProbe, seen) is True
    unknown = await ask(tls_mariadb.port, starttls="mysql")
    assert (unknown.observed["verify_class"], unknown.observed["san_match"]) == ("unknown_ca", True)


async def test_asking_mysql_for_tls_is_not_counted_against_this_host(tls_mariadb: Database) -> None:
    import pymysql

    def broken_off() -> int:
        with (
            pymysql.connect(unix_socket=tls_mariadb.socket, user="root") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Aborted_connects_preauth'")
            row = cursor.fetchone()
            assert row is not None
            return int(row[1])

    before = broken_off()
    for _ in range(3):
        seen = await ask(tls_mariadb.port, starttls="mysql", ca_file=tls_mariadb.ca_file)
        assert seen.observed["verified"] is True and "legacy_accepted" not in seen.observed
        assert "MySQL counts each try" in seen.notes[0]
    assert broken_off() == before


@pytest.mark.parametrize(("kind", "name"), [("postgres", "tls_postgres"), ("mysql", "tls_mariadb")])
async def test_a_database_without_tls_fails(kind: str, name: str, request: pytest.FixtureRequest) -> None:
    database: Database = request.getfixturevalue(name)
    with pytest.raises(ProbeError, match="the server offers no TLS") as raised:
        await ask(database.plain_port, starttls=kind)
    assert raised.value.fault == "subject"


async def test_a_database_of_the_other_kind_is_told(tls_mariadb: Database, tls_postgres: Database) -> None:
    with pytest.raises(ProbeError, match="the answer is not PostgreSQL's") as raised:
        await ask(tls_mariadb.port, starttls="postgres")
    assert raised.value.fault == "unclear"
    # PostgreSQL waits for the client to begin.
    with pytest.raises(ProbeError, match="no handshake within"):
        await ask(tls_postgres.port, starttls="mysql", within=0.5)


async def test_a_mysql_that_shuts_this_host_out_is_not_called_broken_tls(servers: Servers) -> None:
    words = b"\xff\x69\x04Host '10.0.0.1' is blocked because of many connection errors"
    server = servers.talk(lambda peer: peer.sendall(struct.pack("<I", len(words)) + words))
    with pytest.raises(ProbeError, match="is blocked because of many connection errors") as raised:
        await ask(server.port, starttls="mysql")
    assert raised.value.fault == "unclear"


def test_a_version_that_is_no_choice_is_refused() -> None:
    with pytest.raises(ValidationError):
        TlsProbe(host="a", min_version="TLSv1.1")
