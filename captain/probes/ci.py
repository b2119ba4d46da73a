"""The kind `ci`: what GitHub or GitLab say about a commit, a workflow, a deployment or the rules before them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from captain.errors import ProbeError, UsageError
from captain.fields import EnvName, PositiveInt, Text, wrong
from captain.http import refused_url
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.ci import github, gitlab
from captain.systems.ci.counts import Found, since
from captain.systems.ci.forge import Change, Check, Filter, Forge, Outcome, Required, tally
from captain.systems.ci.github import GitHub
from captain.systems.ci.gitlab import GitLab
from captain.systems.ci.rest import Rest, together
from captain.systems.patterns import chooser, finder

_MARGIN = 0.9
"""Share of the attempt's time for the questions, so that their own errors come before the attempt's end."""
_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)
_REPO = re.compile(r"[A-Za-z0-9_.-]{1,100}(/[A-Za-z0-9_.-]{1,100}){0,20}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}")
_PROVIDERS: dict[str, tuple[Any, Callable[[Rest, str], Forge], str]] = {
    "github": (github, GitHub, "GitHub"),
    "gitlab": (gitlab, GitLab, "GitLab"),
}


def _checked(test: Any, otherwise: str) -> AfterValidator:
    def check(value: str) -> str:
        if "${{" not in value and not test(value):
            raise wrong(otherwise)
        return value

    return AfterValidator(check)


def _url(value: str) -> str:
    if "${{" not in value and (refused := refused_url(value)) is not None:
        raise wrong(refused)
    return value


def _is_repo(value: str) -> bool:
    return bool(_REPO.fullmatch(value)) and not {".", ".."} & set(value.split("/"))


def _pattern(value: str) -> str:
    try:
        finder(value)
    except UsageError as error:
        raise wrong(error.message) from error
    return value


def _names_or_auto(value: Any) -> Any:
    if value == "auto":
        return "auto"
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise wrong("takes a list of names of checks, or auto")
    try:
        for name in value:
            chooser(name)
    except UsageError as error:
        raise wrong(error.message) from error
    return tuple(value)


@probe("ci")
class CiProbe(Probe):
    """Is CI green for exactly this commit, and does it run when and where it should?

    Asks GitHub or GitLab with GET only, and counts what `mode` names. commit: checks and statuses of the commit, each
    in its latest attempt, and workflows of GitHub that failed or wait before they made a job. workflow: the last runs
    of a workflow. deployments: the newest deployment of an environment. rules: the checks a branch requires.
    pr_checks and pr_comments: the changes merged last. environment: the rules before a deployment. Where nothing is
    there only `total` is observed, and while checks are not over none has failed is not known, so nothing passes on
    either. What a token may not see, a used-up rate limit and a page
    that is missing are unknown.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("success > 0", "failed_count == 0", "missing_count == 0")
    network: ClassVar[bool] = True
    max_age: ClassVar[timedelta] = timedelta(hours=24)
    timeout: ClassVar[timedelta] = timedelta(seconds=30)
    errors: ClassVar[str] = (
        "on_error decides (unknown): not reached, no answer in time, a 5xx; unknown: 401, 403, 404, 429, the rate "
        "limit, more than captain reads: the forge is the instrument, not the product"
    )
    example: ClassVar[str] = """\
id: tests-passing
title: All tests passing
ci: { provider: github, repo: acme/shop, required: [pytest, mypy] }
expect: ['success > 0', 'failed_count == 0', 'missing_count == 0']
within: 20m
every: 30s"""

    provider: Literal["github", "gitlab"]
    """Whose API it is."""
    repo: Annotated[Text, _checked(_is_repo, "is no repository; write owner/name, or group/sub/name of GitLab")]
    """`owner/name`, of GitLab also `group/sub/name` or the project's number."""
    api: Annotated[Text, AfterValidator(_url)] | None = None
    """The address of the REST API, default the public one: https://github.example.com/api/v3, …/api/v4 of GitLab."""
    token_env: EnvName | None = None
    """The declared secret that holds a token; without one only what is public is seen."""
    mode: Literal["commit", "workflow", "deployments", "rules", "pr_checks", "pr_comments", "environment"] = "commit"
    """What is asked about."""
    commit: Annotated[Text, _checked(_COMMIT.fullmatch, "is no commit; give 7 to 64 digits of its id")] | None = None
    """For commit and deployments the commit that counts, default the release's; in mode workflow only its runs."""
    required: Annotated[
        tuple[str, ...] | Literal["auto"],
        BeforeValidator(_names_or_auto),
        WithJsonSchema(
            {"oneOf": [{"type": "string", "pattern": "^auto$"}, {"type": "array", "items": {"type": "string"}}]}
        ),
    ] = ()
    """Checks that must be there, exact or `/regex/`; `auto` takes them from the rules and protection of `branch`."""
    workflow: Text | None = None
    """The workflow's file name (deploy.yml) or number; of GitLab the description or number of a pipeline schedule."""
    event: Text | None = None
    """Only runs that were started so: schedule, push, …"""
    branch: Text | None = None
    """The branch of rules and merged changes, default main; in mode workflow only its runs."""
    environment: Text | None = None
    """The environment of deployments, default the one captain is asked about."""
    last: Annotated[PositiveInt, Field(le=50)] = 10
    """How many runs or merged changes are looked at."""
    marker: Annotated[Text, AfterValidator(_pattern)] | None = None
    """What one line of a bot's comment must match, a regex without regard to case: `trivy|vulnerab|security`."""

    class Observes(TypedDict, total=False):
        """What the forge says, counted over what `mode` names."""

        total: Annotated[int, "checks, runs, deployments, required checks, merged changes or protection rules"]
        success: Annotated[int, "of them: succeeded; no 0 while some are not over"]
        failed_count: Annotated[int, "failed, cancelled, timed out or no success; no 0 while some are not over"]
        pending_count: Annotated[int, "not over yet"]
        missing_count: Annotated[int, "what must be there and is not: see missing"]
        neutral: Annotated[int, "ended neutral"]
        skipped: Annotated[int, "skipped"]
        failed_allowed_count: Annotated[int, "failed and allowed to (allow_failure of GitLab); in no other count"]
        failed: Annotated[list[str], "names of those that failed"]
        pending: Annotated[list[str], "names of those that are not over"]
        missing: Annotated[
            list[str],
            "required checks that never ran, an inactive workflow, the commit that is not deployed, changes without",
        ]
        failed_allowed: Annotated[list[str], "names of those that were allowed to fail"]
        state: Annotated[str, "of a commit: success, failure, pending; none where nothing ran"]
        workflow_state: Annotated[str, "active, disabled_inactivity, disabled_manually, … (needs workflow)"]
        newest_age: Annotated[timedelta, "time since the newest run started or the newest deployment was made"]
        last_conclusion: Annotated[str, "how the newest run that is over ended"]
        failure_ratio: Annotated[float, "failed runs among those that are over"]
        required_found: Annotated[list[str], "checks that the branch requires (modes rules, or required: auto)"]
        pr_ratio: Annotated[float, "merged changes whose checks succeeded, or that have the comment"]
        deployment_state: Annotated[str, "of the newest deployment: success, in_progress, failure, inactive, …"]
        deployment_sha: Annotated[str, "its commit"]
        protection: Annotated[list[str], "kinds of rules before a deployment to the environment"]
        rate_remaining: Annotated[int, "requests that the rate limit still allows"]
        urls: Annotated[list[str], "pages where a person can look"]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.mode == "pr_comments" and self.marker is None:
            raise PydanticCustomError("captain", "mode pr_comments needs marker: what the comment must say")
        if self.provider == "github" and "${{" not in self.repo and self.repo.count("/") != 1:
            raise PydanticCustomError("captain", "repo of GitHub is owner/name")
        return self

    @classmethod
    def prepare(cls) -> None:
        from captain.http import load

        load()

    def of_commit(self) -> bool:
        return self.commit is None

    def asks(self) -> str:
        what = {
            "commit": f"checks of {self.commit or 'the release'} in",
            "workflow": f"runs of {self.workflow or 'every workflow'} in",
            "deployments": f"deployments to {self.environment or 'the environment'} of",
            "rules": f"checks that {self.branch or 'main'} requires in",
            "pr_checks": "checks of the last changes merged in",
            "pr_comments": "comments on the last changes merged in",
            "environment": f"rules before {self.environment or 'the environment'} in",
        }[self.mode]
        return f"{what} {self.repo} at {self.api or _PROVIDERS[self.provider][2]}"

    async def measure(self, ctx: Context) -> Measurement:
        module, make, name = _PROVIDERS[self.provider]
        token = self._token(ctx)
        headers = {"Accept": "application/json", **module.HEADERS}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        deadline = asyncio.get_running_loop().time() + ctx.timeout.total_seconds() * _MARGIN
        base = (self.api or module.API).rstrip("/")
        api = Rest(name, base, headers, deadline, token, module.NEEDS)
        found = await self._look(make(api, self.repo), ctx, api)
        if api.remaining is not None:
            found.observed["rate_remaining"] = api.remaining
        if token and base.startswith("http:"):
            found.notes.append("the token was sent without TLS (api starts with http://)")
        body = "\n".join(found.lines)
        return Measurement(
            found.observed,
            asked=f"{self.asks()}{found.about}",
            body=ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=tuple(found.notes),
        )

    def _token(self, ctx: Context) -> str:
        if self.token_env is None:
            return ""
        token = ctx.secret(self.token_env).strip()
        if not _TOKEN.fullmatch(token):
            raise ProbeError(f"the secret {self.token_env} is no token: it holds spaces, or is empty")
        return token

    async def _look(self, forge: Forge, ctx: Context, api: Rest) -> Found:
        where = self.environment or ctx.environment
        if self.mode in ("deployments", "environment") and not where:
            raise ProbeError("ci: no environment to ask about", hint="name one with `environment`")
        if self.mode == "commit":
            return await self._commit(forge, ctx)
        if self.mode == "workflow":
            return await self._workflow(forge, lambda: max(ctx.clock.now(), api.now or ctx.clock.now()))
        if self.mode == "deployments":
            return await self._deployments(forge, ctx, where, api)
        if self.mode == "rules":
            return await self._rules(forge)
        if self.mode == "environment":
            rules = await forge.protection(where)
            found = Found(lines=rules)
            found.count(tally([Check(rule, "success", "") for rule in rules]))
            found.observed["protection"] = list(rules)
            return found
        return await self._merged(forge, ctx)

    async def _sha(self, forge: Forge, ctx: Context) -> str:
        commit = self.commit or (ctx.release.commit if ctx.release else None)
        if not commit:
            raise ProbeError("ci: no commit to ask about", hint="bind the run to a release, or name one with `commit`")
        return await forge.full_sha(commit)

    async def _demanded(self, forge: Forge, found: Found) -> list[Required] | None:
        if self.required != "auto":
            return [Required(name, chooser(name)) for name in self.required]
        branch = self.branch or "main"
        required = await forge.required(branch)
        if required is None:
            found.notes.append(f"what {safe(branch, 80)} requires cannot be seen, so missing is not known")
            return None
        found.observed["required_found"] = [one.name for one in required]
        if not required:
            found.notes.append(f"{safe(branch, 80)} requires no check")
        return required

    async def _commit(self, forge: Forge, ctx: Context) -> Found:
        found = Found()
        sha = await self._sha(forge, ctx)
        found.about = f" ({sha[:7]})"
        checks = await forge.checks(sha)
        required = await self._demanded(forge, found)
        counted = tally(checks, required or ())
        found.count(counted, missing=required is not None and bool(checks))
        found.observed["state"] = counted.state
        found.show((check.name, check.said, check.url) for check in checks)
        if not checks:
            found.notes.append(f"nothing has reported on {sha[:7]}: not pushed, CI has not begun, or the wrong `repo`")
        return found

    async def _workflow(self, forge: Forge, now: Callable[[], datetime]) -> Found:
        sha = await forge.full_sha(self.commit) if self.commit else None
        state, runs = await forge.runs(Filter(self.workflow, self.event, self.branch, sha, self.last))
        found = Found()
        counted = tally([Check(run.url, run.outcome, run.said, run.url) for run in runs])
        if state is not None:
            found.observed["workflow_state"] = state
            if state != "active":
                counted.missing.append(f"{self.workflow}: {state}")
        found.count(counted, missing=bool(runs) or state is not None, over=sha is None)
        over = [run for run in runs if run.outcome != "pending"]
        if runs and (started := runs[0].started) is not None:
            found.observed["newest_age"] = since(started, now())
        if over:
            found.observed["last_conclusion"] = over[0].said
            found.observed["failure_ratio"] = counted.count("failed") / len(over)
        found.show((f"{run.started or ''}", run.said, run.url) for run in runs)
        return found

    async def _deployments(self, forge: Forge, ctx: Context, where: str, api: Rest) -> Found:
        sha = await self._sha(forge, ctx)
        newest = await forge.deployment(where)
        found = Found(about=f" ({sha[:7]})")
        if newest is None:
            found.observed["total"] = 0
            found.notes.append(f"no deployment to {safe(where, 80)}, or the token may not see it")
            return found
        outcome: Outcome = newest.outcome or "pending"
        counted = tally([Check(where, outcome, newest.said, newest.url)])
        if newest.sha != sha:
            counted.missing.append(sha)
        found.count(counted)
        found.observed["deployment_sha"] = newest.sha
        if newest.outcome is not None:
            found.observed["deployment_state"] = newest.said
        else:
            found.notes.append("nothing was reported about the newest deployment yet")
        if newest.at is not None:
            found.observed["newest_age"] = since(newest.at, max(ctx.clock.now(), api.now or ctx.clock.now()))
        found.show([(f"{where} {newest.sha}", newest.said, newest.url)])
        return found

    async def _rules(self, forge: Forge) -> Found:
        branch, found = self.branch or "main", Found()
        there = await forge.required(branch)
        if there is None:
            raise ProbeError(
                f"ci: {safe(branch, 80)} of {safe(self.repo, 80)} is protected, and how cannot be seen",
                hint="the token needs read access to the repository's contents and metadata",
            )
        checks = [Check(one.name, "success", "required", app=one.app) for one in there]
        wanted = () if self.required == "auto" else self.required
        found.count(tally(checks, [Required(name, chooser(name)) for name in wanted]), missing=bool(checks or wanted))
        found.observed["required_found"] = [one.name for one in there]
        found.show((one.name, "required", f"app {one.app}" if one.app else "") for one in there)
        return found

    async def _merged(self, forge: Forge, ctx: Context) -> Found:
        found = Found()
        changes = await forge.merged(self.branch or "main", self.last)
        if self.mode == "pr_checks":
            required = await self._demanded(forge, found)
            if required is None:
                raise ProbeError("ci: what the branch requires cannot be seen", hint="name the checks in `required`")
            judged = await together(self._judged(forge, change, required) for change in changes)
        else:
            judged = await together(self._commented(forge, change, ctx) for change in changes)
        counted = tally([one for one, _ in judged])
        counted.missing.extend(name for _, missing in judged for name in missing)
        found.count(counted)
        if judged:
            good = sum(one.outcome == "success" and not missing for one, missing in judged)
            found.observed["pr_ratio"] = good / len(judged)
        found.show((one.name, one.said, one.url) for one, _ in judged)
        return found

    async def _judged(self, forge: Forge, change: Change, required: list[Required]) -> tuple[Check, list[str]]:
        checks = await forge.checks(change.sha) if change.sha else []
        counted, name = tally(checks, required), f"#{change.number}"
        missing = [f"{name} {one}" for one in counted.missing]
        if not (missing or counted.count("success") or counted.count("failed") or counted.count("pending")):
            missing = [f"{name} has no check that ran"]
        outcome: Outcome = "success"
        if counted.count("failed") or counted.count("pending"):
            outcome = "failed" if counted.count("failed") else "pending"
        elif missing:
            outcome = "neutral"
        return Check(name, outcome, counted.state, change.url), missing

    async def _commented(self, forge: Forge, change: Change, ctx: Context) -> tuple[Check, list[str]]:
        find, comments = finder(self.marker or ""), await forge.comments(change)
        said = await ctx.blocking(
            lambda: any(find(line) for one in comments if one.bot for line in one.text.splitlines())
        )
        name = f"#{change.number}"
        if said:
            return Check(name, "success", "commented", change.url), []
        return Check(name, "neutral", f"{len(comments)} comments, none of a bot that says so", change.url), [name]
