"""How to ask GitLab's REST API, gitlab.com's or one's own. Knows no step and no verdict.

Documented shapes of API v4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.ci.forge import Change, Check, Comment, Deployment, Filter, Outcome, Required, Run
from captain.systems.ci.rest import Refused, Rest, child, moment, text, together

API = "https://gitlab.com/api/v4"
HEADERS: Mapping[str, str] = {}
NEEDS = "the token needs the scope read_api, and the role that the page needs (Maintainer for protected environments)"
_PIPELINES = 10
"""Pipelines of one commit, one per branch or tag and source, whose jobs are read."""

_STATES: dict[str, Outcome] = {
    "success": "success",
    "skipped": "skipped",
    "created": "pending",
    "waiting_for_resource": "pending",
    "preparing": "pending",
    "waiting_for_callback": "pending",
    "pending": "pending",
    "running": "pending",
    "scheduled": "pending",
    "manual": "pending",
    "blocked": "pending",
}
_BOT = re.compile(r"(project|group)_\d+_bot(_[0-9a-z]+)?|GitLabDuo|ghost1?-bot|support-bot|alert-bot")


def ended(job: Mapping[str, Any]) -> Outcome:
    """How a job, bridge or pipeline ended. A word that captain does not know is no success."""
    outcome = _STATES.get(text(job.get("status")), "failed")
    if job.get("allow_failure") is True and outcome == "failed":
        return "allowed"
    # A manual job that is optional waits for nobody.
    if job.get("allow_failure") is True and job.get("status") == "manual":
        return "skipped"
    return outcome


@dataclass(frozen=True, slots=True)
class GitLab:
    """One project."""

    api: Rest
    repo: str
    """`group/sub/project`, or its number."""

    def _path(self, rest: str = "") -> str:
        return f"projects/{quote(self.repo, safe='')}" + (f"/{rest}" if rest else "")

    async def full_sha(self, commit: str) -> str:
        if len(commit) >= 40:
            return commit.lower()
        sha = text(child(await self.api.get(self._path(f"repository/commits/{quote(commit, safe='')}")), "id"))
        if not sha.startswith(commit.lower()):
            raise ProbeError(f"GitLab {self.repo}: {safe(commit, 80)} is no commit there", hint="check `commit`")
        return sha

    async def checks(self, sha: str) -> list[Check]:
        items = await self.api.pages(self._path("pipelines"), sha=sha, order_by="id", sort="desc")
        newest: dict[tuple[str, str], dict[str, Any]] = {}
        for item in items:
            if item.get("sha") == sha and isinstance(item.get("id"), int):
                newest.setdefault((text(item.get("ref")), text(item.get("source"))), item)
        if len(newest) > _PIPELINES:
            raise ProbeError(f"GitLab {self.repo}: more than {_PIPELINES} branches and sources ran {sha[:7]}")
        found = await together(self._jobs(pipeline) for pipeline in newest.values())
        return [check for checks in found for check in checks]

    async def _jobs(self, pipeline: dict[str, Any]) -> list[Check]:
        """Its jobs, the pipelines it starts, and itself where they do not say how it ended."""
        path = self._path(f"pipelines/{pipeline['id']}")
        jobs, bridges = await together([self.api.pages(f"{path}/jobs"), self.api.pages(f"{path}/bridges")])
        found = [
            Check(text(job.get("name")), ended(job), text(job.get("status")), text(job.get("web_url")))
            for job in [*jobs, *bridges]
        ]
        for bridge in bridges:
            below = child(bridge, "downstream_pipeline")
            if isinstance(below, dict) and ended(bridge) == "success":
                name = f"{text(bridge.get('name'))} (pipeline {below.get('id')})"
                found.append(Check(name, ended(below), text(below.get("status")), text(below.get("web_url"))))
        own = ended(pipeline)
        if own not in ("success", "skipped") and own not in {check.outcome for check in found}:
            # It could not be started, or something that is no job reports into it.
            name = f"pipeline {pipeline['id']}"
            found.append(Check(name, own, text(pipeline.get("status")), text(pipeline.get("web_url"))))
        return found

    async def required(self, branch: str) -> list[Required] | None:
        """GitLab requires the pipeline as a whole, or nothing."""
        project = await self.api.get(self._path())
        wanted = child(project, "only_allow_merge_if_pipeline_succeeds")
        if not isinstance(wanted, bool):
            return None
        return [Required("pipeline", lambda _name: True)] if wanted else []

    async def runs(self, which: Filter) -> tuple[str | None, list[Run]]:
        path, state = self._path("pipelines"), None
        query: dict[str, object] = {"source": which.event, "ref": which.branch, "sha": which.sha, "order_by": "id"}
        if which.workflow is not None:
            schedule = await self._schedule(which.workflow)
            state = "active" if schedule.get("active") is True else "disabled"
            path, query = self._path(f"pipeline_schedules/{schedule['id']}/pipelines"), {}
        items = await self.api.newest(path, which.last, None, sort="desc", **query)
        wanted = {"source": which.event, "ref": which.branch, "sha": which.sha}
        found = []
        for item in sorted(items, key=_number, reverse=True):
            if any(value is not None and item.get(key) != value for key, value in wanted.items()):
                continue
            said = text(item.get("status"))
            found.append(Run(ended(item), said, moment(item.get("created_at")), text(item.get("web_url"))))
        return state, found

    async def _schedule(self, name: str) -> dict[str, Any]:
        found = [
            one
            for one in await self.api.pages(self._path("pipeline_schedules"))
            if name in (one.get("description"), str(one.get("id"))) and isinstance(one.get("id"), int)
        ]
        if len(found) != 1:
            raise ProbeError(
                f"GitLab {self.repo}: {len(found) or 'no'} pipeline schedules are called {safe(name, 80)}",
                hint="name one with `workflow`, by its description or number",
            )
        return dict(found[0])

    async def deployment(self, environment: str) -> Deployment | None:
        items = await self.api.newest(self._path("deployments"), 1, environment=environment, order_by="id", sort="desc")
        if not items or child(items[0], "environment", "name") != environment:
            return None
        newest = items[0]
        said = text(newest.get("status"))
        url = text(child(newest, "deployable", "web_url"))
        return Deployment(text(newest.get("sha")), ended(newest), said, moment(newest.get("created_at")), url)

    async def protection(self, environment: str) -> list[str]:
        known = await self.api.get(self._path("environments"), name=environment)
        if not isinstance(known, list) or not known:
            raise ProbeError(f"GitLab {self.repo}: no environment {safe(environment, 80)}", hint="check `environment`")
        try:
            found = await self.api.get(self._path(f"protected_environments/{quote(environment, safe='')}"))
        except Refused as error:
            if error.status == 404:
                return []
            raise
        rules = ["deploy_access" for _ in child(found, "deploy_access_levels") or []]
        rules += ["approval" for _ in child(found, "approval_rules") or []]
        return rules

    async def merged(self, branch: str, last: int) -> list[Change]:
        items = await self.api.newest(
            *(self._path("merge_requests"), 50),
            state="merged",
            target_branch=branch,
            order_by="updated_at",
            sort="desc",
        )
        merged = [item for item in items if item.get("state") == "merged" and item.get("target_branch") == branch]
        merged.sort(key=lambda item: text(item.get("merged_at")), reverse=True)
        return [
            Change(item["iid"], text(item.get("sha")), text(item.get("web_url")))
            for item in merged[:last]
            if isinstance(item.get("iid"), int)
        ]

    async def comments(self, change: Change) -> list[Comment]:
        items = await self.api.pages(self._path(f"merge_requests/{change.number}/notes"))
        return [
            Comment(
                child(item, "author", "bot") is True
                or _BOT.fullmatch(text(child(item, "author", "username"))) is not None,
                text(item.get("body")),
            )
            for item in items
            if item.get("system") is not True
        ]


def _number(item: Mapping[str, Any]) -> int:
    number = item.get("id")
    return number if isinstance(number, int) else 0
