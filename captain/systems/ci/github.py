"""How to ask GitHub's REST API, or that of a GitHub Enterprise Server. Knows no step and no verdict.

Documented shapes of version 2022-11-28. A combined status is `pending` where there is no status at all, so its
`state` is never read; a check of another commit never counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
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

_ACTIONS = "github-actions"
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
        runs, suites, statuses = await together(
            [
                self.api.pages(f"{path}/check-runs", "check_runs", filter="latest"),
                self.api.pages(f"{path}/check-suites", "check_suites"),
                self.api.pages(f"{path}/status", "statuses"),
            ]
        )
        own = [run for run in runs if run.get("head_sha") == sha]
        bare = [suite for suite in suites if suite.get("head_sha") == sha and _without_jobs(suite)]
        # Only where it decides something: it is one more request, and needs a permission of its own.
        workflows = await self._workflows(sha) if bare or _named_alike(own) else {}
        found = [_check(run) for run in _latest(own, workflows)]
        found += [check for suite in bare if (check := _unstarted(suite, workflows)) is not None]
        for status in statuses:
            said = text(status.get("state")) or "no state"
            # The status call is by commit; its parts name none.
            outcome = _STATUSES.get(said, "failed")
            found.append(Check(text(status.get("context")), outcome, said, text(status.get("target_url"))))
        return found

    async def _workflows(self, sha: str) -> dict[Any, dict[str, Any]]:
        """By check suite, the run of a workflow that it belongs to, as far as the token may see it."""
        try:
            runs = await self.api.pages(self._path("actions/runs"), "workflow_runs", head_sha=sha)
        except Refused:
            return {}
        return {run.get("check_suite_id"): run for run in runs}

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


def _named_alike(runs: Iterable[dict[str, Any]]) -> bool:
    """Whether checks of one app and name stand in several suites."""
    suites: dict[tuple[Any, Any], Any] = {}
    return any(suites.setdefault(_name(run), suite := child(run, "check_suite", "id")) != suite for run in runs)


def _latest(runs: Iterable[dict[str, Any]], workflows: Mapping[Any, dict[str, Any]]) -> list[dict[str, Any]]:
    """The latest attempt per app and name.

    Jobs of two workflows may bear one name, and the one that passed later does not outshine the one that failed:
    where suites differ, the workflow and its event belong to the name.
    """
    groups: dict[tuple[Any, Any], list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[_name(run)].append(run)
    kept: list[dict[str, Any]] = []
    for group in groups.values():
        differ = len({child(run, "check_suite", "id") for run in group}) > 1
        newest = {
            _workflow(child(run, "check_suite", "id"), workflows) if differ else None: run
            for run in sorted(group, key=_age)
        }
        kept += newest.values()
    return kept


def _name(run: Mapping[str, Any]) -> tuple[Any, Any]:
    return child(run, "app", "id"), run.get("name")


def _workflow(suite: Any, workflows: Mapping[Any, dict[str, Any]]) -> Any:
    """The workflow and event that a suite belongs to, itself where that cannot be seen."""
    run = workflows.get(suite)
    return suite if run is None else (run.get("workflow_id"), run.get("event"))


def _age(run: Mapping[str, Any]) -> tuple[bool, int]:
    """Attempts from old to new. What waits for a runner has no start yet, and is the newest all the same."""
    return run.get("status") != "completed", _number(run)


def _without_jobs(suite: Mapping[str, Any]) -> bool:
    """Whether a workflow stands behind the suite that made no check: other apps leave suites of theirs open."""
    return child(suite, "app", "slug") == _ACTIONS and suite.get("latest_check_runs_count") == 0


def _unstarted(suite: Mapping[str, Any], workflows: Mapping[Any, dict[str, Any]]) -> Check | None:
    """The check that a workflow without jobs stands for: refused at its start, or still waiting for it.

    None where there was nothing to do, and where the same workflow was started again.
    """
    outcome, said = ended(suite.get("status"), suite.get("conclusion"))
    own, run = suite.get("id"), workflows.get(suite.get("id"), {})
    later = [
        one
        for other, one in workflows.items()
        if other != own and _workflow(other, workflows) == _workflow(own, workflows) and _number(one) > _number(run)
    ]
    if outcome not in ("failed", "pending") or later:
        return None
    name = text(run.get("name")) or text(run.get("path")) or f"check suite {own}"
    return Check(f"{name} (without jobs)", outcome, said, text(run.get("html_url")))


def _number(item: Mapping[str, Any]) -> int:
    number = item.get("id")
    return number if isinstance(number, int) else 0


def _require(found: dict[tuple[str, str], Required], name: Any, app: Any) -> None:
    if isinstance(name, str):
        only = str(app) if isinstance(app, int) and app > 0 else ""
        found[(name, only)] = Required.exact(name, only)
