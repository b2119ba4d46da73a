"""The result of a check in every format: held still byte for byte, never better than the document it is made of."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.exports import exports, mark, names
from captain.exports.github import MOST
from captain.exports.github import write as write_github
from captain.exports.junit import write as write_junit
from captain.exports.markdown import write_result as write_markdown
from captain.exports.sarif import FINGERPRINT
from captain.exports.sarif import write as write_sarif
from captain.exports.tap import write as write_tap
from captain.systems.reports import Asked
from captain.systems.reports.sarif import read as read_sarif
from tests.commands.conftest import as_published
from tests.exports.conftest import HOSTILE, REJECT, SCORE, document, step
from tests.exports.test_formats import LURES, golden, rendered

BIDI = "\u202etxt.exe\u2066 \u200b\u00ad"
CONTROL = "\x00\x07\x1b]8;;http://evil.example\x07x\x1b]8;;\x07\x9b2J\x7f\r\ud800"
COMMANDS = [
    "\n::error::out",
    "\r\n::add-mask::x",
    "\n::stop-commands::tok",
    "##[error]out",
    "x ##[add-mask]secret",
    "a::b,c=d%0A::error::out%25",
    "%",
    ",file=evil,line=1::now",
]
TAPPED = [
    "# SKIP",
    "x # TODO later",
    "\\# SKIP",
    "\nok 99 - forged",
    "\n1..1\nBail out!",
    "\n  ...\nok 3",
    "#skip",
    "--- {a: b",
]
XML = "]]><script>&amp;&#0;</testcase><testcase name='x'/>"
EVERY = [HOSTILE, BIDI, CONTROL, XML, *LURES, *COMMANDS, *TAPPED]


def steps_of(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for section in result["sections"] for one in section["steps"]}


def test_the_document_that_these_tests_write_is_one_that_captain_could_write(result: dict[str, Any]) -> None:
    as_published(result)


# What each format says of each step, read as its readers read it.


def tap_points(written: bytes) -> list[tuple[bool, str, str, dict[str, Any]]]:
    """As the TAP 14 grammar has it: ok or not, description, directive, diagnostics."""
    lines = written.decode().split("\n")
    assert lines[0] == "TAP version 14"
    plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
    assert plan is not None
    found: list[tuple[bool, str, str, dict[str, Any]]] = []
    block: list[str] | None = None
    for line in lines[2:]:
        if line == "  ---":
            block = []
        elif line == "  ..." and block is not None:
            found[-1] = (*found[-1][:3], yaml.safe_load("\n".join(one[2:] for one in block)))
            block = None
        elif block is not None:
            assert line.startswith("  ")
            block.append(line)
        elif not line.startswith("#") and line:
            point = re.fullmatch(r"(not )?ok (\d+) - (.*)", line)
            assert point is not None, line
            assert int(point[2]) == len(found) + 1
            parts = re.split(r"(?<!\\)(?:\\\\)*\s+#\s*", point[3], maxsplit=1)
            directive = parts[1] if len(parts) > 1 else ""
            assert not directive or re.match(r"(SKIP|TODO) ", directive), line
            found.append((point[1] is None, parts[0], directive, {}))
    assert block is None
    assert len(found) == int(plan[1])
    return found


def tap_says(written: bytes) -> dict[str, str]:
    said = {}
    for good, name, directive, _ in tap_points(written)[:-1]:
        word = directive[:4].lower() if directive else "pass" if good else "fail"
        said[name.partition(":")[0]] = f"not ok {word}" if directive and not good else word
    return said


def commands_of(written: bytes) -> list[tuple[str, dict[str, str], str]]:
    """As the runner takes them apart."""
    found = []
    for line in re.split(r"\r\n|\r|\n", written.decode()):
        assert "##[" not in line
        if line.startswith("::"):
            head, _, data = line[2:].partition("::")
            level, _, properties = head.partition(" ")
            pairs = dict(one.split("=", 1) for one in properties.split(","))
            found.append((level, {key: unquote(value) for key, value in pairs.items()}, unquote(data)))
    return found


def test_tap_is_held_still_and_says_what_every_step_came_to(result: dict[str, Any]) -> None:
    written = write_tap(result)
    golden("check.tap", written)
    assert tap_says(written) == {
        "good": "pass",
        "odd": "pass",
        "bad": "fail",
        "dark": "fail",
        "old": "fail",
        "refused": "fail",
        "person": "fail",
        "deploy": "skip",
        "other": "skip",
        "excused": "not ok todo",
        "hint": "not ok todo",
        "aside": "not ok todo",
    }
    points = {name.partition(":")[0]: more for _, name, _, more in tap_points(written)}
    assert points["odd"]["result"] == "warn"
    assert points["bad"]["conditions"][0]["resolved"] == "status = ü"
    assert points["bad"]["at"] == {"file": "checklists/my deploy.yaml", "line": 12}
    good, name, _, more = tap_points(written)[-1]
    assert (good, name, more["exit_code"]) == (False, "answer: no-go", 1)


def test_github_is_held_still_and_points_at_the_line_of_the_checklist(result: dict[str, Any]) -> None:
    written = write_github(result)
    golden("check.github.txt", written)
    found = commands_of(written)
    levels = Counter(level for level, _, _ in found)
    assert levels == {"error": 5, "warning": 2, "notice": 2}
    bad = next(one for one in found if one[1]["title"] == "Title of bad failed")
    assert bad[1]["file"] == "checklists/my deploy.yaml" and bad[1]["line"] == "12"
    assert bad[2].splitlines()[-1] == "status == 200   status = ü"
    dark = next(one for one in found if one[1]["title"] == "Title of dark could not be told")
    assert set(dark[1]) == {"title"}
    assert written.decode().splitlines()[-1] == "captain: deploy: NO-GO, score 80 to 95 %, NO-GO: unverified"


def test_github_keeps_ten_of_a_level_and_says_how_many_there_are_besides() -> None:
    written = write_github(document([step(f"bad-{number}", "fail", code=1) for number in range(MOST + 5)]))
    found = commands_of(written)
    assert len(found) == MOST
    assert found[-1][2].startswith("and 6 more")
    assert len(commands_of(write_github(document([step(f"b-{n}", "fail", code=1) for n in range(MOST)])))) == MOST


def test_github_keeps_what_failed_before_what_waits_for_a_person() -> None:
    waits = [step(f"sign-{number}", "unknown", "waiting", code=4) for number in range(MOST)]
    unknown, failed = step("dark", "unknown", code=3), step("broken", "fail", code=1)
    titles = [one[1]["title"] for one in commands_of(write_github(document([*waits, unknown, failed])))]
    assert titles[:2] == ["Title of broken failed", "Title of dark could not be told"]


def test_github_has_an_error_wherever_the_answer_is_no_go() -> None:
    quiet = document([step("odd", "warn")], exit_code=1, gate={"go": False, "reasons": ["warnings are a no"]})
    assert [one[0] for one in commands_of(write_github(quiet))] == ["error", "warning"]


def test_markdown_is_held_still(result: dict[str, Any]) -> None:
    written = write_markdown(result)
    golden("check.md", written)
    text = written.decode()
    assert text.startswith("# NO-GO: deploy\n")
    assert "80–95 %, Fair (raw 81.2 %, verified 86 % of the weight): NO-GO: unverified" in text
    assert "captain sign shop-staging-deploy person --approve" in text
    remaining = text.partition("## Remaining")[2].partition("\n## ")[0]
    names_ = re.findall(r"^\| Title of (\S+)", remaining, re.MULTILINE)
    assert names_[:2] == ["bad", "refused"], "the worst comes first"
    assert set(names_) == set(steps_of(result)) - {"good", "deploy", "other"}


def run_of(written: bytes) -> dict[str, Any]:
    log = json.loads(written)
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert isinstance(run, dict)
    return run


def test_sarif_is_held_still_and_holds_what_is_not_good(result: dict[str, Any]) -> None:
    written = write_sarif(result)
    golden("check.sarif", written)
    run = run_of(written)
    said = {one["ruleId"]: (one["kind"], one["level"]) for one in run["results"]}
    assert said == {
        "odd": ("fail", "warning"),
        "bad": ("fail", "error"),
        "dark": ("open", "none"),
        "old": ("open", "none"),
        "refused": ("fail", "error"),
        "person": ("review", "none"),
        "excused": ("fail", "error"),
        "hint": ("fail", "warning"),
        "aside": ("open", "none"),
    }
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 1)
    assert invocation["endTimeUtc"] == "2026-11-23T14:02:07.412000Z"
    noted = {one["associatedRule"]["id"]: one["level"] for one in invocation["toolExecutionNotifications"]}
    assert noted == {"dark": "error", "old": "error", "deploy": "note", "aside": "note"}
    rules = run["tool"]["driver"]["rules"]
    assert rules[2]["helpUri"] == "https://wiki.example.com/checkout?a=1#top"
    assert "helpUri" not in rules[3], "no address of the web"
    assert [one["suppressions"][0]["status"] for one in run["results"] if "suppressions" in one] == ["accepted"]


def test_sarif_keeps_the_rules_of_the_standard(result: dict[str, Any]) -> None:
    run = run_of(write_sarif(result))
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for one in run["results"]:
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        assert one["kind"] in ("fail", "open", "review")
        assert one["level"] == "none" if one["kind"] != "fail" else one["level"] in ("error", "warning", "note")
        assert one["message"]["text"]
        (place,) = one["locations"]
        (logical,) = place["logicalLocations"]
        assert logical["fullyQualifiedName"] == f"shop/staging/deploy/pre/{one['ruleId']}"
        if "physicalLocation" in place:
            where = place["physicalLocation"]
            assert where["artifactLocation"] == {"uri": "checklists/my%20deploy.yaml", "uriBaseId": "%SRCROOT%"}
            assert where["region"]["startLine"] == 12
    for note in run["invocations"][0]["toolExecutionNotifications"]:
        assert rules[note["associatedRule"]["index"]]["id"] == note["associatedRule"]["id"]


def test_a_fingerprint_is_the_steps_and_not_the_runs() -> None:
    def prints(found: dict[str, Any]) -> list[str]:
        return [one["partialFingerprints"][FINGERPRINT] for one in run_of(write_sarif(found))["results"]]

    one, other = step("bad", "fail", code=1), step("worse", "fail", code=1)
    moved: dict[str, Any] = {
        "location": {"path": "elsewhere.yaml", "line": 3},
        "message": "another",
        "title": "Another",
    }
    first = prints(document([one, other]))
    assert len(set(first)) == 2
    later = document([other, step("bad", "unknown", code=3, **moved)], run="another", started_at="2027-01-01T00:00:00Z")
    assert prints(later) == first[::-1]
    assert prints(document([one], environment="production")) != first[:1]


def test_captain_does_not_take_its_own_report_for_clean_where_something_could_not_be_told() -> None:
    asked = Asked()
    clean = read_sarif(write_sarif(document([step("good", "pass")])), asked)
    assert (clean.refused, clean.findings) == (None, [])
    for dark in (
        step("dark", "unknown", code=3),
        step("dark", "unknown", severity="info"),
        step("old", "pass", "stale"),
    ):
        assert read_sarif(write_sarif(document([step("good", "pass"), dark])), asked).refused
    bad = read_sarif(write_sarif(document([step("bad", "fail", code=1)])), asked)
    assert [one.level for one in bad.findings or ()] == ["error"]


# No format says better of a step than the document.

_STATES = ["todo", "measuring", "measured", "stale", "waiting", "lapsed", "waived", "not-applicable", "overridden"]
_TEXT = st.one_of(st.sampled_from(EVERY), st.text(max_size=40))


@st.composite
def results(draw: st.DrawFn) -> dict[str, Any]:
    """Documents of any steps, also of such that captain would not write."""
    steps = []
    for number in range(draw(st.integers(1, 6))):
        verdict = draw(st.sampled_from(["pass", "warn", "unknown", "fail"]))
        made = step(
            f"step-{number}",
            verdict,
            draw(st.sampled_from([*_STATES, "not-run", "disabled"])),
            draw(st.sampled_from(["blocker", "warning", "info"])),
            draw(st.sampled_from([None, 1, 3, 4])),
            message=draw(_TEXT),
            title=draw(_TEXT),
            why=draw(_TEXT),
            help=draw(st.none() | _TEXT),
            link=draw(st.none() | _TEXT),
            location=draw(st.sampled_from([None, {"path": f"a{draw(_TEXT)}b.yaml", "line": 3}])),
            signed=draw(st.sampled_from([[], [REJECT], [REJECT | {"lapsed": True}]])),
        )
        made["conditions"] = [one | {"resolved": draw(_TEXT), "expect": draw(_TEXT)} for one in made["conditions"]]
        if made["unmet"]:
            made["unmet"]["reason"] = draw(_TEXT)
        steps.append(made)
    found = document(steps, **draw(st.sampled_from([{}, {"score": SCORE}])))
    extra = draw(st.sampled_from([0, 1, 3, 4]))
    if extra and not found["exit_code"]:
        found |= {"exit_code": extra, "gate": {"go": False, "reasons": [draw(_TEXT)]}}
    found["sections"][0]["title"] = draw(_TEXT)
    return found


def may_be_shown_good(one: dict[str, Any]) -> bool:
    """Pass or warn in the document, by nothing that takes it back, or nobody's business."""
    return one["verdict"] in ("pass", "warn") and one["state"] in ("measured", "overridden") and one["unmet"] is None


@settings(max_examples=150, deadline=None)
@given(results())
def test_no_format_shows_a_pass_that_the_document_does_not_have(found: dict[str, Any]) -> None:
    known = steps_of(found)
    for one in known.values():
        if not may_be_shown_good(one):
            assert mark(one) not in ("pass", "warn")
    points = tap_points(write_tap(found))
    for good, name, directive, _ in points[:-1]:
        one = known[name.partition(":")[0]]
        excused = one["state"] in ("not-applicable", "not-run", "disabled")
        assert good is ((may_be_shown_good(one) and mark(one) in ("pass", "warn")) or excused)
        assert bool(directive) is excused or not good
    bare = [good for good, _, directive, _ in points if not directive]
    assert all(bare) is (found["exit_code"] == 0)

    run = run_of(write_sarif(found))
    told = {one["ruleId"] for one in run["results"]}
    silent = set(known) - told
    for name in silent:
        assert mark(known[name]) in ("pass", "excused")
    assert run["invocations"][0]["exitCode"] == found["exit_code"]
    if any(mark(one) == "unknown" for one in known.values()):
        assert run["invocations"][0]["executionSuccessful"] is False

    found_commands = commands_of(write_github(found))
    errors = [one for one in found_commands if one[0] == "error"]
    unmet = [one for one in known.values() if one["unmet"]]
    assert len(errors) == len(unmet) or (not unmet and found["exit_code"] and len(errors) == 1)
    bad = [one for one in known.values() if mark(one) not in ("pass", "excused") and one["unmet"] is None]
    assert len(found_commands) - len(errors) == len(bad)

    for case in ElementTree.fromstring(write_junit(found)).iter("testcase"):
        bare_case = not [child for child in case if child.tag != "system-out"]
        assert bare_case is (mark(known[str(case.get("name"))]) in ("pass", "warn"))

    table = write_markdown(found).decode().rpartition("|---|---|---|\n")[2].splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[2] for line in table if line]
    assert len(rows) == len(known)
    for row, one in zip(rows, known.values(), strict=True):
        assert ("pass" in row) is (mark(one) == "pass")


# Outside text stays text.


@pytest.mark.parametrize("words", EVERY)
def test_hostile_text_changes_nothing_of_any_format(words: str) -> None:
    def made(text: str) -> dict[str, Any]:
        bad = step("bad", "fail", code=1, message=text, title=text, why=text, help=text, link=text)
        bad["conditions"][0] |= {"expect": text, "resolved": text}
        bad["unmet"]["reason"] = text
        excused = step("other", "unknown", "not-applicable", message=text, title=text)
        score = copy.deepcopy(SCORE) | {"reasons": [text]}
        score["sections"]["sec"]["title"] = text
        found = document([bad, excused, step("good", "pass", title=text)], score=score)
        found["sections"][0]["title"] = text
        return found

    hostile, plain = made(words), made("plain")
    assert tap_says(write_tap(hostile)) == {"bad": "fail", "other": "skip", "good": "pass"}
    assert len(write_tap(hostile).splitlines()) == len(write_tap(plain).splitlines())
    levels = [(level, sorted(keys)) for level, keys, _ in commands_of(write_github(hostile))]
    assert levels == [(level, sorted(keys)) for level, keys, _ in commands_of(write_github(plain))]
    assert len(write_github(hostile).split(b"\n")) == len(write_github(plain).split(b"\n"))
    kinds = [Counter(token.type for token in rendered(write_markdown(one))) for one in (hostile, plain)]
    for found in kinds:
        del found["text"], found["text_special"]
    assert kinds[0] == kinds[1]
    for form in names("result"):
        write = exports.find(form)
        assert write is not None and write.result is not None
        written = write.result(hostile).decode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", written), form
    for one in run_of(write_sarif(hostile))["results"]:
        assert "](" not in one["message"]["text"]
        assert "\n" not in one["message"]["text"]
    assert "@here" not in write_markdown(hostile).decode()
