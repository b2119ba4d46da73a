"""The demo's forge: answers about the shop's repository in the documented shapes of GitHub's REST API. All invented."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from captain.demo import GOOD, NEW

REPO = "acme/shop"
CHECKS = ("backend", "migrations", "frontend", "scan", "dependencies")
"""What CI checks of each commit."""
REQUIRED = ("backend", "migrations", "frontend")
"""What must be green before a change is merged."""
WORKFLOWS = {"ci.yml": "active", "security.yml": "active", "deploy.yml": "active", "uptime.yml": "disabled_inactivity"}
"""The uptime check was switched off by the forge: nobody pushed for sixty days, and nobody noticed."""
CHANGES = (41, 42, 43, 44, 45)
"""Changes merged last."""
_LAST_RUN = {
    "ci.yml": timedelta(hours=2),
    "security.yml": timedelta(hours=7),
    "deploy.yml": timedelta(days=14),
    "uptime.yml": timedelta(days=23),
}
_INTERVAL = {"security.yml": timedelta(days=1), "uptime.yml": timedelta(minutes=15)}
_ACTIONS = 15368
"""The id of GitHub Actions among apps."""


@dataclass(frozen=True, slots=True)
class Forge:
    """One repository as it was at the beginning."""

    released: str
    """The commit that runs in production."""
    newest: str
    """The commit that is to be released."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def answer(self, path: str, query: dict[str, str]) -> Any | None:
        """The document of a path below the API's root, None where there is none."""
        prefix = f"repos/{REPO}/"
        if not path.startswith(prefix) or int(query.get("page", "1")) > 1:
            return None
        rest = path.removeprefix(prefix)
        for pattern, reply in self._routes().items():
            if match := re.fullmatch(pattern, rest):
                return reply(match, query)
        return None

    def commit_of(self, version: str) -> str:
        """The commit that was released as a version."""
        return {GOOD: self.released, NEW: self.newest}.get(version, "")

    def _routes(self) -> dict[str, Callable[[re.Match[str], dict[str, str]], Any]]:
        return {
            r"commits/([0-9a-f]{7,40})": lambda match, _: {"sha": self._full(match[1])},
            r"commits/([0-9a-f]{40})/check-runs": lambda match, _: self._checks(match[1]),
            r"commits/([0-9a-f]{40})/check-suites": lambda *_: {"total_count": 0, "check_suites": []},
            r"commits/([0-9a-f]{40})/status": lambda *_: {"state": "pending", "total_count": 0, "statuses": []},
            r"rules/branches/main": lambda *_: [_required()],
            r"branches/main": lambda *_: {"name": "main", "protected": False},
            r"actions/workflows/([\w.-]+)": lambda match, _: _workflow(match[1]),
            r"actions/workflows/([\w.-]+)/runs": lambda match, query: self._runs(match[1], query),
            r"actions/runs": lambda _, query: self._runs("deploy.yml", query),
            r"deployments": lambda _, query: self._deployments(query.get("environment", "production")),
            r"deployments/\d+/statuses": lambda *_: [{"state": "success", "created_at": _iso(self._ago(days=14))}],
            r"environments/([\w-]+)": lambda match, _: _environment(match[1]),
            r"pulls": lambda *_: [self._change(number) for number in reversed(CHANGES)],
            r"issues/(\d+)/comments": lambda match, _: _comments(int(match[1])),
        }

    def _ago(self, **span: float) -> datetime:
        return self.now() - timedelta(**span)

    def _full(self, sha: str) -> str:
        return next((one for one in (self.newest, self.released) if one.startswith(sha)), "")

    def _checks(self, sha: str) -> dict[str, Any]:
        started = self._ago(hours=1, minutes=10)
        runs = [
            {
                "id": place,
                "name": name,
                "head_sha": sha,
                "html_url": f"https://github.com/{REPO}/runs/{place}",
                "status": "completed",
                "conclusion": "success",
                "started_at": _iso(started),
                "completed_at": _iso(started + timedelta(minutes=4)),
                "check_suite": {"id": 77},
                "app": {"id": _ACTIONS, "slug": "github-actions"},
            }
            for place, name in enumerate(CHECKS, 1)
        ]
        return {"total_count": len(runs), "check_runs": runs}

    def _runs(self, workflow: str, query: dict[str, str]) -> dict[str, Any] | None:
        if workflow not in WORKFLOWS:
            return None
        newest, every = _LAST_RUN[workflow], _INTERVAL.get(workflow, timedelta(days=14))
        runs = [
            {
                "id": 900 - place,
                "name": workflow.removesuffix(".yml"),
                "event": query.get("event", "schedule" if workflow in _INTERVAL else "push"),
                "status": "completed",
                "conclusion": "success",
                "head_sha": query.get("head_sha", self.released if workflow == "deploy.yml" else self.newest),
                "head_branch": query.get("branch", "main"),
                "run_started_at": _iso(self.now() - newest - place * every),
                "html_url": f"https://github.com/{REPO}/actions/runs/{900 - place}",
            }
            for place in range(5)
        ]
        return {"total_count": len(runs), "workflow_runs": runs[: int(query.get("per_page", "30"))]}

    def _deployments(self, environment: str) -> list[dict[str, Any]]:
        if environment != "production":
            return []
        made = _iso(self._ago(days=14))
        return [{"id": 7, "sha": self.released, "environment": environment, "created_at": made}]

    def _change(self, number: int) -> dict[str, Any]:
        merged = _iso(self._ago(days=2 * (CHANGES[-1] - number) + 1))
        return {
            "number": number,
            "html_url": f"https://github.com/{REPO}/pull/{number}",
            "merged_at": merged,
            "updated_at": merged,
            "base": {"ref": "main"},
            "head": {"sha": f"{number:040x}"},
        }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _required() -> dict[str, Any]:
    checks = [{"context": name, "integration_id": _ACTIONS} for name in REQUIRED]
    return {"type": "required_status_checks", "parameters": {"required_status_checks": checks}}


def _workflow(name: str) -> dict[str, Any] | None:
    path = f".github/workflows/{name}"
    return {"id": 5, "name": name, "path": path, "state": WORKFLOWS[name]} if name in WORKFLOWS else None


def _environment(name: str) -> dict[str, Any] | None:
    if name != "production":
        return None
    return {
        "name": name,
        "protection_rules": [{"id": 1, "type": "required_reviewers"}, {"id": 2, "type": "branch_policy"}],
    }


def _comments(number: int) -> list[dict[str, Any]]:
    return [{"user": {"type": "Bot"}, "body": f"Trivy: 0 critical vulnerabilities in the images of change {number}."}]
