"""What the http probe observes, and how it keeps secrets and hostile bodies out of what is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import trustme
import yaml
from pydantic import ValidationError

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes import Context, probes
from captain.probes.http import HttpProbe
from captain.threads import on_daemon
from tests.http_server import Servers, answer

SECRET = "ghp_0123456789abcdef"
"""A declared secret that is set."""
Ask = Callable[..., Awaitable[Measurement]]


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    async def asked(url: str, *, within: float = 20, **keys: Any) -> Measurement:
        context = Context(
            root=tmp_path,
            repo=None,
            timeout=timedelta(seconds=within),
            environ={},
            secrets={"TOKEN": SECRET},
            blocking=on_daemon,
            clock=SystemClock(),
        )
        return await HttpProbe.model_validate({"url": url, **keys}).measure(context)

    return asked


async def test_a_healthy_answer_observes_every_declared_name_that_applies(servers: Servers, ask: Ask) -> None:
    server = servers.answer(answer(b'{"status": "ok", "checks": [1]}', "Content-Type: application/json"))
    seen = await ask(f"{server.url}/healthz")
    assert seen.observed["status"] == 200
    assert seen.observed["json"] == {"status": "ok", "checks": [1]}
    assert seen.observed["text"] == '{"status": "ok", "checks": [1]}'
    assert seen.observed["headers"] == {"content-type": "application/json", "content-length": "31"}
    assert (seen.observed["size"], seen.observed["truncated"], seen.observed["ip"]) == (31, False, "127.0.0.1")
    assert all(isinstance(seen.observed[name], timedelta) for name in ("latency", "dns", "connect", "first_byte"))
    assert (seen.asked, seen.body, seen.notes) == (f"GET {server.url}/healthz", seen.observed["text"], ())
    declared = set(get_type_hints(HttpProbe.Observes))
    assert declared - set(seen.observed) == {
        *("tls", "tls_days_left", "redirect_to", "max_age"),
        *("security_headers_missing", "version", "version_match"),
        *("samples", "ok_samples", "failed_samples", "p50", "p95", "slowest", "cache_statuses"),
        *("instances", "max_share", "assets", "asset_urls", "asset_wire_size", "assets_failed"),
    }
    assert {seen.observed[name] for name in ("cdn", "cache_status", "encoding")} == {"none", "NONE", "identity"}


async def test_a_failing_product_is_an_answer_too(servers: Servers, ask: Ask) -> None:
    server = servers.answer(answer(b"boom", status="500 Internal Server Error"))
    seen = await ask(server.url)
    assert (seen.observed["status"], seen.observed["text"]) == (500, "boom")
    assert "json" not in seen.observed


async def test_a_redirect_is_observed(servers: Servers, ask: Ask) -> None:
    server = servers.answer(answer(b"", "Location: /login", status="302 Found"))
    assert (await ask(server.url)).observed["redirect_to"] == f"{server.url}/login"


async def test_row_21_secrets_in_headers_and_body_are_sent_and_not_shown(servers: Servers, ask: Ask) -> None:
    server = servers.answer(answer(b"{}"))
    seen = await ask(server.url, method="POST", headers={"Authorization": "Bearer s3cr3t-token"}, body="pw=hunter22")
    assert b"Bearer s3cr3t-token" in server.requests[0] and b"pw=hunter22" in server.requests[0]
    assert b"X-Captain-Probe: unrecorded" in server.requests[0], "what may change something is marked"
    assert HttpProbe(url=server.url, method="POST").safety == "active" and HttpProbe(url=server.url).safety == "read"
    assert seen.asked == f"POST {server.url}"
    assert "s3cr3t" not in repr(seen) and "hunter22" not in repr(seen)


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b"[" * 5000, "nested"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1, "a": 2}', "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a": 1e999}', "not JSON"),
        (b'{"a": ', "not JSON"),
    ],
)
async def test_row_31_json_that_cannot_be_trusted_is_left_out(
    servers: Servers, ask: Ask, body: bytes, note: str
) -> None:
    server = servers.answer(answer(body, "Content-Type: application/json"))
    seen = await ask(server.url)
    assert "json" not in seen.observed
    assert note in seen.notes[0]


async def test_a_body_that_is_cut_is_no_json_and_has_no_size(servers: Servers, ask: Ask) -> None:
    server = servers.answer(answer(b'["' + b"x" * (2 << 20) + b'"]'))
    seen = await ask(server.url)
    assert seen.truncated and seen.observed["truncated"] is True
    assert not {"json", "size"} & set(seen.observed)
    assert len(str(seen.observed["text"])) == len(seen.body or "") == 65536


async def test_an_unknown_encoding_leaves_the_body_out(servers: Servers, ask: Ask) -> None:
    server = servers.answer(answer(b"\x00\x01", "Content-Encoding: br"))
    seen = await ask(server.url)
    assert not {"json", "size", "text"} & set(seen.observed)
    assert "br" in seen.notes[0]


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("iso-8859-1", "grün".encode("latin-1"), "grün"),
        ("utf-8", b"\xff\xfe", "\ufffd\ufffd"),
        ("punycode", b"abc-", "abc-"),
        ("no-such", "grün".encode(), "grün"),
        ("iso-8859-99", "grün".encode(), "grün"),
        ("unicode_escape", b"\\x41", "\\x41"),
    ],
)
async def test_text_is_decoded_by_plain_character_sets_only(
    servers: Servers, ask: Ask, charset: str, body: bytes, text: str
) -> None:
    server = servers.answer(answer(body, f"Content-Type: text/plain; charset={charset}"))
    assert (await ask(server.url)).observed["text"] == text


async def test_a_private_authority_lies_beside_captain_yaml(servers: Servers, ask: Ask, tmp_path: Path) -> None:
    import ssl

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(secured)
    server = servers.answer(answer(b"hi"), secured)
    seen = await ask(server.url, ca_file="ca.pem")
    assert isinstance(seen.observed["tls"], timedelta)
    assert isinstance(seen.observed["tls_days_left"], int)
    unverified = await ask(server.url, verify="false")
    assert "not verified" in unverified.notes[0]
    assert "tls_days_left" not in unverified.observed


async def test_refused_says_whose_fault_it_is(ask: Ask) -> None:
    with pytest.raises(ProbeError) as caught:
        await ask("http://127.0.0.1:1/healthz")
    assert (caught.value.fault, caught.value.message) == (
        "subject",
        "GET http://127.0.0.1:1/healthz: connection refused",
    )


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"url": "shop.example.com"}, "starts with http"),
        ({"url": "https://user:pw@shop/"}, "holds a user or password"),
        ({"url": "http://h/", "method": "DELETE"}, "GET"),
        ({"url": "http://h/", "samples": "201"}, "less than or equal to 200"),
        ({"url": "http://h/", "samples": "2", "method": "POST"}, "many times, which a POST is not made for"),
        ({"url": "http://h/", "version": "version"}, "names no place in the answer"),
        ({"url": "http://h/", "instance": "headers.x y"}, "names no place in the answer"),
        ({"url": "http://h/", "security_headers": ["x y"]}, "is not the name of a header"),
        ({"url": "http://h/", "headers": {"X Y": "1"}}, "is not the name of a header"),
        ({"url": "http://h/", "headers": {"Content-Length": "1"}}, "is set by captain"),
        ({"url": "http://h/", "headers": {"X": "a\nb"}}, "control characters"),
        ({"url": "http://h/", "timeout": "5s"}, "Extra"),
    ],
)
def test_what_cannot_be_asked_is_refused_when_the_file_is_read(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpProbe.model_validate(keys)
    assert sentence in str(caught.value)


def test_templates_are_accepted_unresolved_and_shown_as_written() -> None:
    probe = HttpProbe.model_validate(
        {"url": "${{ vars.base_url }}/healthz", "headers": {"Authorization": "Bearer ${{ secrets.TOKEN }}"}}
    )
    assert probe.asks() == "GET ${{ vars.base_url }}/healthz"


def test_the_kind_is_found_by_name_and_its_example_is_a_step() -> None:
    assert probes.find("http") is HttpProbe
    step = yaml.safe_load(HttpProbe.example)
    HttpProbe.model_validate(step["http"])
    assert {"id", "title", "expect"} < set(step)


async def test_a_secret_on_the_cut_of_a_long_body_leaves_no_half_of_it(servers: Servers, ask: Ask) -> None:
    server = servers.answer(answer(b"x" * (64 * 1024 - 8) + SECRET.encode() + b"y" * 100))
    seen = await ask(server.url)
    assert seen.observed["text"] == seen.body == "x" * (64 * 1024 - 8)
    assert seen.truncated
