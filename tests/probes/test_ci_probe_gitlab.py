"""What the ci probe says about pipelines, schedules, deployments and merge requests of GitLab."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes import Context
from captain.probes.ci import CiProbe
from captain.release import Release
from captain.threads import on_daemon
from tests.forge_server import SHA, ForgeServer, recorded
from tests.judged import verdict

PROJECT = "projects/acme/tools/shop"
TOKEN = "glpat-secret0123456789"
Ask = Callable[..., Awaitable[Measurement]]


@pytest.fixture
def ask(forge: ForgeServer, tmp_path: Path) -> Ask:
    async def asked(**keys: Any) -> Measurement:
        context = Context(
            root=tmp_path,
            repo=None,
            timeout=timedelta(seconds=20),
            environ={},
            secrets={"TOKEN": TOKEN},
            blocking=on_daemon,
            clock=SystemClock(),
            environment="production",
            release=Release("1.4.2", commit=SHA),
        )
        given = {"provider": "gitlab", "repo": "acme/tools/shop", "api": forge.url, "token_env": "TOKEN", **keys}
        return await CiProbe.model_validate(given).measure(context)

    return asked


def pipeline(number: int, status: str = "success", **more: Any) -> dict[str, Any]:
    found = {"id": number, "sha": SHA, "ref": "main", "source": "push", "status": status}
    return {**found, "web_url": f"https://gitlab.example/p/{number}", **more}


def job(name: str, status: str = "success", *, allowed: bool = False) -> dict[str, Any]:
    return {"name": name, "status": status, "allow_failure": allowed, "web_url": ""}


def jobs(forge: ForgeServer, number: int, *found: Any, bridges: Any = ()) -> None:
    forge.put(f"{PROJECT}/pipelines/{number}/jobs", list(found))
    forge.put(f"{PROJECT}/pipelines/{number}/bridges", list(bridges))


async def test_a_green_pipeline_passes_and_a_job_that_may_fail_is_told_apart(forge: ForgeServer, ask: Ask) -> None:
    forge.put(f"{PROJECT}/pipelines", recorded("gitlab_pipelines_by_sha"))
    jobs(forge, 812, *recorded("gitlab_pipeline_jobs"))
    seen = await ask(required=["test"])
    assert verdict(CiProbe, seen) is Verdict.PASS
    assert seen.observed["failed_allowed"] == ["sast"]
    assert verdict(CiProbe, seen, "failed_allowed_count == 0") is Verdict.FAIL
    assert (await ask(required=["sast"])).observed["missing"] == ["sast (failed, which it may)"]
    assert TOKEN not in repr(seen)
    assert all(head.startswith("GET ") and f"Bearer {TOKEN}" in head for head in forge.heads)


@pytest.mark.parametrize(("status", "counted"), [("failed", "failed"), ("canceled", "failed"), ("running", "pending")])
async def test_jobs_that_are_no_success_are_named(forge: ForgeServer, ask: Ask, status: str, counted: str) -> None:
    forge.put(f"{PROJECT}/pipelines", [pipeline(1, status)])
    jobs(forge, 1, job("test", status), job("lint"))
    seen = await ask()
    assert seen.observed[counted] == ["test"]
    assert verdict(CiProbe, seen) is (Verdict.FAIL if counted == "failed" else Verdict.UNKNOWN)


async def test_a_pipeline_that_failed_without_a_job_fails(forge: ForgeServer, ask: Ask) -> None:
    forge.put(f"{PROJECT}/pipelines", [pipeline(1, "failed")])
    jobs(forge, 1)
    assert (await ask()).observed["failed"] == ["pipeline 1"]


async def test_a_blocking_manual_job_is_pending_an_optional_one_is_skipped(forge: ForgeServer, ask: Ask) -> None:
    forge.put(f"{PROJECT}/pipelines", [pipeline(1, "manual")])
    jobs(forge, 1, job("test"), job("approve", "manual"))
    assert (await ask()).observed["pending"] == ["approve"]
    forge.put(f"{PROJECT}/pipelines", [pipeline(1)])
    jobs(forge, 1, job("test"), job("cleanup", "manual", allowed=True))
    assert verdict(CiProbe, await ask()) is Verdict.PASS


async def test_a_pipeline_that_another_one_starts_counts(forge: ForgeServer, ask: Ask) -> None:
    below = {"id": 9, "status": "failed", "web_url": ""}
    forge.put(f"{PROJECT}/pipelines", [pipeline(1)])
    jobs(forge, 1, job("test"), bridges=[{**job("child"), "downstream_pipeline": below}])
    assert (await ask()).observed["failed"] == ["child (pipeline 9)"]


async def test_the_newest_pipeline_of_each_branch_and_source_counts(forge: ForgeServer, ask: Ask) -> None:
    merge = pipeline(2, "failed", source="merge_request_event")
    forge.put(f"{PROJECT}/pipelines", [pipeline(3), merge, pipeline(1, "failed")])
    jobs(forge, 3, job("test"))
    jobs(forge, 2, job("e2e", "failed"))
    assert (await ask()).observed["failed"] == ["e2e"]


async def test_pipelines_of_another_commit_and_none_at_all_are_unknown(forge: ForgeServer, ask: Ask) -> None:
    for found in ([], [pipeline(1, sha="b" * 40)]):
        forge.put(f"{PROJECT}/pipelines", found)
        assert verdict(CiProbe, await ask()) is Verdict.UNKNOWN


async def test_the_failed_job_on_the_second_page_is_found(forge: ForgeServer, ask: Ask) -> None:
    forge.put(f"{PROJECT}/pipelines", [pipeline(1, "failed")])
    forge.put(f"{PROJECT}/pipelines/1/jobs", [job("lint")], [job("test", "failed")])
    forge.put(f"{PROJECT}/pipelines/1/bridges", [])
    assert (await ask()).observed["failed"] == ["test"]


async def test_a_schedule_is_a_workflow(forge: ForgeServer, ask: Ask) -> None:
    now = datetime.now(UTC).isoformat()
    forge.put(f"{PROJECT}/pipeline_schedules", [{"id": 4, "description": "nightly", "active": True}])
    path = f"{PROJECT}/pipeline_schedules/4/pipelines"
    forge.put(path, [pipeline(1, "failed", created_at="2026-01-01T00:00:00Z"), pipeline(2, created_at=now)])
    seen = await ask(mode="workflow", workflow="nightly")
    fresh = ('workflow_state == "active"', 'last_conclusion == "success"', 'newest_age < duration("1h")')
    assert verdict(CiProbe, seen, *fresh) is Verdict.PASS
    forge.put(f"{PROJECT}/pipeline_schedules", [{"id": 4, "description": "nightly", "active": False}])
    stopped = await ask(mode="workflow", workflow="4")
    assert stopped.observed["missing"] == ["4: disabled"]
    with pytest.raises(ProbeError, match="no pipeline schedules are called weekly"):
        await ask(mode="workflow", workflow="weekly")


async def test_the_newest_deployment_and_the_rules_before_it(forge: ForgeServer, ask: Ask) -> None:
    newest = {"id": 1, "sha": SHA, "status": "success", "created_at": "2026-11-23T01:20:00Z"}
    forge.put(f"{PROJECT}/deployments", [{**newest, "environment": {"name": "production"}}])
    assert verdict(CiProbe, await ask(mode="deployments")) is Verdict.PASS
    forge.put(f"{PROJECT}/deployments", [{**newest, "environment": {"name": "staging"}}])
    assert verdict(CiProbe, await ask(mode="deployments")) is Verdict.UNKNOWN
    forge.put(f"{PROJECT}/environments", [{"id": 1, "name": "production"}])
    assert (await ask(mode="environment")).observed["protection"] == []
    forge.put(f"{PROJECT}/protected_environments/production", {"deploy_access_levels": [{}], "approval_rules": [{}]})
    assert (await ask(mode="environment")).observed["protection"] == ["deploy_access", "approval"]
    forge.refuse(f"{PROJECT}/protected_environments/production", "403 Forbidden")
    with pytest.raises(ProbeError, match="403"):
        await ask(mode="environment")


async def test_what_a_merge_needs_and_how_the_last_ones_were(forge: ForgeServer, ask: Ask) -> None:
    forge.put(PROJECT, {"id": 7, "only_allow_merge_if_pipeline_succeeds": True})
    assert (await ask(mode="rules")).observed["required_found"] == ["pipeline"]
    forge.put(PROJECT, {"id": 7, "only_allow_merge_if_pipeline_succeeds": False})
    assert verdict(CiProbe, await ask(mode="rules"), "total > 0") is Verdict.FAIL
    forge.put(f"{PROJECT}/pipelines", [pipeline(1)])
    jobs(forge, 1, job("test"))
    merged = {"iid": 5, "sha": SHA, "state": "merged", "target_branch": "main", "merged_at": "2026-11-20T00:00:00Z"}
    forge.put(f"{PROJECT}/merge_requests", [merged, {**merged, "iid": 6, "target_branch": "next"}])
    assert verdict(CiProbe, await ask(mode="pr_checks", required=["test"]), "pr_ratio == 1.0") is Verdict.PASS
    notes = [{"author": {"username": "project_7_bot_ab12"}, "body": "Trivy: 0 critical"}]
    forge.put(f"{PROJECT}/merge_requests/5/notes", notes)
    assert (await ask(mode="pr_comments", marker="trivy")).observed["pr_ratio"] == 1.0
    forge.put(f"{PROJECT}/merge_requests/5/notes", [{"author": {"username": "abbot"}, "body": "trivy"}])
    assert (await ask(mode="pr_comments", marker="trivy")).observed["pr_ratio"] == 0.0


async def test_a_used_up_rate_limit_says_until_when(forge: ForgeServer, ask: Ask) -> None:
    limits = ("RateLimit-Remaining: 0", "RateLimit-Reset: 1795400400", "Date: Mon, 23 Nov 2026 01:30:00 GMT")
    forge.refuse("projects/*", "429 Too Many Requests", *limits)
    with pytest.raises(ProbeError, match="used up until 2026-11-23 02:20 UTC, 50 min from now"):
        await ask()
