"""No sample document passes once it is empty, cut off, old, about something else, or something else altogether."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from captain.errors import ProbeError
from captain.measurement import Measurement
from tests.forge_server import SHA
from tests.http_server import Servers
from tests.payloads.documents import DOCUMENTS, REPORTS, payload
from tests.payloads.world import World, verdict

OTHER = "0123456789abcdef0123456789abcdef01234567"
REAL = ("pg_stat_archiver.json+pg_settings.json", "dramatiq_redis_dump.json", "celery_redis_dump.json")
"""Those that are no document to their kind but the state of a running server, and of a work tree."""
STATES = {*REAL, *(name for name in DOCUMENTS if name.startswith("git_porcelain")), "swarm_update_status_sequence.json"}
READ = [name for name in DOCUMENTS if name not in STATES]
JSONS = [name for name in READ if name.endswith(".json")]
SHAPES = {
    "nothing": "null",
    "number": "7",
    "text": '"clean"',
    "list": "[]",
    "mapping": "{}",
    "list of lists": "[[1]]",
    "list of nothing": "[null]",
    "mapping of mappings": '{"a": {"b": [1]}}',
    "an error": '{"message": "try again later"}',
    "another system's": '{"status": "ok", "results": [], "vulnerabilities": {}, "data": [], "items": 0}',
}
REFUSALS = ("github_rate_limited_403.json", "github_not_found_404.json", "prom_query_bad_data_400.json")
"""Answers whose status counts, whatever they say."""


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    servers = Servers()
    yield World(tmp_path, servers, request)
    servers.close()


async def said(world: World, file: str, data: bytes) -> tuple[str, Measurement | ProbeError]:
    """The verdict on these bytes in the place of a document, and what it rests on."""
    document = DOCUMENTS[file]
    try:
        seen: Measurement | ProbeError = await document.ask(world, data)
    except ProbeError as error:
        assert error.message.strip(), "an error says what is wrong"
        seen = error
    return verdict(document.kind, seen, document.expect, document.warn), seen


def allowed(file: str) -> set[str]:
    """What is no lie about a document that cannot be read: unknown, of the product itself also a failure."""
    return {"unknown", "fail"} if DOCUMENTS[file].product else {"unknown"}


@pytest.mark.parametrize("file", READ)
@pytest.mark.parametrize("data", [b"", b" \n", b"\x00\x00\x00\x00", b"<html><body>Sign in</body></html>"], ids=repr)
async def test_an_empty_document_or_a_login_page_is_unknown(world: World, file: str, data: bytes) -> None:
    verdict, seen = await said(world, file, data)
    if file == "Dockerfile.multi":
        assert verdict in ("unknown", "fail"), "a Dockerfile is what the product is built of"
    elif file.startswith("logs_") and data.strip(b" \n"):
        assert verdict != "pass", "any text is a log"
    else:
        assert verdict in allowed(file), seen


@pytest.mark.parametrize("file", [name for name in READ if not DOCUMENTS[name].free])
@pytest.mark.parametrize("part", [0.03, 0.25, 0.5, 0.75, 0.97, 1.0])
async def test_a_document_that_is_cut_off_is_unknown(world: World, file: str, part: float) -> None:
    whole = payload(file).rstrip()
    verdict, seen = await said(world, file, whole[: min(int(len(whole) * part), len(whole) - 1)])
    assert verdict in allowed(file), seen


@pytest.mark.parametrize("file", [name for name in READ if DOCUMENTS[name].free])
@pytest.mark.parametrize("part", [0.03, 0.25, 0.5, 0.75, 0.97])
async def test_a_text_that_is_cut_anywhere_is_read_or_refused_in_words(world: World, file: str, part: float) -> None:
    """Any beginning of it may be a whole one, so what is left is judged for itself."""
    whole = payload(file)
    verdict, _ = await said(world, file, whole[: int(len(whole) * part)])
    assert verdict in RANK


@pytest.mark.parametrize("file", JSONS)
@pytest.mark.parametrize("shape", SHAPES)
async def test_json_of_another_shape_is_unknown(world: World, file: str, shape: str) -> None:
    verdict, seen = await said(world, file, SHAPES[shape].encode())
    assert verdict in allowed(file), seen


@pytest.mark.parametrize("file", REPORTS)
async def test_a_report_in_the_place_of_another_format_is_unknown(world: World, file: str) -> None:
    format = REPORTS[file][0]
    for other in REPORTS:
        if REPORTS[other][0] != format:
            verdict, seen = await said(world, file, payload(other))
            assert verdict == "unknown", (other, seen)


@pytest.mark.parametrize("file", REPORTS)
async def test_a_report_older_than_max_age_is_unknown(world: World, file: str) -> None:
    late = replace(world, later=timedelta(hours=25))
    assert (await said(late, file, payload(file)))[0] == "unknown", "the kind's own 24 h"
    strict = replace(world, max_age=timedelta(minutes=10))
    assert (await said(strict, file, payload(file)))[0] == "unknown"


ELSEWHERE = [{"artifact": "registry.example/frontend@sha256:" + "ef" * 32}, {"artifact": "other:1"}]


@pytest.mark.parametrize(
    ("file", "bound"),
    [
        *((file, {"commit": OTHER}) for file in REPORTS),
        *((file, bound) for file, one in REPORTS.items() if one[0] in ("trivy", "sarif") for bound in ELSEWHERE),
    ],
    ids=str,
)
async def test_a_report_of_another_artifact_or_commit_is_never_clean(
    world: World, file: str, bound: dict[str, str]
) -> None:
    verdict, seen = await said(replace(world, more=bound), file, payload(file))
    shown = "artifact_match" if "artifact" in bound else "commit_match"
    if isinstance(seen, Measurement) and shown in seen.observed:
        assert verdict == "unknown", seen
    assert isinstance(seen, ProbeError) or seen.observed.get("problems") != 0


@pytest.mark.parametrize("file", [name for name in READ if name.startswith("github_check_runs")])
async def test_checks_of_another_commit_are_unknown(world: World, file: str) -> None:
    assert (await said(replace(world, more={"commit": OTHER}), file, payload(file)))[0] == "unknown"
    moved = payload(file).replace(SHA.encode(), OTHER.encode())
    if moved != payload(file):
        verdict, seen = await said(world, file, moved)
        assert verdict == "unknown", seen


async def test_a_deployment_of_another_commit_is_no_success(world: World) -> None:
    file = "github_deployment_statuses.json"
    other = replace(world, more={"commit": OTHER})
    _, seen = await said(other, file, payload(file))
    assert isinstance(seen, Measurement) and seen.observed["missing_count"] == 1


async def test_runs_and_backups_that_are_old_pass_no_more(world: World) -> None:
    late = replace(world, later=timedelta(days=30))
    for file in ("github_workflow_runs_fresh.json", "s3_list_objects_v2.json"):
        assert (await said(late, file, payload(file)))[0] == "fail"


@pytest.mark.parametrize("file", sorted(name for name in STATES if name in REAL and "redis" in name))
async def test_an_empty_broker_is_unknown(world: World, file: str) -> None:
    assert (await said(world, file, b'{"keys": {}}'))[0] == "unknown"


RANK = {"pass": 3, "warn": 2, "unknown": 1, "fail": 0}


def spoilt(draw: st.DrawFn, data: bytes) -> bytes:
    """The document cut anywhere, or with a few bytes changed."""
    if draw(st.booleans()):
        return data[: draw(st.integers(0, len(data) - 1))]
    changed = bytearray(data)
    for at in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=4)):
        changed[at] = draw(st.integers(0, 255))
    return bytes(changed)


@pytest.mark.parametrize("file", REPORTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.data())
async def test_whatever_happens_to_a_report_it_never_looks_better(
    request: pytest.FixtureRequest, file: str, drawn: st.DataObject
) -> None:
    whole = payload(file)
    data = drawn.draw(st.composite(spoilt)(whole))
    assume(data != whole and not _says_the_same(data, whole))
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), Servers(), request)
        before, _ = await said(world, file, whole)
        after, seen = await said(world, file, data)
    assert after in RANK
    if before in ("fail", "unknown") and (len(data) < len(whole) or _keys(data) == _keys(whole)):
        assert after in ("fail", "unknown"), (data, seen)


def _keys(data: bytes) -> list[str]:
    """The keys of JSON, in their order: where one is called otherwise, it is a true document of other things."""
    found: list[str] = []
    try:
        json.loads(data, object_pairs_hook=lambda pairs: found.extend(key for key, _ in pairs))
    except (ValueError, RecursionError):
        return []
    return found


def _says_the_same(data: bytes, whole: bytes) -> bool:
    """Whether only white space at the end differs."""
    try:
        return bool(json.loads(data) == json.loads(whole))
    except (ValueError, RecursionError):
        return data.rstrip() == whole.rstrip()
