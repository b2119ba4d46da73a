"""One document for programs: whatever state a run is in, it is what `captain schema result` publishes, and no more."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from captain.commands.shared.document import run_document
from captain.commands.shared.outcome import Rules, outcome
from captain.loader.schema import schema
from captain.release import Image, Release
from tests.commands.conftest import Captain, as_published, digest
from tests.commands.test_score import reviewed
from tests.run.diary import Diary, manual, probe, target
from tests.shop import CHECKLIST, SERVICE, Shop

RUN = "shop-production-1.5.0"
TWO_PROBES = """\
      - id: both
        title: Both answer
        probes:
          health: {{ http: {{ url: '${{{{ vars.url }}}}/healthz' }} }}
          version: {{ http: {{ url: '${{{{ vars.url }}}}/version' }} }}
        expect: [health.status == 200, version.status == 200]
  - id: deploy
"""


@pytest.fixture
def opened(shop: Shop, captain_says: Captain) -> Shop:
    service = SERVICE + "people: {{ karen@example.com: [captain], bob@example.com: [captain, dba] }}\n"
    checklist = CHECKLIST.replace("  - id: deploy\n", TWO_PROBES, 1)
    signed = "manual: Tell the on-call engineer.\n        sign_off: {{ role: captain, evidence: optional }}"
    shop.write(service, checklist.replace("manual: Tell the on-call engineer.", signed))
    captain_says("trust", "-e", "production", "--digest", digest(shop, "production"))
    assert captain_says("run", "deploy", "-r", "1.5.0", "-e", "production", "--no-screen").code == 4
    return shop


def documents(captain_says: Captain) -> Iterator[Any]:
    """What every verb that writes the document says of the run now."""
    for words in (["status", RUN], ["show", RUN]):
        said = captain_says(*words, "--json")
        assert said.code == 0, said.err
        yield said.json


def test_every_state_of_a_release_is_written_as_published(opened: Shop, captain_says: Captain) -> None:
    seen: list[Any] = []

    def look() -> Any:
        found = list(documents(captain_says))
        for one in found:
            as_published(one)
        seen.extend(found)
        return found[0]

    def did(*words: str) -> None:
        said = captain_says(*words)
        assert said.code == 0, said.err

    fresh = look()
    assert fresh["release"]["previous"] == {
        "version": "1.4.0",
        "commit": None,
        "images": {},
        "digests": {},
        "source": "observed",
        "differs": False,
    }
    opened.health = 503
    checked = captain_says("check", "deploy", "--run", RUN, "--phase", "pre", "--json")
    as_published(checked.json)
    assert checked.code == 1
    look()
    day = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%d}"
    did("sign", RUN, "healthy-before", "--waive", "--note", "known", "--until", day)
    did("--as", "bob@example.com", "sign", RUN, "healthy-before", "--countersign")
    did("sign", RUN, "both", "--not-applicable", "--note", "one of them is being moved")
    did("--as", "bob@example.com", "sign", RUN, "both", "--countersign")
    did("--as", "bob@example.com", "sign", RUN, "on-call-told", "--reject", "--note", "nobody answers")
    did("sign", RUN, "on-call-told", "--approve", "--note", "told them")
    rejected = look()
    assert rejected["exit_code"] == 1
    did("--as", "bob@example.com", "sign", RUN, "on-call-told", "--approve")
    did("gate", RUN, "pre", "--go", "--confirm", "production")
    look()
    did("act", RUN, "roll-out", "--confirm", "production")
    look()
    did("gate", RUN, "deploy", "--go", "--confirm", "production")
    assert captain_says("gate", RUN, "post", "--go").code == 1
    failed = look()
    assert failed["gates"][0]["risk"] and failed["gates"][0]["decision"]["go"] is True
    did("rollback", RUN, "--confirm", "production")
    ended = look()
    assert ended["state"] == "rolled_back"
    states = {step["state"] for one in seen for section in one["sections"] for step in section["steps"]}
    assert {"todo", "measured", "waiting", "waived", "not-applicable"} <= states
    assert any(step["waiver"] for section in failed["sections"] for step in section["steps"])


def test_a_check_without_a_run_is_written_as_published(opened: Shop, captain_says: Captain) -> None:
    for words in ([], ["--no-record"], ["--phase", "post"], ["--deadline", "1ms"], ["--no-manual"]):
        said = captain_says("check", "deploy", "-e", "production", "--json", *words)
        as_published(said.json)
        assert said.json["exit_code"] == said.code, words


def test_what_every_probe_saw_is_named_by_its_digest(opened: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "production", "--step", "both", "--json").json
    (step,) = (one for section in said["sections"] for one in section["steps"])
    assert [(one["probe"], one["kind"]) for one in step["evidence"]] == [("health", "http"), ("version", "http")]
    assert step["evidence_sha256"] == step["evidence"][0]["sha256"]
    with opened.log(read_only=True) as log:
        for one in step["evidence"]:
            assert log.evidence(one["sha256"]) is not None


def test_a_review_is_written_with_its_score_and_a_release_without(opened: Shop, captain_says: Captain) -> None:
    reviewed(opened)
    said = captain_says("check", "readiness", "-e", "staging", "--json")
    found = [said, captain_says("show", said.json["run"], "--json"), captain_says("status", said.json["run"], "--json")]
    for one in found:
        as_published(one.json)
    scored = [one.json["score"] for one in found]
    assert scored[0] == scored[1] == scored[2]
    assert scored[0].items() <= captain_says("score", "--json").json.items()
    section = scored[0]["sections"]["infrastructure"]
    assert (scored[0]["percent"], scored[0]["coverage"], section["percent"], section["label"]) == (
        25,
        1,
        25,
        "Critical",
    )
    assert "score" not in next(documents(captain_says))


def test_a_part_of_a_review_is_scored_as_a_whole_for_what_nobody_measured_is_not_verified(
    opened: Shop, captain_says: Captain
) -> None:
    reviewed(opened)
    said = captain_says("check", "readiness", "-e", "staging", "--step", "files", "--json").json
    as_published(said)
    assert (said["exit_code"], said["score"]["decision"]) == (0, "NO-GO")
    assert said["score"]["coverage"] == 0.5
    assert (said["score"]["low"], said["score"]["high"]) == (25, 75)


def test_a_step_says_where_it_is_written_and_what_it_stands_in_the_way_with(
    opened: Shop, captain_says: Captain
) -> None:
    said = captain_says("check", "deploy", "-e", "production", "--json", "--phase", "pre").json
    steps = {step["id"]: step for section in said["sections"] for step in section["steps"]}
    lines = (opened.root / "checklists" / "deploy.yaml").read_text().splitlines()
    for name, step in steps.items():
        assert step["location"]["path"] == "checklists/deploy.yaml"
        assert f"id: {name}" in lines[step["location"]["line"] - 1]
    assert steps["both"]["unmet"] is None
    assert steps["on-call-told"]["unmet"]["exit_code"] == 4
    codes = [step["unmet"]["exit_code"] for step in steps.values() if step["unmet"]]
    assert min(codes) == said["exit_code"]


def test_who_is_waited_for_has_a_name(shop: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "staging", "--step", "on-call-told", "--json").json
    assert said["sections"][0]["steps"][0]["waits"] == ["anybody"]


def test_images_are_named_as_conditions_see_them() -> None:
    images = {"web": Image("registry/shop:1.4.0", "registry/shop@sha256:aa", "sha256:aa", "repository")}
    diary = Diary(target(probe("healthy"), manual("told")))
    run = replace(
        diary.run,
        release=Release("1.4.0", "c" * 40, images=images),
        previous=Release("1.3.0", images=images),
        previous_source="last_run",
    )
    view = replace(diary.view(), run=run)
    found = run_document(view, outcome(view, Rules()), duration_ms=1)
    as_published(found)
    for release in (found["release"], found["release"]["previous"]):
        assert release["images"] == {"web": "registry/shop@sha256:aa"}
        assert release["digests"] == {"web": "sha256:aa"}


def objects(value: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that the schema describes, with its place in the schema."""
    if isinstance(value, dict):
        types = value.get("type", ())
        if "object" in ([types] if isinstance(types, str) else types):
            yield path, value
        for key, inner in value.items():
            yield from objects(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from objects(inner, f"{path}[{at}]")


def test_the_schema_leaves_no_object_open() -> None:
    found = list(objects(schema("result")))
    assert len(found) > 12
    for path, one in found:
        assert one.get("additionalProperties", True) is not True, path
        if one["additionalProperties"] is False:
            assert set(one["required"]) <= set(one["properties"]), path
            for key, inner in one["properties"].items():
                assert {"type", "$ref", "enum", "anyOf"} & set(inner), f"{path}.{key} has no type"


def places(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document, outermost first."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from places(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from places(inner)


def test_the_schema_refuses_a_key_that_nobody_declared(opened: Shop, captain_says: Captain) -> None:
    captain_says("sign", RUN, "on-call-told", "--approve")
    captain_says("gate", RUN, "pre", "--no-go", "--note", "later")
    whole = captain_says("status", RUN, "--json").json
    validator: Any = importlib.import_module("jsonschema").Draft7Validator
    published = validator(schema("result"))
    assert published.is_valid(whole)
    free = [step["observed"] for section in whole["sections"] for step in section["steps"]]
    free += [whole["release"][key] for key in ("images", "digests")]
    free += [whole["release"]["previous"][key] for key in ("images", "digests")]
    for at, place in enumerate(places(whole)):
        broken = copy.deepcopy(whole)
        changed = list(places(broken))[at]
        changed["surprise"] = [] if any(place is one for one in free) else "x"
        assert not published.is_valid(broken), place
        if not any(place is one for one in free):
            for key in place:
                missing = copy.deepcopy(whole)
                del list(places(missing))[at][key]
                assert published.is_valid(missing) is (place is whole and key in ("state", "ended_at", "gates")), key
