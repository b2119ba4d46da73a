"""What the ci probe says about a commit, a workflow, a deployment and the rules, and that nothing passes unseen."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes import Context
from captain.probes.ci import CiProbe
from captain.release import Release
from captain.threads import on_daemon
from tests.forge_server import SHA, ForgeServer, recorded
from tests.hostile_server import MANNERS, HostileServer
from tests.judged import verdict

TOKEN = "ghp_secret0123456789abcdef"
NOW = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
COMMIT = f"repos/acme/shop/commits/{SHA}"
Ask = Callable[..., Awaitable[Measurement]]


@dataclass(frozen=True)
class Stopped(SystemClock):
    """The time at which the recorded answers were given."""

    def now(self) -> datetime:
        return NOW


@pytest.fixture
def ask(forge: ForgeServer, tmp_path: Path) -> Ask:
    async def asked(*, within: float = 20, api: str = "", secrets: Mapping[str, str] | None = None, **keys: Any) -> Any:
        context = Context(
            root=tmp_path,
            repo=None,
            timeout=timedelta(seconds=within),
            environ={},
            secrets={"TOKEN": TOKEN} if secrets is None else secrets,
            blocking=on_daemon,
            clock=Stopped(),
            environment="production",
            release=Release("1.4.2", commit=SHA),
        )
        given = {"provider": "github", "repo": "acme/shop", "api": api or forge.url, **keys}
        return await CiProbe.model_validate(given).measure(context)

    return asked


def checks(forge: ForgeServer, *runs: Any, statuses: Any = None) -> None:
    """What has reported on the commit."""
    forge.put(f"{COMMIT}/check-runs", *(runs or [{"total_count": 0, "check_runs": []}]))
    # GitHub's own summary of no status at all is "pending".
    empty = {"state": "pending", "statuses": [], "total_count": 0, "sha": SHA}
    forge.put(f"{COMMIT}/status", empty if statuses is None else statuses)
    forge.put(f"{COMMIT}/check-suites", suites())


def run(number: int, name: str, conclusion: str | None = "success", **more: Any) -> dict[str, Any]:
    """One check run."""
    found = {
        "id": number,
        "name": name,
        "head_sha": SHA,
        "status": "completed" if conclusion else "in_progress",
        "conclusion": conclusion,
        "started_at": f"2026-11-23T00:{number:02}:00Z",
        "html_url": f"https://github.com/acme/shop/runs/{number}",
        "check_suite": {"id": 77},
        "app": {"id": 15368},
    }
    return {**found, **more}


def suites(*found: dict[str, Any]) -> dict[str, Any]:
    return {"total_count": len(found), "check_suites": list(found)}


def suite(number: int, conclusion: str | None, checks: int = 0, **more: Any) -> dict[str, Any]:
    """The check suite of one run of a workflow."""
    found = {
        "id": number,
        "head_sha": SHA,
        "status": "completed" if conclusion else "queued",
        "conclusion": conclusion,
        "latest_check_runs_count": checks,
        "app": {"id": 15368, "slug": "github-actions"},
    }
    return {**found, **more}


def listed(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"total_count": len(runs), "check_runs": list(runs)}


async def refused(asked: Awaitable[Measurement]) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        await asked
    assert TOKEN not in f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    return caught.value


# A commit


async def test_a_green_commit_with_its_required_checks_passes(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, recorded("github_check_runs_green"))
    seen = await ask(required=["test", "mypy", "trivy"])
    assert verdict(CiProbe, seen) is Verdict.PASS
    counted = {name: seen.observed[name] for name in ("total", "success", "neutral", "skipped", "missing_count")}
    assert counted == {"total": 5, "success": 3, "neutral": 1, "skipped": 1, "missing_count": 0}
    assert seen.observed["state"] == "success"
    assert all(head.startswith("GET ") for head in forge.heads)


async def test_a_failed_check_fails_and_is_named(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, recorded("github_check_runs_failed"))
    seen = await ask()
    assert verdict(CiProbe, seen) is Verdict.FAIL
    assert seen.observed["failed"] == ["test"]


async def test_pending_checks_are_told_apart_so_that_a_step_can_wait(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, recorded("github_check_runs_pending"))
    seen = await ask()
    assert (seen.observed["pending"], seen.observed["pending_count"]) == (["test", "trivy"], 2)
    assert verdict(CiProbe, seen) is Verdict.UNKNOWN
    assert verdict(CiProbe, seen, "failed_count == 0") is Verdict.UNKNOWN, "what is not over may still fail"
    assert verdict(CiProbe, seen, "pending_count == 0") is Verdict.FAIL


async def test_f35_no_checks_at_all_is_unknown_although_github_calls_it_pending(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, recorded("github_check_runs_empty"))
    seen = await ask(required=["test"])
    assert verdict(CiProbe, seen) is Verdict.UNKNOWN
    assert seen.observed == {"total": 0, "state": "none"}
    assert any("nothing has reported" in note for note in seen.notes)


async def test_f35_the_combined_state_is_not_read_its_statuses_are(forge: ForgeServer, ask: Ask) -> None:
    def status(context: str, state: str) -> dict[str, str]:
        return {"context": context, "state": state, "target_url": "https://ci.example.com/1"}

    lying = {"state": "success", "total_count": 2, "sha": SHA}
    checks(forge, statuses={**lying, "statuses": [status("ci/build", "success"), status("ci/slow", "pending")]})
    assert (await ask()).observed["pending"] == ["ci/slow"]
    checks(forge, statuses={**lying, "statuses": [status("ci/build", "error"), status("x", "brand-new-word")]})
    assert (await ask()).observed["failed"] == ["ci/build", "x"]


async def test_a_commit_where_everything_was_skipped_is_not_green(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "test", "skipped"), run(2, "docs", "neutral")))
    seen = await ask()
    assert verdict(CiProbe, seen) is Verdict.FAIL
    assert seen.observed["state"] == "none"


@pytest.mark.parametrize(
    "conclusion", ["failure", "timed_out", "cancelled", "action_required", "startup_failure", "stale", "brand_new"]
)
async def test_every_end_that_is_no_success_fails(forge: ForgeServer, ask: Ask, conclusion: str) -> None:
    checks(forge, listed(run(1, "lint"), run(2, "test", conclusion)))
    seen = await ask()
    assert seen.observed["failed"] == ["test"]
    assert verdict(CiProbe, seen) is Verdict.FAIL


async def test_a_required_check_that_never_ran_or_was_skipped_is_missing(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "test"), run(2, "trivy", "skipped")))
    seen = await ask(required=["test", "mypy", "trivy"])
    assert seen.observed["missing"] == ["mypy", "trivy (skipped)"]
    assert verdict(CiProbe, seen) is Verdict.FAIL


async def test_required_checks_may_be_patterns(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "pytest (3.11)"), run(2, "pytest (3.12)")))
    assert (await ask(required=["/^pytest /"])).observed["missing_count"] == 0
    assert (await ask(required=["pytest"])).observed["missing"] == ["pytest"]


async def test_checks_of_another_commit_never_count(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "test", head_sha="b" * 40)))
    assert verdict(CiProbe, await ask()) is Verdict.UNKNOWN


async def test_only_the_latest_attempt_of_a_check_counts(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(2, "test", "success"), run(1, "test", "failure")))
    assert verdict(CiProbe, await ask()) is Verdict.PASS
    checks(forge, listed(run(1, "test", "success"), run(2, "test", "failure")))
    assert verdict(CiProbe, await ask()) is Verdict.FAIL


@pytest.mark.parametrize("started", [None, "2026-11-23T00:00:30Z"])
async def test_a_run_again_that_waits_for_a_runner_is_newer_than_the_success_before(
    forge: ForgeServer, ask: Ask, started: str | None
) -> None:
    waiting = run(2, "test", None, status="queued", started_at=started)
    checks(forge, listed(waiting, run(1, "test")))
    seen = await ask(required=["test"])
    assert seen.observed["pending"] == ["test"]
    assert verdict(CiProbe, seen) is Verdict.UNKNOWN


async def test_the_later_attempt_is_the_one_of_the_higher_number_whatever_it_says_of_its_start(
    forge: ForgeServer, ask: Ask
) -> None:
    checks(forge, listed(run(2, "test", "failure", started_at=None), run(1, "test")))
    assert verdict(CiProbe, await ask()) is Verdict.FAIL


@pytest.mark.parametrize("conclusion", ["startup_failure", "failure", "timed_out", "action_required", "cancelled"])
async def test_a_green_bot_does_not_stand_for_a_workflow_that_never_began(
    forge: ForgeServer, ask: Ask, conclusion: str
) -> None:
    checks(forge, listed(run(1, "Preview Comments")))
    forge.put(f"{COMMIT}/check-suites", suites(suite(5, conclusion)))
    seen = await ask()
    assert seen.observed["failed"] == ["check suite 5 (without jobs)"]
    assert verdict(CiProbe, seen) is Verdict.FAIL
    made = {"id": 900, "check_suite_id": 5, "workflow_id": 3, "event": "push", "name": ".github/workflows/ci.yml"}
    forge.put("repos/acme/shop/actions/runs", {"total_count": 1, "workflow_runs": [made]})
    assert (await ask()).observed["failed"] == [".github/workflows/ci.yml (without jobs)"]
    again = {**made, "id": 901, "check_suite_id": 6}
    forge.put("repos/acme/shop/actions/runs", {"total_count": 2, "workflow_runs": [made, again]})
    assert verdict(CiProbe, await ask()) is Verdict.PASS, "the same workflow was started again"
    forge.put("repos/acme/shop/actions/runs", {"total_count": 2, "workflow_runs": [{**made, "id": 902}, again]})
    assert verdict(CiProbe, await ask()) is Verdict.FAIL, "the other one is older"


async def test_a_workflow_that_has_made_no_job_yet_is_waited_for(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "Preview Comments")))
    forge.put(f"{COMMIT}/check-suites", suites(suite(5, None)))
    assert (await ask()).observed["pending_count"] == 1


async def test_suites_that_had_nothing_to_do_or_belong_to_others_change_nothing(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "test")))
    others = [
        suite(5, None, app={"id": 9, "slug": "dependabot"}),
        suite(6, "failure", app={"id": 9, "slug": "dependabot"}),
        suite(7, "skipped"),
        suite(8, "startup_failure", checks=1),
        suite(9, "failure", head_sha="b" * 40),
    ]
    forge.put(f"{COMMIT}/check-suites", suites(*others))
    seen = await ask()
    assert (seen.observed["total"], verdict(CiProbe, seen)) == (1, Verdict.PASS)


async def test_suites_that_cannot_be_seen_are_not_taken_for_green(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "test")))
    forge.refuse(f"{COMMIT}/check-suites", "403 Forbidden")
    assert "403" in (await refused(ask())).message


async def test_two_apps_with_a_check_of_one_name_both_count(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "test", "failure"), run(2, "test", app={"id": 9})))
    assert (await ask()).observed["failed"] == ["test"]


async def test_two_workflows_with_a_job_of_one_name_do_not_hide_each_other(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, listed(run(1, "test", "failure", check_suite={"id": 1}), run(2, "test", check_suite={"id": 2})))
    suites = [{"check_suite_id": 1, "workflow_id": 5, "event": "push"}]
    other = {"check_suite_id": 2, "workflow_id": 6, "event": "push"}
    forge.put("repos/acme/shop/actions/runs", {"total_count": 2, "workflow_runs": [*suites, other]})
    assert verdict(CiProbe, await ask()) is Verdict.FAIL
    again = {**other, "workflow_id": 5}
    forge.put("repos/acme/shop/actions/runs", {"total_count": 2, "workflow_runs": [*suites, again]})
    assert verdict(CiProbe, await ask()) is Verdict.PASS, "the same workflow ran again"
    forge.refuse("repos/acme/shop/actions/runs", "403 Forbidden")
    assert verdict(CiProbe, await ask()) is Verdict.FAIL, "whether they belong together cannot be seen"


async def test_the_failure_on_the_second_page_is_found(forge: ForgeServer, ask: Ask) -> None:
    first = {"total_count": 2, "check_runs": [run(1, "lint")]}
    second = {"total_count": 2, "check_runs": [run(2, "test", "failure")]}
    checks(forge, first, second)
    assert (await ask()).observed["failed"] == ["test"]


async def test_fewer_checks_than_announced_are_unknown(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, {"total_count": 2, "check_runs": [run(1, "lint")]})
    assert "says there are 2 and gives 1" in (await refused(ask())).message


async def test_more_checks_than_captain_reads_are_unknown(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, {"total_count": 5000, "check_runs": [run(1, "lint")]})
    assert "more than the 1000" in (await refused(ask())).message


async def test_pages_that_never_end_are_unknown(forge: ForgeServer, ask: Ask) -> None:
    forge.endless = True
    checks(forge, {"check_runs": []})
    assert "more than 20 pages" in (await refused(ask())).message


async def test_the_token_follows_no_page_to_another_server(forge: ForgeServer, ask: Ask) -> None:
    forge.headers.append('Link: <http://127.0.0.1:9/steal?page=2>; rel="next"')
    checks(forge, recorded("github_check_runs_green"))
    assert "another server" in (await refused(ask(token_env="TOKEN"))).message


async def test_a_short_commit_is_looked_up_and_must_be_that_commit(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, recorded("github_check_runs_green"))
    forge.put("repos/acme/shop/commits/4f1c0b7", {"sha": SHA})
    assert verdict(CiProbe, await ask(commit="4f1c0b7")) is Verdict.PASS
    forge.put("repos/acme/shop/commits/4f1c0b7", {"sha": "b" * 40})
    assert "is no commit there" in (await refused(ask(commit="4f1c0b7"))).message


async def test_without_a_commit_nothing_is_asked(tmp_path: Path, forge: ForgeServer) -> None:
    around = {"timeout": timedelta(seconds=5), "environ": {}, "secrets": {}, "blocking": on_daemon, "clock": Stopped()}
    context = Context(root=tmp_path, repo=None, **around)  # type: ignore[arg-type]  # a mapping of several types
    probe = CiProbe.model_validate({"provider": "github", "repo": "acme/shop", "api": forge.url})
    assert "no commit" in (await refused(probe.measure(context))).message
    assert forge.asked == []


# Required checks from the rules


def rules(forge: ForgeServer, *found: Any, protected: bool = False, **branch: Any) -> None:
    forge.put("repos/acme/shop/rules/branches/main", list(found))
    forge.put("repos/acme/shop/branches/main", {"name": "main", "protected": protected, **branch})


async def test_required_auto_takes_names_and_apps_from_the_rules(forge: ForgeServer, ask: Ask) -> None:
    rules(forge, *recorded("github_rules_branch"))
    checks(forge, recorded("github_check_runs_green"))
    seen = await ask(required="auto")
    assert seen.observed["required_found"] == ["test", "mypy", "trivy"]
    assert verdict(CiProbe, seen) is Verdict.PASS
    # `test` must come from GitHub Actions; somebody else's check of that name does not do.
    checks(forge, listed(run(1, "test", app={"id": 1}), run(2, "mypy"), run(3, "trivy")))
    assert (await ask(required="auto")).observed["missing"] == ["test"]


async def test_required_auto_knows_the_older_branch_protection(forge: ForgeServer, ask: Ask) -> None:
    classic = {"required_status_checks": {"contexts": ["build", "e2e"], "checks": [{"context": "build", "app_id": 9}]}}
    rules(forge, protected=True, protection=classic)
    checks(forge, recorded("github_check_runs_green"))
    assert (await ask(required="auto")).observed["missing"] == ["build", "e2e"]


async def test_protection_that_cannot_be_seen_leaves_missing_unknown(forge: ForgeServer, ask: Ask) -> None:
    rules(forge, protected=True)
    checks(forge, recorded("github_check_runs_green"))
    seen = await ask(required="auto")
    assert "missing" not in seen.observed
    assert verdict(CiProbe, seen) is Verdict.UNKNOWN
    assert "cannot be seen" in (await refused(ask(mode="rules"))).message


async def test_mode_rules_says_whether_the_checks_are_enforced(forge: ForgeServer, ask: Ask) -> None:
    rules(forge, *recorded("github_rules_branch"))
    assert verdict(CiProbe, await ask(mode="rules", required=["test"])) is Verdict.PASS
    missing = await ask(mode="rules", required=["e2e"])
    assert missing.observed["missing"] == ["e2e"]
    assert verdict(CiProbe, missing) is Verdict.FAIL
    rules(forge)
    assert verdict(CiProbe, await ask(mode="rules")) is Verdict.UNKNOWN
    assert verdict(CiProbe, await ask(mode="rules", required=["test"])) is Verdict.FAIL


# A workflow

UPTIME = "repos/acme/shop/actions/workflows/uptime.yml"
FRESH = ('workflow_state == "active"', 'last_conclusion == "success"', 'newest_age <= duration("30m")')


async def test_a_scheduled_workflow_that_ran_lately_is_seen(forge: ForgeServer, ask: Ask) -> None:
    forge.put(UPTIME, recorded("github_workflow_active"))
    forge.put(f"{UPTIME}/runs", recorded("github_workflow_runs_fresh"))
    seen = await ask(mode="workflow", workflow="uptime.yml", event="schedule")
    assert verdict(CiProbe, seen, *FRESH) is Verdict.PASS
    assert seen.observed["failure_ratio"] == pytest.approx(1 / 3)
    assert seen.observed["newest_age"] == timedelta(minutes=4, seconds=49)
    assert verdict(CiProbe, seen) is Verdict.FAIL, "one of the last runs failed"


async def test_a_workflow_that_stopped_running_is_as_old_as_its_last_run(forge: ForgeServer, ask: Ask) -> None:
    forge.put(UPTIME, recorded("github_workflow_active"))
    forge.put(f"{UPTIME}/runs", recorded("github_workflow_runs_stale"))
    seen = await ask(mode="workflow", workflow="uptime.yml")
    assert seen.observed["newest_age"] == timedelta(seconds=5524200)
    assert verdict(CiProbe, seen, *FRESH) is Verdict.FAIL


async def test_a_slow_clock_of_captain_makes_no_run_younger(forge: ForgeServer, ask: Ask) -> None:
    forge.put(f"{UPTIME}/runs", recorded("github_workflow_runs_fresh"))
    forge.put(UPTIME, recorded("github_workflow_active"))
    forge.headers.append("Date: Mon, 23 Nov 2026 03:30:00 GMT")
    seen = await ask(mode="workflow", workflow="uptime.yml")
    assert seen.observed["newest_age"] == timedelta(hours=2, minutes=4, seconds=49)


async def test_f35_a_workflow_disabled_for_inactivity_fails_whatever_its_runs_said(
    forge: ForgeServer, ask: Ask
) -> None:
    forge.put(UPTIME, recorded("github_workflow_disabled_inactivity"))
    for runs in (recorded("github_workflow_runs_stale"), {"total_count": 0, "workflow_runs": []}):
        forge.put(f"{UPTIME}/runs", runs)
        seen = await ask(mode="workflow", workflow="uptime.yml")
        assert seen.observed["workflow_state"] == "disabled_inactivity"
        assert verdict(CiProbe, seen) is Verdict.FAIL


async def test_runs_that_a_filter_did_not_mean_do_not_count(forge: ForgeServer, ask: Ask) -> None:
    forge.put(UPTIME, recorded("github_workflow_active"))
    forge.put(f"{UPTIME}/runs", recorded("github_workflow_runs_fresh"))
    for keys in ({"event": "push"}, {"branch": "release"}, {"commit": "b" * 40}):
        seen = await ask(mode="workflow", workflow="uptime.yml", **keys)
        assert (seen.observed["total"], verdict(CiProbe, seen)) == (0, Verdict.UNKNOWN), keys


# A deployment and its environment

DEPLOYMENTS = "repos/acme/shop/deployments"


async def test_the_newest_deployment_must_be_of_the_release_and_over(forge: ForgeServer, ask: Ask) -> None:
    forge.put(DEPLOYMENTS, recorded("github_deployments"))
    forge.put(f"{DEPLOYMENTS}/3001/statuses", recorded("github_deployment_statuses"))
    seen = await ask(mode="deployments")
    assert verdict(CiProbe, seen) is Verdict.PASS
    assert (seen.observed["deployment_state"], seen.observed["deployment_sha"]) == ("success", SHA)
    other = await ask(mode="deployments", commit="b" * 40)
    assert other.observed["missing"] == ["b" * 40]
    assert verdict(CiProbe, other) is Verdict.FAIL


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([{"state": "in_progress"}], ("pending_count", 1)),
        ([{"state": "inactive"}], ("failed_count", 1)),
        ([{"state": "error"}], ("failed_count", 1)),
        ([], ("pending_count", 1)),
    ],
)
async def test_a_deployment_that_is_not_a_success_is_none(
    forge: ForgeServer, ask: Ask, statuses: list[Any], expected: tuple[str, int]
) -> None:
    forge.put(DEPLOYMENTS, recorded("github_deployments"))
    forge.put(f"{DEPLOYMENTS}/3001/statuses", statuses)
    seen = await ask(mode="deployments")
    assert seen.observed[expected[0]] == expected[1]
    assert verdict(CiProbe, seen) is (Verdict.FAIL if expected[0] == "failed_count" else Verdict.UNKNOWN)


async def test_no_deployment_there_is_unknown(forge: ForgeServer, ask: Ask) -> None:
    forge.put(DEPLOYMENTS, [])
    for _ in range(2):
        assert verdict(CiProbe, await ask(mode="deployments", environment="staging")) is Verdict.UNKNOWN
        forge.put(DEPLOYMENTS, recorded("github_deployments"))  # of production


async def test_the_rules_before_an_environment_are_named(forge: ForgeServer, ask: Ask) -> None:
    rules = [{"type": "required_reviewers", "reviewers": []}, {"type": "branch_policy"}]
    forge.put("repos/acme/shop/environments/production", {"name": "production", "protection_rules": rules})
    seen = await ask(mode="environment")
    assert seen.observed["protection"] == ["required_reviewers", "branch_policy"]
    assert verdict(CiProbe, seen) is Verdict.PASS
    forge.put("repos/acme/shop/environments/production", {"name": "production", "protection_rules": []})
    open_to_all = await ask(mode="environment")
    assert verdict(CiProbe, open_to_all) is Verdict.UNKNOWN
    assert verdict(CiProbe, open_to_all, "total > 0") is Verdict.FAIL


# Merged changes


def pull(number: int, sha: str = SHA, **more: Any) -> dict[str, Any]:
    merged = {"merged_at": f"2026-11-{number:02}T10:00:00Z", "base": {"ref": "main"}, "head": {"sha": sha}}
    return {"number": number, "html_url": f"https://github.com/acme/shop/pull/{number}", **merged, **more}


async def test_merged_changes_whose_checks_were_red_or_absent_are_named(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, recorded("github_check_runs_green"))
    red, bare = "b" * 40, "c" * 40
    for sha, runs in ((red, [run(1, "test", "failure", head_sha=red)]), (bare, [])):
        forge.put(f"repos/acme/shop/commits/{sha}/check-runs", listed(*runs))
        forge.put(f"repos/acme/shop/commits/{sha}/status", {"statuses": [], "total_count": 0})
        forge.put(f"repos/acme/shop/commits/{sha}/check-suites", suites())
    closed = pull(12, merged_at=None)
    forge.put("repos/acme/shop/pulls", [pull(9), pull(10, red), pull(11, bare), closed])
    seen = await ask(mode="pr_checks", required=["test"])
    assert seen.observed["pr_ratio"] == pytest.approx(1 / 3)
    assert seen.observed["failed"] == ["#10"]
    assert seen.observed["missing"] == ["#11 test"]
    assert verdict(CiProbe, seen) is Verdict.FAIL
    forge.put("repos/acme/shop/pulls", [pull(9)])
    assert verdict(CiProbe, await ask(mode="pr_checks", required=["test"]), "pr_ratio == 1.0") is Verdict.PASS
    checks(forge, listed(run(1, "docs", "skipped")))
    assert (await ask(mode="pr_checks")).observed["missing"] == ["#9 has no check that ran"]
    forge.put("repos/acme/shop/pulls", [closed])
    assert verdict(CiProbe, await ask(mode="pr_checks")) is Verdict.UNKNOWN


async def test_only_a_bots_comment_counts_as_a_summary(forge: ForgeServer, ask: Ask) -> None:
    forge.put("repos/acme/shop/pulls", [pull(9), pull(8)])
    forge.put("repos/acme/shop/issues/9/comments", recorded("github_pr_comments"))
    forge.put("repos/acme/shop/issues/8/comments", [{"user": {"type": "User"}, "body": "trivy is fine"}])
    seen = await ask(mode="pr_comments", marker="trivy|vulnerab|security")
    assert (seen.observed["pr_ratio"], seen.observed["missing"]) == (0.5, ["#8"])


async def test_a_marker_cannot_run_away_on_a_hostile_comment(forge: ForgeServer, ask: Ask) -> None:
    with pytest.raises(ValidationError, match="repeats a group"):
        await ask(mode="pr_comments", marker="(a+)+$")
    with pytest.raises(ValidationError, match="more than 1 repeats"):
        await ask(mode="pr_comments", marker="a*a*b")
    forge.put("repos/acme/shop/pulls", [pull(9)])
    body = {"user": {"type": "Bot"}, "body": "a" * 65000}
    forge.put("repos/acme/shop/issues/9/comments", [body] * 20)
    began = time.monotonic()
    await ask(mode="pr_comments", marker="a*b")
    assert time.monotonic() - began < 3


# What cannot be asked


@pytest.mark.parametrize(
    ("status", "headers", "body", "said", "hint"),
    [
        (
            "401 Unauthorized",
            (),
            {"message": f"Bad credentials {TOKEN}"},
            "401 Bad credentials ***",
            "wrong or expired",
        ),
        ("403 Forbidden", (), {"message": "Resource not accessible"}, "403 Resource not accessible", "read access"),
        ("404 Not Found", (), recorded("github_not_found_404"), "404 Not Found", "may not see it"),
        ("422 Unprocessable Entity", (), {"message": "No commit found for SHA"}, "422 No commit found", None),
        ("301 Moved Permanently", ("Location: /repositories/1",), {"message": "Moved"}, "301 Moved", "renamed"),
        ("502 Bad Gateway", (), b"<html>", "502", "ask again later"),
        (
            "403 Forbidden",
            ("x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795400400", "Date: Mon, 23 Nov 2026 01:30:00 GMT"),
            recorded("github_rate_limited_403"),
            "the rate limit is used up until 2026-11-23 02:20 UTC, 50 min from now (403)",
            "wait",
        ),
        ("429 Too Many Requests", ("Retry-After: 120",), {}, "used up until", "wait"),
        ("403 Forbidden", (), {"message": "You have exceeded a secondary rate limit"}, "rate limit is used up", "wait"),
    ],
)
async def test_what_the_forge_refuses_is_unknown_with_what_to_do(
    forge: ForgeServer, ask: Ask, status: str, headers: tuple[str, ...], body: Any, said: str, hint: str | None
) -> None:
    forge.refuse("repos/*", status, *headers, body=body)
    error = await refused(ask(token_env="TOKEN"))
    assert said in error.message
    assert error.fault == ("unclear" if status.startswith("5") else "instrument")
    assert hint is None or hint in (error.hint or "")


async def test_a_refusal_of_one_part_is_not_green(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, recorded("github_check_runs_green"))
    forge.refuse(f"{COMMIT}/status", "403 Forbidden")
    assert "403" in (await refused(ask())).message


async def test_a_private_repository_without_a_token_says_to_name_one(ask: Ask) -> None:
    assert "`token_env`" in ((await refused(ask())).hint or "")


async def test_a_forge_that_is_down_is_the_instrument_and_not_the_product(ask: Ask) -> None:
    error = await refused(ask(api="http://127.0.0.1:9"))
    assert error.fault == "unclear"
    assert "connection refused" in error.message
    assert CiProbe.on_error == "unknown"


async def test_the_token_is_sent_and_shown_nowhere(forge: ForgeServer, ask: Ask) -> None:
    checks(forge, recorded("github_check_runs_green"))
    forge.headers.append("X-RateLimit-Remaining: 4987")
    seen = await ask(token_env="TOKEN")
    assert all(f"Bearer {TOKEN}" in head for head in forge.heads)
    assert TOKEN not in repr(seen)
    assert seen.observed["rate_remaining"] == 4987
    assert any("without TLS" in note for note in seen.notes)
    assert "is not set" in (await refused(ask(token_env="OTHER"))).message
    for broken in (f"{TOKEN}\nX-Evil: 1", "", "  "):
        assert "is no token" in (await refused(ask(token_env="TOKEN", secrets={"TOKEN": broken}))).message


@pytest.mark.parametrize(
    "body", [b"<html>sign in</html>", b"[]", b'{"check_runs": 3}', b'{"check_runs": [1]}', b'{"a": NaN}', b"[" * 99999]
)
async def test_an_answer_that_is_no_such_answer_is_unknown(forge: ForgeServer, ask: Ask, body: bytes) -> None:
    checks(forge, body)
    assert (await refused(ask())).fault != "subject"


@pytest.mark.parametrize("manner", MANNERS)
async def test_no_manner_of_a_server_holds_it_up(hostile_server: HostileServer, ask: Ask, manner: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    port = hostile_server.port(manner, after=head)
    tracemalloc.start()
    began = time.monotonic()
    error = await refused(ask(api=f"http://127.0.0.1:{port}", within=1))
    assert time.monotonic() - began < 1.5
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 1024 * 1024
    assert error.fault in ("unclear", "instrument")
    for _ in range(50):  # what was cancelled may need a few turns of the loop to end
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if left:
            await asyncio.sleep(0.01)
    assert left == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"repo": "shop"}, "owner/name"),
        ({"repo": "../.."}, "is no repository"),
        ({"repo": "acme/shop/x"}, "owner/name"),
        ({"commit": "main"}, "is no commit"),
        ({"required": "all"}, "or auto"),
        ({"mode": "pr_comments"}, "needs marker"),
        ({"api": "https://ann:pw@example.com"}, "holds a user or password"),
        ({"last": "51"}, "less than or equal to 50"),
    ],
)
def test_what_cannot_be_meant_is_a_lint_error(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CiProbe.model_validate({"provider": "github", "repo": "acme/shop", **keys})
