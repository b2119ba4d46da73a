"""What the http probe tells beyond one answer, asked of a real nginx: samples, instances, caches, redirects, pages."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.http import HttpProbe
from captain.release import Release
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers, answer, read_request
from tests.nginx_server import CHUNK, COMMIT, VERSION, Nginx
from tests.probe_context import holds, probe_context

KEY = "k3y-0f-this-test"
"""A configured header that belongs to one origin."""


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


async def ask(url: str, *, within: float = 10, release: Release | None = None, **keys: Any) -> Measurement:
    keys = {name: str(value) if isinstance(value, Path) else value for name, value in keys.items()}
    context = probe_context(Path.cwd(), within, release=release)
    return await HttpProbe.model_validate({"url": url, **keys}).measure(context)


# Redirects


@pytest.mark.parametrize("hops", [1, 2, 3])
async def test_redirects_of_one_origin_are_followed(nginx: Nginx, hops: int) -> None:
    seen = await ask(nginx.url(f"/hop/{hops}"), follow="true")
    assert (seen.observed["status"], seen.observed["text"]) == (200, "arrived")
    assert "redirect_to" not in seen.observed
    assert seen.asked == f"GET {nginx.url('/hop/0')}"
    assert seen.notes == (f"followed {hops} redirect{'s' if hops > 1 else ''} to {nginx.url('/hop/0')}",)
    assert seen.observed["latency"] >= seen.observed["first_byte"] >= seen.observed["connect"]  # type: ignore[operator]


async def test_redirects_are_not_followed_unless_the_file_says_so(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/hop/1"))
    assert (seen.observed["status"], seen.observed["redirect_to"]) == (302, nginx.url("/hop/0"))
    assert seen.notes == ()


async def test_a_fourth_redirect_is_shown_and_not_followed(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/hop/4"), follow="true")
    assert (seen.observed["status"], seen.observed["redirect_to"]) == (302, nginx.url("/hop/0"))
    assert seen.notes[1] == "the redirect is not followed: it would be the 4th"
    looped = await ask(nginx.url("/loop"), follow="true")
    assert (looped.observed["status"], looped.observed["redirect_to"]) == (302, nginx.url("/loop"))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/away", "it leads to another origin"),
        ("/metadata", "it leads to another origin"),
        ("/secure", "it leads to another origin"),
        ("/userinfo", "its address holds a user or password"),
    ],
)
async def test_rows_26_and_27_a_redirect_to_anywhere_else_is_the_answer(nginx: Nginx, path: str, why: str) -> None:
    seen = await ask(nginx.url(path), follow="true", headers={"X-Api-Key": KEY})
    assert (seen.observed["status"] in (301, 302), "text" in seen.observed) == (True, True)
    assert "elsewhere" not in str(seen.observed["text"])
    assert seen.observed["redirect_to"]
    assert f"the redirect is not followed: {why}" in seen.notes[0]


async def test_row_26_tls_is_never_left_for_plain_http(nginx: Nginx) -> None:
    seen = await ask(nginx.secure("good", "/down"), follow="true", ca_file=nginx.ca_file)
    assert (seen.observed["status"], seen.observed["redirect_to"]) == (302, f"http://localhost:{nginx.plain}/hop/0")
    assert seen.notes == ("the redirect is not followed: it leads to another origin",)


async def test_row_26_configured_headers_go_on_within_their_origin_only(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/to-echo"), follow="true", headers={"X-Api-Key": KEY})
    assert seen.observed["text"] == f"key={KEY}"
    # What httpx itself would have done with it at another origin:
    with httpx.Client(follow_redirects=True, headers={"X-Api-Key": KEY}, trust_env=False) as client:
        assert client.get(nginx.url("/away")).text == f"elsewhere key={KEY}"


@pytest.mark.parametrize("keys", [{"samples": "3"}, {"assets": "true"}, {"follow": "true"}])
@pytest.mark.parametrize("path", ["/home.html", "/hop/1", "/away", "/closed", "/broken-page"])
async def test_a_secret_header_is_nowhere_in_what_is_kept(nginx: Nginx, path: str, keys: dict[str, Any]) -> None:
    secret = "b34r3r-0f-this-test"
    try:
        kept = repr(await ask(nginx.url(path), headers={"Authorization": f"Bearer {secret}"}, **keys))
    except ProbeError as error:
        kept = f"{error!r} {error.message} {error.hint}"
    assert secret not in kept


async def test_a_post_is_not_sent_twice(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/hop/3"), follow="true", method="POST", body="x")
    assert seen.observed["status"] == 307
    assert seen.notes == ("the redirect is not followed: a POST is not sent twice",)


# Samples


async def test_samples_are_counted_and_their_latencies_ranked(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/healthz"), samples="20")
    assert {name: seen.observed[name] for name in ("status", "samples", "ok_samples", "failed_samples")} == {
        "status": 200,
        "samples": 20,
        "ok_samples": 20,
        "failed_samples": 0,
    }
    p50, p95, slowest = (seen.observed[name] for name in ("p50", "p95", "slowest"))
    assert timedelta(0) < p50 <= p95 <= slowest  # type: ignore[operator]
    assert seen.observed["json"] == {"status": "ok"}
    assert seen.notes == ()
    assert holds(HttpProbe, seen, 'p95 < duration("2s")', "failed_samples == 0") is True


async def test_few_samples_are_called_few(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/healthz"), samples="3")
    assert seen.notes == ("of 3 samples p95 is the slowest; 20 tell more",)
    assert seen.observed["p95"] == seen.observed["slowest"]


async def test_one_bad_instance_among_good_ones_does_not_pass(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/flaky"), samples="6")
    assert holds(HttpProbe, seen) is False
    assert (seen.observed["status"], seen.observed["failed_samples"], seen.observed["ok_samples"]) == (502, 3, 3)
    # Half of them failed: the median is of those that worked, what lies above it is not known.
    assert "p50" in seen.observed and not {"p95", "slowest"} & set(seen.observed)


async def test_requests_without_an_answer_are_failed_and_hide_what_the_others_said(servers: Servers) -> None:
    asked: list[bytes] = []

    def every_other_time(peer: socket.socket) -> None:
        asked.append(read_request(peer))
        if len(asked) % 2:
            peer.sendall(answer(b'{"status": "ok"}', "Content-Type: application/json"))

    seen = await ask(servers.talk(every_other_time).url, samples="10", version="json.status")
    assert (seen.observed["ok_samples"], seen.observed["failed_samples"]) == (5, 5)
    assert set(seen.observed) == {"samples", "ok_samples", "failed_samples", "p50", "cache_statuses"}
    assert holds(HttpProbe, seen) is None
    assert holds(HttpProbe, seen, "failed_samples == 0") is False
    assert "5 of 10 requests got no answer: GET" in seen.notes[1]
    assert "connection closed without an answer" in seen.notes[1]


async def test_a_product_that_never_answers_is_at_fault_however_often_it_is_asked(nginx: Nginx) -> None:
    with pytest.raises(ProbeError, match="connection closed without an answer") as raised:
        await ask(nginx.url("/closed"), samples="4")
    assert raised.value.fault == "subject"


@pytest.mark.parametrize("manner", MANNERS)
async def test_samples_end_in_time_whatever_the_server_does(hostile_server: HostileServer, manner: str) -> None:
    port = hostile_server.port(manner, after=b"HTTP/1.1 200 OK\r\n\r\n")
    tracemalloc.start()
    try:
        seen = await ask(f"http://127.0.0.1:{port}/", within=0.8, samples="200")
    except ProbeError as error:
        assert error.fault in ("subject", "unclear")
    else:
        assert manner in ("flood", "die") and seen.observed["samples"] == 200
    assert tracemalloc.get_traced_memory()[1] < 32 * 1024**2
    tracemalloc.stop()


async def test_half_a_sample_is_not_taken_for_a_whole_one(nginx: Nginx, servers: Servers) -> None:
    # 44 kB at 2 kB/s: the first one alone takes longer than there is.
    with pytest.raises(ProbeError, match="the answer was not complete within 1s") as raised:
        await ask(nginx.url("/slow"), within=1, samples="5")
    assert raised.value.fault == "subject"

    def slowly(peer: socket.socket) -> None:
        while read_request(peer):
            time.sleep(0.02)
            peer.sendall(answer(b"ok"))

    # 200 one after the other take 4 s on any machine.
    with pytest.raises(ProbeError, match=r"GET .*: \d+ of 200 requests were answered within 0\.5s") as raised:
        await ask(servers.talk(slowly).url, within=0.5, samples="200")
    assert raised.value.fault == "unclear"
    assert raised.value.hint == "give the step more timeout, or ask for fewer samples"


# Instances


@pytest.mark.parametrize("place", ["headers.X-Served-By", "json.host.name"])
async def test_every_instance_behind_the_balancer_is_seen(nginx: Nginx, place: str) -> None:
    seen = await ask(nginx.url("/balanced"), samples="10", instance=place)
    assert (seen.observed["instances"], seen.observed["max_share"]) == (2, 0.5)
    assert holds(HttpProbe, seen, "instances >= 2 && max_share <= 0.8") is True


async def test_one_instance_that_serves_all_fails(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/version"), samples="4", instance="json.version")
    assert holds(HttpProbe, seen, "instances >= 2 && max_share <= 0.8") is False


async def test_instances_that_do_not_say_who_they_are_are_unknown(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/healthz"), samples="4", instance="headers.x-served-by")
    assert holds(HttpProbe, seen, "instances >= 2") is None
    assert seen.notes[1] == "4 of 4 answers have no headers.x-served-by"


# Version


@pytest.mark.parametrize(
    ("path", "place", "release", "match"),
    [
        ("/version", "json.version", Release(version=VERSION), True),
        ("/version", "json.version", Release(version="1.5.1", commit=COMMIT), False),
        ("/version", "json.commit", Release(version="9", commit=COMMIT), True),
        ("/version", "json.commit", Release(version="9", commit="b" * 40), False),
        ("/version", "json.deploy.0.sha", Release(commit=COMMIT), True),
        ("/version-header", "headers.X-Version", Release(version=VERSION), True),
        ("/version", "json.commit", Release(version=VERSION), None),
        ("/version", "json.version", Release(commit=COMMIT), None),
        ("/version", "json.nothing.here", Release(version=VERSION), None),
        ("/version", "json.deploy", Release(version=VERSION), None),
        ("/gone", "json.version", Release(version=VERSION), None),
        ("/version", "json.version", None, None),
    ],
)
async def test_what_runs_is_compared_with_what_was_released(
    nginx: Nginx, path: str, place: str, release: Release | None, match: bool | None
) -> None:
    seen = await ask(nginx.url(path), version=place, release=release)
    assert seen.observed.get("version_match") is match
    assert holds(HttpProbe, seen, "version_match") is match


async def test_one_instance_of_the_old_version_is_a_mismatch(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/balanced"), samples="6", version="json.version", release=Release(version=VERSION))
    assert (seen.observed["version"], seen.observed["version_match"]) == ("1.4.0", False)


# Headers and caches


async def test_f32_a_location_with_a_header_of_its_own_loses_the_ones_it_should_inherit(nginx: Nginx) -> None:
    wanted = ["Strict-Transport-Security"]
    whole = await ask(nginx.secure("good"), security_headers=wanted, ca_file=nginx.ca_file)
    assert whole.observed["security_headers_missing"] == []
    drops = await ask(nginx.secure("good", "/drops"), security_headers=wanted, ca_file=nginx.ca_file)
    assert drops.observed["security_headers_missing"] == wanted
    off = await ask(nginx.secure("good", "/off"), security_headers=wanted, ca_file=nginx.ca_file)
    assert off.observed["security_headers_missing"] == wanted


async def test_protections_nobody_asked_for_are_not_observed(nginx: Nginx) -> None:
    assert "security_headers_missing" not in (await ask(nginx.url("/healthz"))).observed


async def test_a_cache_that_fills_is_seen_over_the_tries(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/cached.js"), samples="4")
    statuses = seen.observed["cache_statuses"]
    assert isinstance(statuses, list)
    assert statuses[1:] == ["HIT", "HIT", "HIT"] and statuses[0] in ("MISS", "HIT")
    assert holds(HttpProbe, seen, '"HIT" in cache_statuses', "max_age >= days(1)") is True
    assert holds(HttpProbe, seen, 'cdn == "cloudflare"') is False
    assert holds(HttpProbe, await ask(nginx.url("/healthz")), 'cache_status == "HIT"') is False


async def test_f32_the_size_on_the_wire_is_not_the_size(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/static/shared.js"), headers={"Accept-Encoding": "gzip"})
    assert (seen.observed["encoding"], seen.observed["size"]) == ("gzip", len(CHUNK))
    wire_size = seen.observed["wire_size"]
    assert isinstance(wire_size, int) and wire_size < len(CHUNK) // 20
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("GET", nginx.url("/static/shared.js"), headers={"Accept-Encoding": "gzip"}) as response,
    ):
        response.read()
        assert response.num_bytes_downloaded == wire_size
    assert len(gzip.compress(CHUNK.encode())) < len(CHUNK) // 20


# Pages


async def test_the_scripts_and_styles_of_a_page_are_weighed_as_they_come(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/home.html"), assets="true")
    assert seen.observed["asset_urls"] == [
        nginx.url("/static/app.css"),
        nginx.url("/static/vendor.js"),
        nginx.url("/static/shared.js"),
        nginx.url("/static/home.js?v=1&t=2"),
    ]
    assert (seen.observed["assets"], seen.observed["assets_failed"]) == (4, 0)
    wire_size = seen.observed["asset_wire_size"]
    assert isinstance(wire_size, int) and 0 < wire_size < len(CHUNK)
    assert seen.notes == ("assets of other origins, not fetched: 1",)


async def test_pages_that_share_their_code_and_pages_that_do_not_can_be_told_apart(nginx: Nginx) -> None:
    home, cart = [await ask(nginx.url(f"/{page}.html"), assets="true") for page in ("home", "cart")]
    assert home.observed["asset_urls"] != cart.observed["asset_urls"]


@pytest.mark.parametrize(
    ("path", "note"),
    [
        ("/error-page", "no whole HTML page"),
        ("/healthz", "no whole HTML page"),
        ("/hop/1", "no whole HTML page"),
        ("/empty.html", "loads no script and no style"),
    ],
)
async def test_no_budget_is_kept_by_a_page_that_is_none(nginx: Nginx, path: str, note: str) -> None:
    seen = await ask(nginx.url(path), assets="true")
    assert holds(HttpProbe, seen, "asset_wire_size < 250000") is None
    assert note in seen.notes[0]


async def test_no_budget_is_kept_by_assets_that_did_not_come(nginx: Nginx) -> None:
    seen = await ask(nginx.url("/broken-page"), assets="true")
    assert (seen.observed["assets"], seen.observed["assets_failed"]) == (1, 1)
    assert holds(HttpProbe, seen, "asset_wire_size < 250000") is None
    assert seen.notes == (f"GET {nginx.url('/static/gone.js')}: 404",)
