"""A review that is run again measures what is stale: what was read from files counts as long as they are the same."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from captain.clock import SystemClock
from tests.commands.conftest import Captain
from tests.file_times import until_dated_before_now
from tests.git_repo import Repo
from tests.shop import Shop

SERVICE = """\
service: shop
vars: {{ url: 'http://127.0.0.1:{port}' }}
environments: {{ staging: {{}} }}
checklists: [checklists/deploy.yaml]
"""
REVIEW = """\
checklist: readiness
title: Review
per: service
sections:
  - id: all
    title: All
    steps:
      - id: healthy
        title: Healthy
        http: {{ url: '${{{{ vars.url }}}}/healthz' }}
      - id: stack
        title: Stack
        compose: {{ files: [compose.yaml] }}
        expect: [privileged == 0, env_files_open_mode == 0]
      - id: image
        title: Image
        dockerfile: {{ path: Dockerfile, hadolint: false }}
        expect: [final_user_is_root == false]
      - id: gated
        title: Gated
        workflow: {{ paths: ['.github/workflows/*.yml'] }}
        expect: ['found > 0']
      - id: clean
        title: No debugging left
        source: {{ globs: ['src/**'], patterns: [ {{ id: pdb, regex: 'set_trace' }} ] }}
        expect: [matches == 0]
      - id: runbook
        title: Runbook
        docs: {{ paths: [RUNBOOK.md], headings: [Restart] }}
        expect: [found == 1, size(dead_links) == 0, size(headings_missing) == 0]
      - id: changelog
        title: Changelog
        file: {{ path: CHANGELOG.md, parse: text }}
        expect: ['text.contains("1.4")']
      - id: recent
        title: Changed lately
        file: {{ path: CHANGELOG.md }}
        expect: ['age < days(900)']
      - id: short
        title: Looked at each minute
        file: {{ path: CHANGELOG.md }}
        max_age: 1m
      - id: mixed
        title: File and service
        probes:
          said: {{ file: {{ path: CHANGELOG.md }} }}
          up: {{ http: {{ url: '${{{{ vars.url }}}}/healthz' }} }}
        expect: [said.exists, up.status == 200]
"""
FILES = {
    ".gitignore": "state/\n.env\n.gitignore\n",
    "compose.yaml": "services: { web: { image: shop, env_file: .env } }\n",
    ".env": "A=1\n",
    "Dockerfile": "FROM alpine:3.20\nUSER app\n",
    ".github/workflows/ci.yml": "on: push\njobs: { t: { runs-on: x, steps: [ { run: make test } ] } }\n",
    "src/shop.py": "x = 1\n",
    "RUNBOOK.md": "# Restart\n\nSee [how](docs/how.md).\n",
    "docs/how.md": "how\n",
    "CHANGELOG.md": "1.4\n",
}
STATIC = ["changelog", "clean", "gated", "image", "runbook", "stack"]
AGING = ["healthy", "mixed", "recent", "short"]


@pytest.fixture
def repo(shop: Shop) -> Iterator[Repo]:
    shop.write(SERVICE, REVIEW)
    found = Repo(shop.root)
    for name, text in FILES.items():
        found.write(name, text)
    (shop.root / ".env").chmod(0o600)
    found.git("add", "-A")
    found.git("commit", "-q", "-m", "all")
    until_dated_before_now(*(shop.root / name for name in FILES))
    yield found


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Moves the clock that results are dated by."""
    ahead = timedelta(0)
    real = SystemClock.now

    def move(**time: float) -> None:
        nonlocal ahead
        ahead += timedelta(**time)

    def now(self: SystemClock) -> datetime:
        return real(self) + ahead

    monkeypatch.setattr(SystemClock, "now", now)
    return move


def checked(shop: Shop, captain_says: Captain, *more: str) -> list[str]:
    """The steps that one more check measured."""
    before = shop.recorded()[-1].seq if shop.settings.log.exists() else 0
    said = captain_says("check", "readiness", "-e", "staging", *more)
    assert said.code in (0, 1, 3), said.out + said.err
    return sorted(one.data["step"] for one in shop.recorded("step.result") if one.seq > before)


def test_what_is_stale_is_measured_again_and_nothing_else(
    shop: Shop, repo: Repo, captain_says: Captain, later: Callable[..., None]
) -> None:
    assert checked(shop, captain_says) == sorted(STATIC + AGING)
    assert [one.data["step"] for one in shop.recorded("step.result") if one.data["verdict"] != "pass"] == []
    assert checked(shop, captain_says) == []
    later(minutes=16)
    assert checked(shop, captain_says) == sorted(AGING)
    later(days=400)
    assert checked(shop, captain_says) == sorted(AGING)
    assert [(one.data["measured"], one.data["kept"]) for one in shop.recorded("run.checked")] == [
        (10, 0),
        (0, 10),
        (4, 6),
        (4, 6),
    ]


def test_it_is_said_what_was_kept_and_why_and_all_measures_everything(
    shop: Shop, repo: Repo, captain_says: Captain, later: Callable[..., None]
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    later(minutes=2)
    said = captain_says("check", "readiness", "-e", "staging")
    assert "kept 9 (6 whose files are the same, 3 that still count), measured 1; --all measures everything" in said.out
    later(minutes=16)
    assert "kept 6 (6 whose files are the same), measured 4" in captain_says("check", "readiness", "-e", "staging").out
    assert checked(shop, captain_says, "--all") == sorted(STATIC + AGING)
    assert "kept" not in captain_says("check", "readiness", "-e", "staging", "--all").out


def test_it_is_said_how_many_were_measured_because_they_were_not_good(
    shop: Shop, repo: Repo, captain_says: Captain, later: Callable[..., None]
) -> None:
    (shop.root / "src" / "shop.py").unlink()
    captain_says("check", "readiness", "-e", "staging")
    bad = sum(one.data["verdict"] not in ("pass", "warn") for one in shop.recorded("step.result"))
    assert bad
    said = captain_says("check", "readiness", "-e", "staging").out
    # The file that is not there may have been one that others rest on, so more than these may be measured.
    assert re.search(rf"kept \d+ .*, measured \d+, {bad} of them because they were not good before; --all", said), said


Change = Callable[[Path], object]


def rewritten_with_its_old_time(root: Path) -> None:
    path = root / "src" / "shop.py"
    status = path.stat()
    path.write_text("y = 1\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced_by_a_link(root: Path) -> None:
    path = root / "Dockerfile"
    path.rename(root / "Dockerfile.real")
    path.symlink_to("Dockerfile.real")


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        pytest.param(lambda root: (root / "src/shop.py").write_text("x = 22\n"), ["clean"], id="content"),
        pytest.param(rewritten_with_its_old_time, ["clean"], id="content of the same size and time"),
        pytest.param(lambda root: (root / "src/shop.py").chmod(0o755), ["clean"], id="permissions"),
        pytest.param(lambda root: (root / "src/shop.py").unlink(), ["clean"], id="gone"),
        pytest.param(replaced_by_a_link, ["image"], id="a link in its place"),
        pytest.param(lambda root: (root / ".env").chmod(0o644), ["stack"], id="permissions of an ignored file"),
        pytest.param(lambda root: (root / ".env").unlink(), ["stack"], id="an ignored file gone"),
        pytest.param(
            lambda root: (root / "compose.override.yaml").write_text("services: {}\n"), [], id="a file nobody reads"
        ),
        pytest.param(
            lambda root: (root / ".github/workflows/new.yml").write_text("on: push\njobs: {}\n"),
            ["gated"],
            id="a new untracked file that a pattern matches",
        ),
        pytest.param(lambda root: (root / "docs/how.md").unlink(), ["runbook"], id="the target of a link"),
        pytest.param(lambda root: (root / "RUNBOOK.md").write_text("# Restart\n"), ["runbook"], id="a document"),
        pytest.param(lambda root: (root / "CHANGELOG.md").write_text("1.4\n\n"), ["changelog"], id="one file"),
    ],
)
def test_every_way_a_file_can_change_makes_stale_what_read_it(
    shop: Shop, repo: Repo, captain_says: Captain, later: Callable[..., None], change: Change, stale: list[str]
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    later(minutes=16)
    change(shop.root)
    assert checked(shop, captain_says) == sorted(AGING + stale)


def test_what_is_staged_and_matches_is_looked_through(
    shop: Shop, repo: Repo, captain_says: Captain, later: Callable[..., None]
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    later(minutes=16)
    repo.write("src/more.py", "set_trace()\n")
    assert checked(shop, captain_says) == sorted(AGING), "git does not track it, so nothing looks through it"
    repo.git("add", "-A")
    later(minutes=16)
    assert checked(shop, captain_says) == sorted([*AGING, "clean"])
    results = [one for one in shop.recorded("step.result") if one.data["step"] == "clean"]
    assert results[-1].data["verdict"] == "fail"


def test_another_commit_makes_everything_stale_that_was_read_from_files(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    repo.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert checked(shop, captain_says) == sorted([*STATIC, "mixed", "recent", "short"])


def test_a_file_that_changes_while_it_is_read_is_read_again(
    shop: Shop, repo: Repo, captain_says: Captain, later: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from captain.probes.file import FileProbe

    real = FileProbe.measure

    async def meanwhile(self: FileProbe, ctx: object) -> object:
        seen = await real(self, ctx)  # type: ignore[arg-type]
        (shop.root / "CHANGELOG.md").write_text("1.4 and more\n")
        return seen

    monkeypatch.setattr(FileProbe, "measure", meanwhile)
    captain_says("check", "readiness", "-e", "staging")
    monkeypatch.undo()
    rested = {one.data["step"] for one in shop.recorded("step.rests")}
    assert "changelog" not in rested
    assert "image" in rested


def test_who_only_looks_sees_what_has_changed_and_records_nothing(
    shop: Shop, repo: Repo, captain_says: Captain, later: Callable[..., None]
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    later(days=3)
    (shop.root / "Dockerfile").write_text("FROM alpine\n")
    before = shop.recorded()[-1].seq
    said = captain_says("status", "shop-staging-readiness", "--json").json
    states = {step["id"]: step["state"] for section in said["sections"] for step in section["steps"]}
    assert {name for name, state in states.items() if state == "measured"} == {*STATIC} - {"image"}
    assert shop.recorded()[-1].seq == before


def test_who_only_looks_counts_nothing_of_a_clean_work_tree_that_is_clean_no_longer(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    assert captain_says("score").code == 0
    (shop.root / "Dockerfile").write_text("FROM alpine\n")
    before = shop.recorded()[-1].seq
    said = captain_says("status", "shop-staging-readiness", "--json").json
    states = {step["id"]: step["state"] for section in said["sections"] for step in section["steps"]}
    assert {name for name, state in states.items() if state == "measured"} == {*STATIC, "healthy"} - {"image"}
    scored = captain_says("score")
    assert scored.code == 3, scored.out
    assert "measured before the work tree was changed" in scored.out
    assert shop.recorded()[-1].seq == before


def test_a_review_that_was_given_up_is_no_go_however_good_it_was(
    shop: Shop, repo: Repo, captain_says: Captain, later: Callable[..., None]
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    assert captain_says("score").code == 0
    assert captain_says("abort", "shop-staging-readiness", "--reason", "enough").code == 0
    later(days=200)
    (shop.root / "Dockerfile").write_text("FROM alpine\n")
    said = captain_says("score")
    assert said.code == 3 and "NO-GO: unverified" in said.out
    assert "the review was given up on" in said.out


REPORT = """\
checklist: readiness
title: Review
per: service
sections:
  - id: all
    title: All
    steps:
      - id: tests
        title: Tests
        report: {{ format: junit, path: 'state/junit*.xml' }}
        max_age: 7d
      - id: mixed
        title: File and service
        probes:
          said: {{ file: {{ path: state/said.txt, parse: text }} }}
          up: {{ http: {{ url: '${{{{ vars.url }}}}/healthz' }} }}
        expect: ['said.text.contains("yes")', up.status == 200]
"""
GREEN = '<testsuite tests="1"><testcase classname="a" name="b"/></testsuite>'
RED = GREEN.replace("/></testsuite>", "><failure/></testcase></testsuite>")


def reported(shop: Shop) -> Repo:
    """A repository whose reports lie where git does not look."""
    shop.write(SERVICE, REPORT)
    repo = Repo(shop.root)
    repo.write(".gitignore", "state/\n.gitignore\n")
    repo.write("state/junit.xml", GREEN)
    repo.write("state/said.txt", "yes\n")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "all")
    until_dated_before_now(shop.root / "state" / "junit.xml", shop.root / "state" / "said.txt")
    return repo


def test_a_report_that_git_does_not_see_is_read_again_when_it_is_another_one(
    shop: Shop, captain_says: Captain, later: Callable[..., None]
) -> None:
    repo = reported(shop)
    assert checked(shop, captain_says) == ["mixed", "tests"]
    assert checked(shop, captain_says) == []
    repo.write("state/junit.xml", RED)
    assert captain_says("score").code != 0
    assert checked(shop, captain_says) == ["tests"]
    assert shop.recorded("step.result")[-1].data["verdict"] == "fail"
    repo.write("state/junit.xml", GREEN)
    until_dated_before_now(shop.root / "state" / "junit.xml")
    assert checked(shop, captain_says) == ["tests"]
    repo.write("state/junit-2.xml", RED)
    assert checked(shop, captain_says) == ["tests"]
    # The half that is a file is as old as the file, the other as old as the answer.
    repo.write("state/said.txt", "no\n")
    assert "mixed" in checked(shop, captain_says)


def test_a_report_ends_with_its_age_however_long_it_stays_the_same(
    shop: Shop, captain_says: Captain, later: Callable[..., None]
) -> None:
    reported(shop)
    checked(shop, captain_says)
    later(days=4)
    assert checked(shop, captain_says) == ["mixed"]
    later(days=4)
    assert checked(shop, captain_says) == ["mixed", "tests"]
    assert [one.data["verdict"] for one in shop.recorded("step.result") if one.data["step"] == "tests"] == [
        "pass",
        "unknown",
    ]
