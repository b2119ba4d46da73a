"""What headers say about CDNs, caches and protections, and what many samples have in common."""

from __future__ import annotations

from datetime import timedelta

import pytest

from captain.errors import ProbeError
from captain.release import Release
from captain.systems.web.edge import cache_status, cdn, max_age, missing_protections
from captain.systems.web.samples import Look, percentile, repeated, sampled, version_of


@pytest.mark.parametrize(
    ("headers", "edge"),
    [
        ({"cf-ray": "8f-FRA"}, "cloudflare"),
        ({"server": "cloudflare"}, "cloudflare"),
        ({"via": "1.1 abc.cloudfront.net (CloudFront)"}, "cloudfront"),
        ({"x-amz-cf-pop": "FRA56-P1"}, "cloudfront"),
        ({"x-served-by": "cache-fra-etou8220050-FRA", "x-timer": "S1.2,VS0,VE1"}, "fastly"),
        ({"x-served-by": "web-1", "server": "nginx"}, "none"),
        ({}, "none"),
    ],
)
def test_an_edge_is_known_by_what_only_it_sends(headers: dict[str, str], edge: str) -> None:
    assert cdn(headers) == edge


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"cf-cache-status": "HIT"}, "HIT"),
        ({"cf-cache-status": "DYNAMIC", "age": "5"}, "DYNAMIC"),
        ({"x-cache": "Hit from cloudfront"}, "HIT"),
        ({"x-cache": "RefreshHit from cloudfront"}, "REFRESHHIT"),
        ({"x-cache": "Error from cloudfront"}, "ERROR"),
        ({"x-cache": "HIT, MISS"}, "MISS"),
        ({"x-cache": "MISS, HIT"}, "HIT"),
        ({"cache-status": 'OriginCache; hit; ttl=1100, "CDN Company"; fwd=uri-miss'}, "MISS"),
        ({"cache-status": "OriginCache; fwd=miss, Edge; hit"}, "HIT"),
        ({"age": "12"}, "HIT"),
        ({"age": "0"}, "NONE"),
        ({"age": "many"}, "NONE"),
        ({}, "NONE"),
    ],
)
def test_the_nearest_cache_is_heard(headers: dict[str, str], status: str) -> None:
    assert cache_status(headers) == status


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("public, max-age=86400, immutable", 86400),
        ("max-age=0", 0),
        ('MAX-AGE="60"', 60),
        ("no-store, max-age=86400", 0),
        ("no-cache", 0),
        ("s-maxage=600", None),
        ("max-age=-1", None),
        ("max-age=99999999999999", None),
        ("max-age=9999999999", 2**31),
        ("max-age=60, max-age=86400", 60),
        ("", None),
    ],
)
def test_how_long_an_answer_may_be_kept(value: str, seconds: int | None) -> None:
    assert max_age({"cache-control": value}) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("name", "value", "secure", "there"),
    [
        ("Strict-Transport-Security", "max-age=63072000; includeSubDomains", True, True),
        ("Strict-Transport-Security", "max-age=63072000", False, False),
        ("Strict-Transport-Security", "max-age=0", True, False),
        ("Strict-Transport-Security", "max-age=0, max-age=63072000", True, False),
        ("Strict-Transport-Security", "includeSubDomains", True, False),
        ("X-Content-Type-Options", "nosniff", False, True),
        ("X-Content-Type-Options", "sniff", False, False),
        ("Content-Security-Policy", "default-src 'self'", False, True),
        ("Content-Security-Policy", " ", False, False),
    ],
)
def test_a_protection_that_is_switched_off_is_missing(name: str, value: str, secure: bool, there: bool) -> None:
    found = missing_protections([name], {name.lower(): value}, secure=secure)
    assert found == ([] if there else [name])
    assert missing_protections([name], {}, secure=secure) == [name]


def ms(*values: int | None) -> list[timedelta | None]:
    return [None if one is None else timedelta(milliseconds=one) for one in values]


@pytest.mark.parametrize(
    ("latencies", "percent", "value"),
    [
        (ms(3, 1, 2), 50, 2),
        (ms(1, 2, 3, 4), 50, 2),
        (ms(*range(1, 21)), 95, 19),
        (ms(*range(1, 22)), 95, 20),
        (ms(7), 95, 7),
        (ms(1, None), 50, 1),
        (ms(1, None), 95, None),
        (ms(None, None), 50, None),
        ([], 50, None),
    ],
)
def test_percentiles_are_of_the_nearest_rank_and_what_failed_is_slowest(
    latencies: list[timedelta | None], percent: int, value: int | None
) -> None:
    assert percentile(latencies, percent) == (None if value is None else timedelta(milliseconds=value))


def look(status: int = 200, version: str | None = None) -> Look:
    return Look(status, timedelta(milliseconds=5), None, version, "NONE", ())


def test_errors_count_as_samples_that_failed() -> None:
    found, _ = sampled([look(), look(500), ProbeError("refused", fault="subject")])
    assert (found["samples"], found["ok_samples"], found["failed_samples"]) == (3, 1, 2)
    assert not {"p50", "p95", "slowest"} & set(found)


def test_a_version_is_matched_by_all_or_not_at_all() -> None:
    release = Release(version="2", commit="a" * 40)
    assert version_of([look(version="2"), look(version="2")], release) == ("2", True)
    assert version_of([look(version="2"), look(version="1")], release) == ("1", False)
    assert version_of([look(version="2"), look(version="a" * 7)], release) == (None, True)
    assert version_of([look(version="2"), look()], release) == (None, None)
    assert version_of([look(), look(version="1")], release) == ("1", False)
    assert version_of([look(version="2")], None) == ("2", None)


async def test_questions_are_asked_one_after_another_and_errors_kept_in_place() -> None:
    asked: list[timedelta] = []

    async def ask(left: timedelta) -> int:
        asked.append(left)
        if len(asked) == 2:
            raise ProbeError("no", fault="subject")
        return len(asked)

    answers = await repeated(ask, 3, timedelta(seconds=5), "GET it")
    assert [one if isinstance(one, int) else one.message for one in answers] == [1, "no", 3]
    assert asked[0] >= asked[1] >= asked[2]
