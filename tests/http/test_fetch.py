"""One HTTP question: what comes back, and how every hostile answer is bounded and named."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

import captain
from captain.errors import ProbeError
from captain.http import LIMIT, Reply, fetch, refused_url
from captain.threads import on_daemon
from tests.http_server import answer

SOON = timedelta(seconds=0.5)
LONG = timedelta(seconds=20)


async def ask(url: str, **more: Any) -> Reply:
    return await fetch(url, **{"timeout": LONG, **more})


async def fault(url: str, **more: Any) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        await ask(url, **more)
    assert "\n" not in caught.value.message
    return caught.value


async def python(code: str, env: dict[str, str] | None = None) -> str:
    """What a fresh interpreter says."""
    argv = [sys.executable, "-c", code]
    root = Path(captain.__file__).parent.parent
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=True, env=env, cwd=root)
    return str(done.stdout)


def secured(authority: trustme.CA, *names: str, **more: Any) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **more).configure_cert(made)
    return made


# --- what comes back -------------------------------------------------------------------------------------------------


async def test_a_body_longer_than_the_limit_can_be_taken_piece_by_piece(servers: Any) -> None:
    pieces: list[bytes] = []

    async def take(piece: bytes) -> None:
        pieces.append(piece)

    body = os.urandom(3 * LIMIT)
    reply = await ask(servers.answer(answer(body)).url, take=take)
    assert b"".join(pieces) == body and max(map(len, pieces)) <= 128 * 1024
    assert (reply.status, reply.body, reply.truncated) == (200, b"", False)


async def test_what_a_server_says_instead_of_the_body_is_kept(servers: Any) -> None:
    async def take(piece: bytes) -> None:
        raise AssertionError(piece)

    reply = await ask(servers.answer(answer(b"denied", status="403 Forbidden")).url, take=take)
    assert (reply.status, reply.body) == (403, b"denied")


async def test_an_answer_comes_with_everything_a_condition_may_ask(servers: Any) -> None:
    server = servers.answer(answer(b'{"status": "ok"}', "Content-Type: application/json", "X-Version: 1.4.0"))
    reply = await ask(f"{server.url}/healthz?full=1")
    assert (reply.status, reply.body, reply.truncated) == (200, b'{"status": "ok"}', False)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-version"] == "1.4.0"
    assert (reply.http_version, reply.ip, reply.redirect_to) == ("HTTP/1.1", "127.0.0.1", None)
    assert timedelta(0) < reply.connect <= reply.first_byte <= reply.latency
    assert (reply.dns, reply.tls, reply.tls_days_left) == (timedelta(0), None, None)
    assert reply.url == f"{server.url}/healthz?full=1"


async def test_what_is_sent_is_what_was_written(servers: Any) -> None:
    server = servers.answer(answer())
    await ask(f"{server.url}/a%20b", method="POST", headers={"X-Api-Key": "k", "Host": "shop"}, body=b"hello")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a%20b HTTP/1.1"
    assert body == b"hello"
    assert {"Accept-Encoding: identity", "X-Api-Key: k", "Host: shop", "Connection: close"} <= set(lines)
    assert not any(line.lower().startswith(("cookie", "authorization")) for line in lines)


async def test_a_name_is_resolved_and_its_time_measured(servers: Any) -> None:
    server = servers.answer(answer())
    reply = await ask(f"http://localhost:{server.port}/")
    assert reply.ip == "127.0.0.1"
    assert reply.dns > timedelta(0)


async def test_a_hundred_questions_at_once_all_come_back(servers: Any) -> None:
    server = servers.answer(answer(b"x" * 1000))
    replies = await asyncio.gather(*(ask(server.url) for _ in range(100)))
    assert {len(reply.body) for reply in replies} == {1000}


async def test_every_question_uses_a_fresh_connection_and_keeps_no_cookie(servers: Any) -> None:
    server = servers.answer(answer(b"", "Set-Cookie: sid=s3cr3t; Secure; HttpOnly", "Set-Cookie: a=b"))
    reply = await ask(server.url)
    await ask(server.url)
    assert b"cookie" not in server.requests[1].lower()
    assert reply.headers["set-cookie"] == "sid=***; Secure; HttpOnly, a=***"


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_row_23_gzip_bomb_is_bounded(servers: Any) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(200)) + squeeze.flush()
    assert len(bomb) < 300_000
    server = servers.answer(answer(bomb, "Content-Encoding: gzip"))
    reply = await ask(server.url)
    assert (len(reply.body), reply.truncated, reply.undecoded) == (LIMIT, True, None)


async def test_row_23_only_one_layer_is_decoded(servers: Any) -> None:
    double = gzip.compress(gzip.compress(bytes(10_000_000)))
    server = servers.answer(answer(double, "Content-Encoding: gzip, gzip"))
    reply = await ask(server.url)
    assert (reply.body, reply.undecoded) == (double, "gzip, gzip")


@pytest.mark.parametrize("how", [gzip.compress, zlib.compress])
async def test_one_layer_of_compression_is_decoded(servers: Any, how: Callable[[bytes], bytes]) -> None:
    name = "gzip" if how is gzip.compress else "deflate"
    server = servers.answer(answer(how(b"hello" * 1000), f"Content-Encoding: {name}"))
    assert (await ask(server.url)).body == b"hello" * 1000


async def test_row_23_broken_compression_is_unclear(servers: Any) -> None:
    server = servers.answer(answer(b"no gzip at all", "Content-Encoding: gzip"))
    error = await fault(server.url)
    assert error.fault == "unclear"
    assert "the body is no gzip" in error.message


async def test_a_large_body_is_cut(servers: Any) -> None:
    server = servers.answer(answer(b"y" * (3 << 20)))
    reply = await ask(server.url)
    assert (len(reply.body), reply.truncated) == (LIMIT, True)
    exact = servers.answer(answer(b"y" * LIMIT))
    reply = await ask(exact.url)
    assert (len(reply.body), reply.truncated) == (LIMIT, False)


def hang(peer: socket.socket) -> None:
    while peer.recv(65536):
        pass


def drip(first: bytes, piece: bytes, pause: float = 0.05) -> Callable[[socket.socket], None]:
    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(first)
        while True:
            peer.sendall(piece)
            time.sleep(pause)

    return talk


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        (b"", "connected, but no answer within 0.5s"),
        (b"HTTP/1.1 200 OK\r\nX: ", "connected, but no answer within 0.5s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "the answer was not complete within 0.5s"),
    ],
)
async def test_row_24_slow_drip_meets_one_overall_deadline(servers: Any, first: bytes, sentence: str) -> None:
    server = servers.talk(drip(first, b"H" if first else b""))
    began = time.monotonic()
    error = await fault(server.url, timeout=SOON)
    assert time.monotonic() - began < 5
    assert (error.fault, error.message) == ("subject", f"GET {server.url}: {sentence}")


async def test_row_24_a_hanging_name_server_meets_the_deadline_and_does_not_hold_captain_back() -> None:
    code = """
import asyncio, socket, sys, time
from datetime import timedelta
from captain.errors import ProbeError
from captain.http import fetch
socket.getaddrinfo = lambda *a, **k: time.sleep(60)
async def main():
    try: await fetch("http://slow.example/", timeout=timedelta(seconds=0.3))
    except ProbeError as error: print(error.fault, error.message)
asyncio.run(main())
"""
    began = time.monotonic()
    assert await python(code) == "unclear GET http://slow.example/: the name was not resolved within 0.3s\n"
    assert time.monotonic() - began < 30


ENDLESS = {
    "endless headers": drip(b"HTTP/1.1 200 OK\r\n", b"X-More: 1234567890\r\n" * 500, 0),
    "one huge header": lambda peer: (peer.recv(65536), peer.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20)))[1],
    "endless interim answers": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500, 0),
    "no HTTP": lambda peer: (peer.recv(65536), peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"))[1],
    "a status of words": lambda peer: (peer.recv(65536), peer.sendall(b"HTTP/1.1 fine\r\n\r\n"))[1],
    "two lengths": lambda peer: (
        peer.recv(65536),
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    )[1],
    "a body shorter than announced": lambda peer: (
        peer.recv(65536),
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    )[1],
    "a broken chunk": lambda peer: (
        peer.recv(65536),
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"),
    )[1],
}


@pytest.mark.parametrize("name", sorted(ENDLESS))
async def test_row_25_endless_and_malformed_answers_are_unclear_not_failures(servers: Any, name: str) -> None:
    server = servers.talk(ENDLESS[name])
    error = await fault(server.url)
    assert error.fault == "unclear", error.message
    assert error.message.startswith(f"GET {server.url}: ")


async def test_row_25_chunks_without_end_are_cut(servers: Any) -> None:
    chunk = b"10000\r\n" + b"z" * 65536 + b"\r\n"
    server = servers.talk(drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, 0))
    reply = await ask(server.url)
    assert (len(reply.body), reply.truncated) == (LIMIT, True)


# --- redirects and addresses -----------------------------------------------------------------------------------------


async def test_row_26_redirects_are_shown_and_not_followed(servers: Any) -> None:
    other = servers.answer(answer(b"stolen"))
    server = servers.answer(answer(b"", f"Location: {other.url}/next", status="302 Found"))
    reply = await ask(server.url, headers={"X-Api-Key": "k3y", "Authorization": "Bearer t"})
    assert (reply.status, reply.redirect_to) == (302, f"{other.url}/next")
    assert other.requests == []
    relative = servers.answer(answer(b"", "Location: /login", status="301 Moved"))
    assert (await ask(f"{relative.url}/a/b")).redirect_to == f"{relative.url}/login"


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest/", "file:///etc/passwd", "unix:/run/docker.sock"])
async def test_row_27_a_redirect_to_a_forbidden_place_stays_text(servers: Any, place: str) -> None:
    server = servers.answer(answer(b"", f"Location: {place}", status="307 Go"))
    assert (await ask(server.url)).redirect_to == place


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"])
async def test_row_27_metadata_addresses_are_never_asked(host: str) -> None:
    error = await fault(f"http://{host}/latest/meta-data/", timeout=SOON)
    assert (error.fault, "link-local" in error.message) == ("instrument", True)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://2130706433/", "hides an address"),
        ("http://0177.0.0.1/", "hides an address"),
        ("http://0x7f.1/", "hides an address"),
        ("http://127.1/", "hides an address"),
        ("http://user:pa55word@shop/", "holds a user or password"),
        ("http://token@shop/", "holds a user or password"),
        ("ftp://shop/", "starts with http"),
        ("file:///etc/passwd", "starts with http"),
        ("shop.example.com", "starts with http"),
        ("http:///x", "names no host"),
        ("http://shop:99999/", "not a URL"),
        ("http://shop/a b", "not a URL"),
        ("http://shop/\r\nX: y", "not a URL"),
        ("http://shop\\@evil/", "not a URL"),
        ("http://[::1/", "not a URL"),
    ],
)
async def test_row_28_a_url_that_hides_something_is_refused(url: str, reason: str) -> None:
    refused = refused_url(url)
    assert refused is not None and reason in refused
    error = await fault(url)
    assert error.fault == "instrument"
    assert "pa55word" not in error.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "https://shop.example.com", "http://[::1]:80/", "http://a/"])
def test_row_28_an_honest_url_is_accepted(url: str) -> None:
    assert refused_url(url) is None


async def test_row_28_a_homograph_is_shown_in_ascii() -> None:
    error = await fault("http://bücher.invalid/")
    assert error.message.startswith("GET http://xn--bcher-kva.invalid/: the name was not resolved")


async def test_row_29_proxies_netrc_and_certificates_of_the_environment_are_ignored(
    servers: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = servers.answer(answer(b"from the proxy"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    server = servers.answer(answer(b"direct"))
    assert (await ask(server.url)).body == b"direct"
    assert b"authorization" not in server.requests[0].lower()
    assert proxy.requests == []


@pytest.mark.skipif(sys.platform != "linux", reason="native trust stores ignore the variable by themselves")
async def test_row_29_a_certificate_authority_of_the_environment_is_not_trusted(
    servers: Any, authority: trustme.CA, ca_file: Path
) -> None:
    server = servers.answer(answer(), secured(authority, "localhost"))
    code = f"""
import asyncio
from datetime import timedelta
from captain.errors import ProbeError
from captain.http import fetch
async def main():
    try: print((await fetch("{server.url}", timeout=timedelta(seconds=20))).status)
    except ProbeError as error: print(error.fault, error.message)
asyncio.run(main())
"""
    env = {**os.environ, "SSL_CERT_FILE": str(ca_file), "SSL_CERT_DIR": str(ca_file.parent)}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=env,
        cwd=Path.cwd(),
    )
    assert done.stdout.startswith("subject ") and "does not verify" in done.stdout


# --- TLS -------------------------------------------------------------------------------------------------------------


async def test_row_30_a_private_authority_is_trusted_where_the_file_says_so(
    servers: Any, authority: trustme.CA, ca_file: Path
) -> None:
    soon = datetime.now(UTC) + timedelta(days=30, hours=1)
    server = servers.answer(answer(b"secret"), secured(authority, "localhost", not_after=soon))
    reply = await ask(server.url, ca_file=ca_file)
    assert (reply.body, reply.tls_days_left) == (b"secret", 30)
    assert reply.tls is not None and reply.tls > timedelta(0)


@pytest.mark.parametrize(
    ("names", "more", "trusted", "sentence"),
    [
        (("localhost",), {}, False, "self-signed certificate|unable to get local issuer"),
        (("other.example",), {}, True, "mismatch"),
        (("localhost",), {"not_after": datetime(2020, 1, 1, tzinfo=UTC)}, True, "expired"),
    ],
)
async def test_row_30_a_certificate_that_does_not_verify_is_the_products_fault(
    servers: Any, authority: trustme.CA, ca_file: Path, names: Any, more: Any, trusted: bool, sentence: str
) -> None:
    server = servers.answer(answer(), secured(authority, *names, **more))
    error = await fault(server.url, **({"ca_file": ca_file} if trusted else {}))
    assert error.fault == "subject"
    assert error.message.startswith(f"GET {server.url}: the certificate does not verify: ")
    assert any(part in error.message.lower() for part in sentence.split("|")), error.message


async def test_row_30_verification_can_be_switched_off_for_one_question(servers: Any, authority: trustme.CA) -> None:
    server = servers.answer(answer(b"hi"), secured(authority, "other.example"))
    reply = await ask(server.url, verify=False)
    assert (reply.body, reply.tls_days_left) == (b"hi", None)
    assert (await fault(server.url)).fault == "subject"


async def test_a_ca_file_that_is_none_is_captains_own_problem(tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    for name in ("missing.pem", "junk.pem"):
        error = await fault("https://localhost:1/", ca_file=tmp_path / name)
        assert (error.fault, "cannot load ca_file" in error.message) == ("instrument", True)


async def test_plain_http_behind_https_is_unclear(servers: Any) -> None:
    server = servers.talk(lambda peer: (peer.recv(65536), peer.sendall(answer()))[1])
    error = await fault(f"https://localhost:{server.port}/")
    assert (error.fault, "no TLS" in error.message) == ("unclear", True)


async def test_a_handshake_that_never_comes_is_the_products_fault(servers: Any) -> None:
    server = servers.talk(hang)
    error = await fault(f"https://localhost:{server.port}/", timeout=SOON)
    assert (error.fault, "connected, but no TLS within 0.5s" in error.message) == ("subject", True)


# --- faults ----------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_refused_is_the_products_fault() -> None:
    url = f"http://127.0.0.1:{free_port()}/healthz"
    error = await fault(url)
    assert (error.fault, error.message) == ("subject", f"GET {url}: connection refused")


async def test_refused_on_every_address_of_a_name_is_refused() -> None:
    error = await fault(f"http://localhost:{free_port()}/")
    assert (error.fault, error.message.endswith("connection refused")) == ("subject", True)


def reset(peer: socket.socket) -> None:
    peer.recv(65536)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_reset_is_the_products_fault(servers: Any) -> None:
    error = await fault(servers.talk(reset).url)
    assert (error.fault, error.message.endswith(": connection reset")) == ("subject", True)


async def test_closed_without_an_answer_is_the_products_fault(servers: Any) -> None:
    error = await fault(servers.talk(lambda peer: peer.recv(65536) and None).url)
    assert (error.fault, error.message.endswith("connection closed without an answer")) == ("subject", True)


async def test_closed_in_the_handshake_is_the_products_fault(servers: Any) -> None:
    error = await fault(f"https://localhost:{servers.talk(lambda peer: peer.recv(65536) and None).port}/")
    assert (error.fault, error.message.endswith("connection closed")) == ("subject", True), error.message


async def test_accepted_and_never_answered_is_the_products_fault(servers: Any) -> None:
    error = await fault(servers.talk(hang).url, timeout=SOON)
    assert (error.fault, "connected, but no answer within 0.5s" in error.message) == ("subject", True)


async def test_a_name_that_does_not_resolve_is_unclear() -> None:
    error = await fault("http://no-such-host.invalid/")
    assert (error.fault, "the name was not resolved" in error.message) == ("unclear", True)


async def test_a_connection_that_is_never_accepted_is_unclear() -> None:
    """A full backlog drops further attempts, like a firewall."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        error = await fault(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=SOON)
        for filler in fillers:
            filler.close()
    assert (error.fault, "no connection within 0.5s" in error.message) == ("unclear", True)


async def test_a_header_that_cannot_be_sent_is_captains_own_problem(servers: Any) -> None:
    error = await fault(servers.answer(answer()).url, headers={"X": "a\r\nY: b"})
    assert error.fault == "instrument"


async def test_hostile_text_in_an_error_is_made_visible(servers: Any) -> None:
    server = servers.talk(
        lambda peer: (peer.recv(65536), peer.sendall(b"HTTP/1.1 200 \x1b]0;pwned\x07\r\nBad Header\r\n\r\n"))[1]
    )
    assert "\x1b" not in (await fault(server.url)).message


async def test_row_68_cancelling_a_hanging_question_is_quick(servers: Any) -> None:
    server = servers.talk(hang)
    tasks = [asyncio.create_task(ask(server.url)) for _ in range(50)]
    await asyncio.sleep(0.2)
    began = time.monotonic()
    for task in tasks:
        task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))
    assert time.monotonic() - began < 3


# --- threads and imports ---------------------------------------------------------------------------------------------


async def test_a_blocking_call_comes_back_from_a_daemon_thread() -> None:
    assert await on_daemon(lambda: threading.current_thread().daemon) is True
    with pytest.raises(ZeroDivisionError):
        await on_daemon(lambda: 1 // 0)
    await asyncio.wait_for(on_daemon(lambda: None), 5)


def test_httpx_is_imported_when_something_is_asked() -> None:
    code = (
        "import sys, captain.http, captain.probes.http; print({'httpx', 'httpcore', 'truststore'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == "set()\n"


async def test_a_secret_query_is_sent_as_it_is_and_shown_nowhere(servers: Any) -> None:
    server = servers.answer(answer(b"x", "Location: ?", status="302 Found"))
    reply = await ask(f"{server.url}/a?b=c%20d", secret_query="sv=1&sig=s3cret%2Fx%3D")
    assert server.requests[0].startswith(b"GET /a?b=c%20d&sv=1&sig=s3cret%2Fx%3D HTTP/1.1\r\n")
    assert "s3cret" not in repr(reply)
    plain = servers.answer(answer(b"x"))
    await ask(plain.url, secret_query="sig=s3cret")
    assert plain.requests[0].startswith(b"GET /?sig=s3cret HTTP/1.1\r\n")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"nonsense\r\n\r\n"])
async def test_a_secret_query_is_in_no_error(servers: Any, said: bytes) -> None:
    with pytest.raises(ProbeError) as raised:
        await ask(servers.answer(said).url, secret_query="sig=s3cret")
    assert "s3cret" not in f"{raised.value.message} {raised.value.__cause__}"
    with pytest.raises(ProbeError) as raised:
        await ask("http://127.0.0.1:9/", secret_query="sig=s3cret\n")
    assert "s3cret" not in f"{raised.value.message} {raised.value.__cause__}"
