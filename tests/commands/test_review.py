"""A checklist with `per: service` at the shell: one run that stands, and checks that add to it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from captain.run import fold
from captain.run.trend import checks
from tests.commands.conftest import Captain
from tests.file_times import until_dated_before_now
from tests.git_repo import Repo
from tests.shop import Shop

SERVICE = """\
service: shop
vars: {{ url: 'http://127.0.0.1:{port}' }}
environments: {{ production: {{ protected: true }}, staging: {{}} }}
checklists: [checklists/deploy.yaml]
release: {{ tag: 'v${{{{ release.version }}}}' }}
"""
REVIEW = """\
checklist: readiness
title: Review
per: service
sections:
  - id: infra
    title: Infrastructure
    steps:
      - id: healthy
        title: Healthy
        http: {{ url: '${{{{ vars.url }}}}/healthz' }}
        expect: [status == 200]
      - id: notes
        title: Notes written
        file: {{ path: notes.md }}
  - id: people
    title: People
    steps:
      - id: on-call
        title: On-call rota
        manual: Is there one?
      - id: restore
        title: Restore tried
        manual: Try it.
        sign_off: {{ valid_for: 90d }}
"""
RUN = "shop-staging-readiness"


@pytest.fixture
def repo(shop: Shop) -> Iterator[Repo]:
    """The shop's repository, committed, its state ignored."""
    shop.write(SERVICE, REVIEW)
    found = Repo(shop.root)
    found.write(".gitignore", "state/\n.gitignore\n")
    found.write("notes.md", "read me\n")
    found.git("add", "-A")
    found.git("commit", "-q", "-m", "all")
    yield found


def commit(repo: Repo, name: str = "more.md") -> str:
    repo.write(name, "more\n")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", name)
    return repo.git("rev-parse", "HEAD")


def measured(shop: Shop, since: int = 0) -> list[str]:
    return sorted(event.data["step"] for event in shop.recorded("step.result") if event.seq > since)


def last(shop: Shop) -> int:
    return shop.recorded()[-1].seq


def states(said: object) -> dict[str, str]:
    assert isinstance(said, dict)
    return {step["id"]: step["state"] for section in said["sections"] for step in section["steps"]}


def test_each_check_adds_to_the_one_run_and_measures_only_what_is_stale(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    first = captain_says("check", "readiness", "-e", "staging", "--json")
    assert (first.code, first.json["run"]) == (4, RUN)
    assert first.json["release"]["commit"] == repo.git("rev-parse", "HEAD")
    assert measured(shop) == ["healthy", "notes"]
    seen = last(shop)
    again = captain_says("check", "readiness", "-e", "staging", "--json")
    assert (again.json["run"], measured(shop, seen)) == (RUN, [])
    assert states(again.json)["healthy"] == "measured", "what still counts is shown"
    captain_says("check", "readiness", "-e", "staging", "--all")
    assert measured(shop, seen) == ["healthy", "notes"]
    assert [event.data["kind"] for event in shop.recorded("run.start")] == ["standing"]
    assert [(one.data["measured"], one.data["kept"]) for one in shop.recorded("run.checked")] == [
        (2, 0),
        (0, 2),
        (2, 0),
    ]


def test_what_was_not_good_is_measured_again_for_it_may_have_been_put_right(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    shop.health = 503
    assert captain_says("check", "readiness", "-e", "staging").code == 1
    shop.health = 200
    seen = last(shop)
    assert captain_says("check", "readiness", "-e", "staging").code == 4
    assert measured(shop, seen) == ["healthy"]


def test_a_new_commit_makes_stale_what_was_read_from_files_and_not_what_a_system_said(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    head = commit(repo)
    status = captain_says("status", RUN, "--json").json
    assert states(status) == {"healthy": "measured", "notes": "stale", "on-call": "waiting", "restore": "waiting"}
    seen = last(shop)
    assert captain_says("check", "readiness", "-e", "staging", "--json").json["release"]["commit"] == head
    assert measured(shop, seen) == ["notes"]


def test_changes_that_are_not_committed_are_looked_at_each_time(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    captain_says("check", "readiness", "-e", "staging")
    (shop.root / "notes.md").unlink()
    seen = last(shop)
    assert captain_says("check", "readiness", "-e", "staging").code == 1
    repo.git("checkout", "notes.md")
    assert captain_says("check", "readiness", "-e", "staging").code == 4
    assert measured(shop, seen) == ["notes", "notes"]
    assert [event.data["tree"] for event in shop.recorded("run.bound")] == ["clean", "changed", "clean"]


def test_where_there_is_no_repository_a_file_is_read_again_once_it_has_changed(
    shop: Shop, captain_says: Captain
) -> None:
    shop.write(SERVICE, REVIEW)
    (shop.root / "notes.md").write_text("x")
    until_dated_before_now(shop.root / "notes.md")
    captain_says("check", "readiness", "-e", "staging")
    seen = last(shop)
    captain_says("check", "readiness", "-e", "staging")
    assert measured(shop, seen) == []
    (shop.root / "notes.md").write_text("y")
    captain_says("check", "readiness", "-e", "staging")
    assert measured(shop, seen) == ["notes"]


def test_a_sign_off_without_a_time_is_for_the_commit_and_one_with_a_time_outlasts_it(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    for step in ("on-call", "restore"):
        assert captain_says("sign", RUN, step, "--approve").code == 0
    assert captain_says("check", "readiness", "-e", "staging").code == 0
    commit(repo)
    said = captain_says("check", "readiness", "-e", "staging", "--json")
    assert (said.code, states(said.json)["on-call"], states(said.json)["restore"]) == (4, "lapsed", "measured")
    # A commit that is taken back does not bring the sign-off back.
    repo.git("reset", "-q", "--hard", "HEAD~1")
    assert captain_says("check", "readiness", "-e", "staging").code == 4


def test_what_is_called_not_applicable_comes_back_as_a_waiver_would_end(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    captain_says("sign", RUN, "on-call", "--not-applicable", "--note", "nobody sleeps")
    commit(repo)
    said = captain_says("check", "readiness", "-e", "staging", "--json")
    assert states(said.json)["on-call"] == "not-applicable"
    assert shop.recorded("signoff")[-1].data["expires"] is not None


def test_changed_files_are_used_at_once_and_their_steps_measured_anew(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    captain_says("check", "readiness", "-e", "staging")
    shop.write(SERVICE, REVIEW.replace("status == 200", "status >= 200"))
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "looser")
    seen = last(shop)
    captain_says("check", "readiness", "-e", "staging")
    assert measured(shop, seen) == ["healthy", "notes"]
    assert [event.data["changed"] for event in shop.recorded("checklist.changed")] == [["healthy"]]


def test_a_review_takes_no_version(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    for words in (("-r", "1.4.0"), ("--commit", "HEAD")):
        said = captain_says("check", "readiness", "-e", "staging", *words)
        assert (said.code, "per: service" in said.err) == (2, True)
    assert captain_says("run", "readiness", "-e", "staging", "--no-screen", "-r", "1").code == 2


def test_run_opens_the_same_one_and_each_environment_has_its_own(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    assert captain_says("check", "readiness", "-e", "staging").code == 4
    said = captain_says("run", "readiness", "-e", "staging", "--no-screen")
    assert (said.code, said.out.strip()) == (4, RUN)
    assert "captain sign" in said.err
    other = captain_says("run", "readiness", "-e", "production", "--no-screen")
    assert other.out.strip() == "shop-production-readiness"


def test_one_that_was_given_up_is_followed_by_a_new_one(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    captain_says("check", "readiness", "-e", "staging")
    captain_says("sign", RUN, "restore", "--approve")
    assert captain_says("abort", RUN, "--reason", "anew").code == 0
    said = captain_says("check", "readiness", "-e", "staging", "--json")
    assert said.json["run"] == f"{RUN}.2"
    assert measured(shop).count("healthy") == 2
    assert states(said.json)["restore"] == "measured", "what was signed for 90 days carries over"


def test_a_go_is_recorded_and_closes_nothing(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    captain_says("check", "readiness", "-e", "staging")
    assert captain_says("gate", RUN, "people", "--go").code == 4
    for step in ("on-call", "restore"):
        captain_says("sign", RUN, step, "--approve")
    for section in ("people", "infra"):
        assert captain_says("gate", RUN, section, "--go").code == 0
    assert captain_says("status", RUN, "--json").json["state"] == "open"
    assert captain_says("sign", RUN, "on-call", "--reject", "--note", "it is empty").code == 0
    assert captain_says("check", "readiness", "-e", "staging").code == 1


def test_a_release_is_meant_without_a_name_although_a_review_stands(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    (shop.root / "checklists" / "go.yaml").write_text(
        "checklist: go\ntitle: Go\nsections:\n"
        "  - { id: pre, title: Pre, phase: pre, steps: [{ id: told, title: Told, manual: Tell. }] }\n"
    )
    text = (shop.root / "captain.yaml").read_text()
    (shop.root / "captain.yaml").write_text(
        text.replace("[checklists/deploy.yaml]", "[checklists/deploy.yaml, checklists/go.yaml]")
    )
    captain_says("check", "readiness", "-e", "staging")
    repo.git("tag", "v1.4.0")
    captain_says("run", "go", "-e", "staging", "-r", "1.4.0", "--no-screen")
    said = captain_says("sign", "told", "--approve")
    assert (said.code, "shop-staging-1.4.0" in said.err) == (0, True)


def test_the_review_knows_the_version_whose_commit_it_looks_at(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    (shop.root / "checklists" / "go.yaml").write_text(
        "checklist: go\ntitle: Go\nsections:\n"
        "  - { id: pre, title: Pre, phase: pre, steps: [{ id: told, title: Told, manual: Tell. }] }\n"
    )
    commit(repo, "x.md")
    repo.git("tag", "v1.4.0")
    captain_says("run", "checklists/go.yaml", "-e", "staging", "-r", "1.4.0", "--no-screen")
    captain_says("sign", "told", "--approve")
    captain_says("gate", "pre", "--go")
    assert captain_says("check", "readiness", "-e", "staging", "--json").json["release"]["version"] == "1.4.0"
    commit(repo, "y.md")
    assert captain_says("check", "readiness", "-e", "staging", "--json").json["release"]["version"] is None


def test_the_trend_reads_how_it_stood_at_each_check(shop: Shop, repo: Repo, captain_says: Captain) -> None:
    shop.health = 503
    captain_says("check", "readiness", "-e", "staging")
    shop.health = 200
    captain_says("check", "readiness", "-e", "staging")
    entries = [event for event in shop.recorded() if event.run == RUN]
    found = [(event.data["verdict"], run.results["healthy"].verdict.value) for event, run in checks(entries)]
    assert found == [("fail", "fail"), ("unknown", "pass")]
    assert fold(entries) == list(checks(entries))[-1][1]
    assert captain_says("verify").code == 0
    assert json.loads(captain_says("show", RUN, "--json").out)["run"] == RUN


def test_nothing_is_kept_of_a_review_over_a_log_that_is_thrown_away(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    assert captain_says("check", "readiness", "-e", "staging", "--no-record").code == 4
    assert not shop.settings.log.exists()


def test_a_review_that_asks_for_its_own_score_gets_it_in_the_same_check(
    shop: Shop, repo: Repo, captain_says: Captain
) -> None:
    path = shop.root / "checklists" / "deploy.yaml"
    own = "  - id: first\n    title: Sum\n    steps: [{ id: own, title: Own, score: { checklist: readiness } }]\n"
    path.write_text(path.read_text().replace("sections:\n", f"sections:\n{own}", 1))
    commit(repo)
    for step in ("on-call", "restore"):
        captain_says("check", "readiness", "-e", "staging", "--step", step)
        assert captain_says("sign", RUN, step, "--approve").code == 0
    shop.health = 503
    failed = captain_says("check", "readiness", "-e", "staging", "--json")
    assert (failed.code, verdict(failed.json, "own")) == (1, "fail")
    shop.health = 200
    seen = last(shop)
    assert captain_says("check", "readiness", "-e", "staging", "--json").code == 0
    assert [one.data["step"] for one in shop.recorded("step.result") if one.seq > seen] == ["healthy", "own"]
    seen = last(shop)
    captain_says("check", "readiness", "-e", "staging")
    assert measured(shop, seen) == [], "nothing changed"
    captain_says("check", "readiness", "-e", "staging", "--step", "healthy", "--json")
    again = captain_says("check", "readiness", "-e", "staging", "--json")
    assert (again.code, measured(shop, seen)) == (0, ["healthy", "own"]), "what it sums up was seen again"


def verdict(said: object, step: str) -> str:
    assert isinstance(said, dict)
    return next(str(one["verdict"]) for section in said["sections"] for one in section["steps"] if one["id"] == step)
