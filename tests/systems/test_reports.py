"""What readers of reports make of documents that were made to hurt, and their small parts."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.documents.xml_text import parse_xml
from captain.errors import ProbeError
from captain.systems.report_age import age
from captain.systems.report_files import document, in_sums, matching
from captain.systems.report_image import full_name, matches
from captain.systems.report_shapes import percentile
from captain.systems.reports import LIMIT, Asked, Image, reports
from tests.memory import grown

PAYLOADS = Path(__file__).parents[1] / "data" / "payloads"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
JSON_FILES = {
    "trivy": "trivy_findings.json",
    "pip-audit": "pip_audit_vulns.json",
    "npm-audit": "npm_audit_vulns.json",
    "sarif": "sarif_findings.json",
    "coverage-json": "coverage.json",
    "k6": "k6_handle_summary.json",
    "locust": "locust.json",
    "size-limit": "size_limit.json",
    "next-loadable": "next_react_loadable_manifest.turbopack.json",
}


INSTEAD: list[Any] = [None, {}, [], "x", 7, -1, True, 1e300, {"x": [{}]}, [[]], [None], ["x"]]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where values stand in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))]


def changed(value: Any, at: tuple[Any, ...], to: Any) -> Any:
    if not at:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = changed(value[at[0]], at[1:], to)
    return copy


@pytest.mark.parametrize("format", JSON_FILES)
def test_a_reader_refuses_with_a_sentence_and_never_breaks(format: str) -> None:
    whole = json.loads((PAYLOADS / JSON_FILES[format]).read_bytes())
    reader = reports.find(format)
    assert reader is not None
    for place in places(whole)[:150]:
        for instead in INSTEAD:
            try:
                reader(json.dumps(changed(whole, place, instead)).encode(), Asked())
            except ValueError as error:
                assert str(error)


@settings(max_examples=60, deadline=None)
@given(PLAIN)
def test_nothing_that_is_json_breaks_a_reader(value: Any) -> None:
    data = json.dumps(value).encode()
    for name in reports.names():
        reader = reports.find(name)
        assert reader is not None
        try:
            reader(data, Asked())
        except ValueError:
            continue


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><testsuites>&c;</testsuites>"""


@pytest.mark.parametrize("format", ["junit", "cobertura"])
def test_an_xml_that_declares_entities_is_refused(format: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter22")
    outside = f'<!DOCTYPE x [<!ENTITY k SYSTEM "file://{tmp_path}/key">]><testsuites>&k;</testsuites>'
    reader = reports.find(format)
    assert reader is not None
    for text in (BOMB, outside.encode(), b'<!DOCTYPE x [<!ENTITY % p "x"> %p;]><coverage/>'):
        with pytest.raises(ValueError, match="DOCTYPE"):
            reader(text, Asked())
    with pytest.raises(ValueError, match="entity"):
        reader(b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><testsuites>&k;</testsuites>', Asked())


def test_a_doctype_that_only_names_a_dtd_is_read_over() -> None:
    head = b'<!DOCTYPE coverage SYSTEM "http://127.0.0.1:9/coverage-04.dtd">'
    assert parse_xml(head + b"<coverage/>").name == "coverage"


def test_deep_and_long_xml_is_refused() -> None:
    with pytest.raises(ValueError, match="deeper"):
        parse_xml(b"<a>" * 100_000)
    with pytest.raises(ValueError, match="more than"):
        parse_xml(b"<a>" + b"<b/>" * 300_001 + b"</a>")
    for text in (
        b"",
        b"x",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="x"?><a/>',
    ):
        with pytest.raises(ValueError):
            parse_xml(text)


def test_a_report_as_large_as_may_be_is_read_within_bounds() -> None:
    one = b'<testcase classname="tests.some" name="test_something" time="0.1"/>'
    large = b"<testsuite>" + one * (LIMIT // len(one) - 2) + b"</testsuite>"
    vuln = {"VulnerabilityID": "CVE-2099-1", "PkgName": "p", "Severity": "LOW", "Title": "t" * 400}
    count = LIMIT // 520
    report = {
        "SchemaVersion": 2,
        "ArtifactName": "x",
        "Results": [{"Class": "os-pkgs", "Vulnerabilities": [vuln] * count}],
    }
    other = json.dumps(report).encode()
    assert len(other) < LIMIT and len(large) < LIMIT
    for name, data in (("junit", large), ("trivy", other)):
        reader = reports.find(name)
        assert reader is not None
        began = time.monotonic()
        with grown() as memory:
            facts = reader(data, Asked())
        assert (facts.examined or 0) > 0
        assert memory.bytes < 250 * 1024 * 1024
        assert time.monotonic() - began < 5


def test_only_plain_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LIMIT + 1)
    for name, sentence in (("pipe", "no regular file"), ("large", "larger than 8 MiB")):
        with pytest.raises(ProbeError, match=sentence):
            document(tmp_path, matching(tmp_path, name)[0])
    for pattern in ("**/x", "a\0b"):
        with pytest.raises(ProbeError):
            matching(tmp_path, pattern)
    for number in range(201):
        (tmp_path / f"r{number}.json").touch()
    with pytest.raises(ProbeError, match="more than 200 files"):
        matching(tmp_path, "r*.json")


def test_what_lies_elsewhere_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "outside").write_text("x")
    (tmp_path / "in" / "link").symlink_to("../outside")
    assert not document(tmp_path / "in", tmp_path / "in" / "link").shown


@pytest.mark.parametrize(
    ("created", "modified", "expected"),
    [
        (NOW - timedelta(hours=1), NOW, timedelta(hours=1)),
        (None, NOW - timedelta(hours=3), timedelta(hours=3)),
        (None, None, None),
        (NOW + timedelta(minutes=4), NOW, timedelta(0)),
        (NOW + timedelta(minutes=6), NOW, None),
        (None, NOW + timedelta(days=1), None),
        # Written in Tokyo without a zone: nine hours too late as UTC, but the file was last changed 30 h ago.
        (datetime(2026, 11, 22, 15), NOW - timedelta(hours=30), timedelta(hours=30)),
        (datetime(2026, 11, 23, 11), NOW, timedelta(hours=1)),
    ],
)
def test_the_age_of_a_report(created: datetime | None, modified: datetime | None, expected: timedelta | None) -> None:
    assert age(created, modified, NOW)[0] == expected


def test_names_of_images_are_compared_as_engines_understand_them() -> None:
    assert full_name("redis") == full_name("docker.io/library/redis:latest")
    assert full_name("shop/web:1") == full_name("docker.io/shop/web:1")
    assert full_name("localhost:5000/web") == "localhost:5000/web:latest"
    assert matches(Image("redis"), "docker.io/library/redis:latest")[0] is True
    assert matches(None, "redis") == (None, "the report names no artifact")
    by_digest = Image("r/a@sha256:" + "1" * 64, tags=("r/a:1",))
    assert matches(by_digest, "r/a:1")[0] is True
    assert matches(by_digest, "r/a:2")[0] is False
    assert matches(by_digest, "r/a@sha256:" + "2" * 64)[0] is False
    assert matches(Image("r/a:1", "sha256:" + "3" * 64), "sha256:" + "4" * 64)[0] is None
    assert matches(Image("r/a:1", "sha256:" + "3" * 64, tags=("r/a:2",)), "sha256:" + "3" * 64)[0] is False


def test_sums_are_found_by_the_end_of_their_path() -> None:
    one, two = "a" * 64, "b" * 64
    sums = f"{one}  ./front/package-lock.json\n{two} *back/package-lock.json\n{one}  report.json\nnonsense\n".encode()
    assert in_sums(sums, "front/package-lock.json") == one
    assert in_sums(sums, "back/package-lock.json") == two
    assert in_sums(sums, "package-lock.json") is None, "it may be either"
    assert in_sums(sums, "reports/report.json") == one
    assert in_sums(sums, "other.json") is None


def test_percentiles_are_by_nearest_rank() -> None:
    counted = {1.0: 50, 2.0: 45, 9.0: 5}
    assert [percentile(counted, share) for share in (0.5, 0.95, 0.96, 1.0)] == [1.0, 2.0, 9.0, 9.0]
