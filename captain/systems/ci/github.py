"""How to ask GitHub's REST API, or that of a GitHub Enterprise Server. Knows no step and no verdict.

Documented shapes of version 2022-11-28. A combined status is `pending` where there is no status at all, so its
`state` is never read; a check of another commit never counts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.ci.forge import Change, Check, Comment, Deployment, Filter, Outcome, Required, Run
from captain.systems.ci.rest import Refused, Rest, child, moment, text, together

API = "https://api.github.com"
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
NEEDS = "the token needs read access to metadata, checks, commit statuses, actions, deployments and pull requests"

_CONCLUSIONS: dict[str, Outcome] = {"success": "success", "neutral": "neutral", "skipped": "skipped"}
_STATUSES: dict[str, Outcome] = {"success": "success", "pending": "pending"}
_DEPLOYMENTS: dict[str, Outcome] = {
    "success": "success",
    "pending": "pending",
    "queued": "pending",
    "waiting": "pending",
    "in_progress": "pending",
}


def ended(status: object, conclusion: object) -> tuple[Outcome, str]:
    """How a check or run ended, and GitHub's word for it. A word that captain does not know is no success."""
    if status != "completed":
        return "pending", text(status) or "pending"
    said = text(conclusion) or "no conclusion"
    return _CONCLUSIONS.get(said, "failed"), said


@dataclass(frozen=True, slots=True)
class GitHub:
    """One repository."""

    api: Rest
    repo: str
    """`owner/name`."""

    def _path(self, rest: str) -> str:
        return f"repos/{quote(self.repo)}/{rest}"

    async def full_sha(self, commit: str) -> str:
        if len(commit) >= 40:
            return commit.lower()
        sha = text(child(await self.api.get(self._path(f"commits/{quote(commit, safe='')}")), "sha"))
        if not sha.startswith(commit.lower()):
            raise ProbeError(f"GitHub {self.repo}: {safe(commit, 80)} is no commit there", hint="check `commit`")
        return sha

    async def checks(self, sha: str) -> list[Check]:
        path = self._path(f"commits/{sha}")
        runs, statuses = await together(
            [
                self.api.pages(f"{path}/check-runs", "check_runs", filter="latest"),
                self.api.pages(f"{path}/status", "statuses"),
            ]
        )
        own = [run for run in runs if run.get("head_sha") == sha]
        found = [_check(run) for run in await self._latest(own, sha)]
        for status in statuses:
            said = text(status.get("state")) or "no state"
            # The status call is by commit; its parts name none.
            outcome = _STATUSES.get(said, "failed")
            found.append(Check(text(status.get("context")), outcome, said, text(status.get("target_url"))))
        return found

    async def _latest(self, runs: list[dict[str, Any]], sha: str) -> list[dict[str, Any]]:
        """The latest attempt per app and name.

        Jobs of two workflows may bear one name, and the one that passed later does not outshine the one that failed:
        where suites differ, the workflow and its event belong to the name.
        """
        groups: dict[tuple[Any, Any], list[dict[str, Any]]] = defaultdict(list)
        for run in runs:
            groups[(child(run, "app", "id"), run.get("name"))].append(run)
        suites: dict[Any, Any] | None = None
        kept: list[dict[str, Any]] = []
        for group in groups.values():
            ids = {child(run, "check_suite", "id") for run in group}
            if len(ids) > 1 and suites is None:
                suites = await self._suites(sha)
            newest: dict[Any, dict[str, Any]] = {}
            for run in sorted(group, key=_age):
                suite = child(run, "check_suite", "id")
                newest[(suites or {}).get(suite, suite) if len(ids) > 1 else None] = run
            kept += newest.values()
        return kept

    async def _suites(self, sha: str) -> dict[Any, Any]:
        """By check suite, the workflow and event it belongs to, as far as the token may see it."""
        try:
            runs = await self.api.pages(self._path("actions/runs"), "workflow_runs", head_sha=sha)
        except Refused:
            return {}
        return {run.get("check_suite_id"): (run.get("workflow_id"), run.get("event")) for run in runs}

    async def required(self, branch: str) -> list[Required] | None:
        name = quote(branch, safe="")
        rules, known = await together(
            [
                self.api.pages(self._path(f"rules/branches/{name}")),
                self.api.get(self._path(f"branches/{name}")),
            ]
        )
        found: dict[tuple[str, str], Required] = {}
        for rule in rules:
            if rule.get("type") == "required_status_checks":
                for one in child(rule, "parameters", "required_status_checks") or []:
                    _require(found, child(one, "context"), child(one, "integration_id"))
        if child(known, "protected") is True:
            classic = child(known, "protection", "required_status_checks")
            if classic is None and not found:
                return None
            for one in child(classic, "checks") or []:
                _require(found, child(one, "context"), child(one, "app_id"))
            named = {required.name for required in found.values()}
            for context in child(classic, "contexts") or []:
                if context not in named:
                    _require(found, context, None)
        return list(found.values())

    async def runs(self, which: Filter) -> tuple[str | None, list[Run]]:
        path, state = self._path("actions/runs"), None
        if which.workflow is not None:
            workflow = self._path(f"actions/workflows/{quote(which.workflow, safe='')}")
            state = text(child(await self.api.get(workflow), "state")) or None
            path = f"{workflow}/runs"
        items = await self.api.newest(
            *(path, which.last, "workflow_runs"),
            event=which.event,
            branch=which.branch,
            head_sha=which.sha,
        )
        wanted = {"event": which.event, "head_branch": which.branch, "head_sha": which.sha}
        found = []
        for item in items:
            if any(value is not None and item.get(key) != value for key, value in wanted.items()):
                continue
            outcome, said = ended(item.get("status"), item.get("conclusion"))
            started = moment(item.get("run_started_at")) or moment(item.get("created_at"))
            found.append(Run(outcome, said, started, text(item.get("html_url"))))
        return state, found

    async def deployment(self, environment: str) -> Deployment | None:
        items = await self.api.newest(self._path("deployments"), 1, environment=environment)
        if not items or items[0].get("environment") != environment:
            return None
        newest = items[0]
        if not isinstance(number := newest.get("id"), int):
            raise ProbeError(f"GitHub {self.repo}: a deployment without id", fault="unclear")
        statuses = await self.api.newest(self._path(f"deployments/{number}/statuses"), 1)
        said = text(statuses[0].get("state")) if statuses else ""
        outcome: Outcome | None = _DEPLOYMENTS.get(said, "failed") if said else None
        url = text(statuses[0].get("log_url")) if statuses else ""
        return Deployment(text(newest.get("sha")), outcome, said, moment(newest.get("created_at")), url)

    async def protection(self, environment: str) -> list[str]:
        found = await self.api.get(self._path(f"environments/{quote(environment, safe='')}"))
        rules = child(found, "protection_rules")
        if not isinstance(rules, list):
            raise ProbeError(f"GitHub {self.repo}: the environment shows no protection rules", hint=NEEDS)
        return [text(child(rule, "type")) for rule in rules]

    async def merged(self, branch: str, last: int) -> list[Change]:
        items = await self.api.newest(
            self._path("pulls"), 50, state="closed", base=branch, sort="updated", direction="desc"
        )
        merged = [item for item in items if item.get("merged_at") and child(item, "base", "ref") == branch]
        merged.sort(key=lambda item: text(item["merged_at"]), reverse=True)
        return [
            Change(item["number"], text(child(item, "head", "sha")), text(item.get("html_url")))
            for item in merged[:last]
            if isinstance(item.get("number"), int)
        ]

    async def comments(self, change: Change) -> list[Comment]:
        items = await self.api.pages(self._path(f"issues/{change.number}/comments"))
        return [Comment(child(item, "user", "type") == "Bot", text(item.get("body"))) for item in items]


def _check(run: dict[str, Any]) -> Check:
    outcome, said = ended(run.get("status"), run.get("conclusion"))
    app = child(run, "app", "id")
    return Check(
        text(run.get("name")), outcome, said, text(run.get("html_url")), str(app) if isinstance(app, int) else ""
    )


def _age(run: dict[str, Any]) -> tuple[str, int]:
    number = run.get("id")
    return text(run.get("started_at")), number if isinstance(number, int) else 0


def _require(found: dict[tuple[str, str], Required], name: Any, app: Any) -> None:
    if isinstance(name, str):
        only = str(app) if isinstance(app, int) and app > 0 else ""
        found[(name, only)] = Required.exact(name, only)
