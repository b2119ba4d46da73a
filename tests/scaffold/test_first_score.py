"""From a clone to a first score: three repositories of different kinds, and what every line of their reviews says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from captain.loader.sheets import shipped_files
from captain.loader.shelf import shipped
from tests.git_repo import ENVIRON
from tests.scaffold.repositories import LIBRARY, SERVICE, make

ROOT = Path(__file__).parents[2]
REPOSITORIES: Mapping[str, dict[str, str]] = {"service": SERVICE, "library": LIBRARY, "empty": {}}
_NAMES = re.compile(
    r"sign-off|signed by|\bneeds [\w.-]+|\benvironments\.\w+|"
    r"[\w./-]+\.(?:ya?ml|md|json|xml|txt|toml|py)\b|\.\w+ignore|\S+/\S+|\*|Docker|Prometheus|"
    r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|\bcaptain\b|\bgit\b|\bset\b|\brelease\.\w+|`\w+`"
)
"""What a person can go to: a signature, a file, an address, an engine, a secret, a command, a key, another step."""


@dataclass(frozen=True)
class Walk:
    """What a newcomer saw on the way from a clone to a first score."""

    name: str
    folder: Path
    init: subprocess.CompletedProcess[str]
    steps: dict[str, dict[str, Any]]
    score: subprocess.CompletedProcess[str]


def cloned(name: str, below: Path) -> Path:
    """A fresh clone of one of the repositories."""
    origin, folder = make(below / "origin" / name, REPOSITORIES[name]), below / name
    subprocess.run(["git", "clone", "--quiet", str(origin), str(folder)], env=ENVIRON, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module", params=REPOSITORIES)
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    folder = cloned(request.param, tmp_path_factory.mktemp("walk"))
    init = captain(folder, "init")
    steps = {step["id"]: step for step in reviewed(folder, "readiness")}
    return Walk(request.param, folder, init, steps, captain(folder, "score", "--json"))


def captain(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """captain as a person starts it there: no engine, no secrets, a state of its own."""
    state = folder.parent / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    own = {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(state), "DOCKER_HOST": f"unix://{folder.parent}/none.sock"}
    done = subprocess.run(
        [sys.executable, "-m", "captain", *words],
        cwd=folder,
        env={**ENVIRON, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback (most" not in done.stdout + done.stderr
    return done


def reviewed(folder: Path, checklist: str) -> list[dict[str, Any]]:
    """Every step of a review, as `check` tells it."""
    words = ["check", checklist, "-e", "staging", "--format", "json"]
    done = captain(folder, *words)
    if accept := re.search(r"captain trust --digest (\S+)", done.stderr):
        done = captain(folder, *words, "--trust", accept[1])
    assert done.returncode in (0, 1, 3, 4), done.stdout + done.stderr
    return [step for section in json.loads(done.stdout)["sections"] for step in section["steps"]]


def test_one_command_ends_with_a_score_and_says_what_to_do_next(walk: Walk) -> None:
    assert walk.init.returncode == 0, walk.init.stderr
    told = walk.init.stderr.splitlines()
    (score,) = (line for line in told if line.startswith("score"))
    assert re.fullmatch(r"score    \d+(?:–\d+)? %  [\w ]+, \d+ % of it verified: NO-GO(?:: unverified)?", score)
    assert "next     commit these files first: a release is what was committed" in told
    assert told[-1].startswith("         captain check deploy"), "what to type comes last"
    assert all(len(line) <= 100 for line in told[told.index(score) :]), "it fits a terminal"


def test_the_review_that_it_writes_is_judged_sensibly_and_scored(walk: Walk) -> None:
    steps = walk.steps
    if walk.name == "service":
        assert (steps["ci.tests-on-pr"]["verdict"], steps["ci.type-check"]["verdict"]) == ("pass", "fail")
        assert steps["infra.network"]["verdict"] == "fail", "the database's port is open"
        assert steps["infra.auto-restart"]["verdict"] == "fail"
        assert (steps["db.pooling"]["verdict"], steps["db.pooling"]["state"]) == ("pass", "waiting")
        assert steps["perf.pooling"]["verdict"] == "unknown", "it stands for what waits for a signature"
        assert steps["doc.deploy"]["verdict"] == "fail", "a heading is no runbook"
    elif walk.name == "library":
        assert steps["ci.tests-on-pr"]["verdict"] == "pass"
        assert not [one for one in steps if one.startswith(("db.", "infra.", "scal."))]
    else:
        assert {step["verdict"] for step in steps.values()} <= {"fail", "unknown"}
    found = json.loads(walk.score.stdout)
    assert 0 <= found["low"] <= found["high"] <= 100 and found["coverage"] < 1
    assert found["decision"].startswith("NO-GO") and walk.score.returncode in (1, 3)


def test_whatever_is_not_known_says_what_would_make_it_known(walk: Walk) -> None:
    for step in walk.steps.values():
        assert step["message"].strip(), step["id"]
        if step["verdict"] == "unknown" or step["state"] == "waiting":
            assert _NAMES.search(step["message"]), (step["id"], step["message"])


@pytest.mark.skipif("readiness" not in shipped_files(), reason="no review is shipped")
@pytest.mark.parametrize("name", REPOSITORIES)
def test_the_shipped_review_asks_every_repository_without_a_crash(tmp_path: Path, name: str) -> None:
    folder = cloned(name, tmp_path)
    text = shipped("readiness")
    secrets = sorted({*re.findall(r"\w+_env: '?(\w+)", text), *re.findall(r"secrets\.(\w+)", text)})
    (folder / "captain.yaml").write_text(
        f"service: {name}\nsecrets: [{', '.join(secrets)}]\nenvironments: {{ staging: {{}} }}\n"
    )
    steps = reviewed(folder, "readiness")
    assert len(steps) >= 71
    for step in steps:
        assert step["message"].strip(), step["id"]
        if step["verdict"] == "unknown" and step["state"] not in ("not-run", "disabled", "not-applicable"):
            assert _NAMES.search(step["message"]), (step["id"], step["message"])
    score = captain(folder, "score", "--json")
    assert json.loads(score.stdout)["coverage"] < 1


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)


def test_a_list_that_somebody_kept_goes_the_whole_way_to_a_score(tmp_path: Path) -> None:
    """Ticks are reset, gaps cap what they touch, additions and advice are shown beside the score."""
    folder = make(tmp_path / "shop", SERVICE)
    (folder / "list.md").write_bytes((ROOT / "tests" / "data" / "readiness.md").read_bytes())
    before = {path: path.read_bytes() for path in _walk(folder)}
    done = captain(folder, "init", "--from", "list.md")
    assert done.returncode == 0, done.stderr
    assert "none counts" in done.stderr and "\ndoubt    " in done.stderr
    assert all(path.read_bytes() == data for path, data in before.items()), "nothing is overwritten"
    assert captain(folder, "lint").returncode == 0
    steps = {step["id"]: step for step in reviewed(folder, "readiness")}
    by_people = [one for one in steps.values() if one["state"] == "waiting"]
    assert by_people and not any(one["signed"] for one in steps.values()), "no tick became a signature"
    found = json.loads(captain(folder, "score", "--json").stdout)
    assert found["decision"] == "NO-GO" and found["low"] < 50
    assert found["gaps"] and any("accepted the risk" in reason for reason in found["reasons"])
    assert found["beside"], "additions and recommendations have no weight"
    advice = [one for one in steps if one.startswith("rec.")]
    assert advice and not {*advice} & {*found["blockers"]}, "a recommendation stands in nobody's way"
