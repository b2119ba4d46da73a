"""The kind `workflow`: what the files of GitHub Actions and GitLab CI would run, and whether it can fail."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator

from captain.errors import ProbeError, UsageError
from captain.fields import Text, wrong
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.ci.github_workflows import is_workflow, read_workflow
from captain.systems.ci.gitlab_pipelines import read_pipeline
from captain.systems.ci.pipeline_counts import Wanted, counts
from captain.systems.ci.pipelines import Pipeline, roots
from captain.systems.patterns import finder
from captain.systems.rests import below
from captain.systems.tree_files import Tree, check_pattern


def _path(value: str) -> str:
    if "${{" not in value:
        try:
            check_pattern(value)
        except UsageError as error:
            raise wrong(error.message) from error
    return value


def _pattern(value: str) -> str:
    try:
        finder(value)
    except UsageError as error:
        raise wrong(error.message) from error
    return value


@probe("workflow")
class WorkflowProbe(Probe):
    """Does CI run this step, and does its failure stop anything?

    Reads the files of GitHub Actions and GitLab CI in the repository and runs nothing. `step` and `uses` choose the
    steps that are meant, every step where neither is given. `step` is looked for in what a script runs, behind npx,
    `uv run`, `python -m`, docker or make too, and not in what it installs, reads or prints. A step is a soft failure
    where it may fail and nothing comes of it: `|| true`, `if pytest`, `pytest &`, continue-on-error, allow_failure, a
    pipe without pipefail, a shell without -e, a trivy whose exit code stays 0; and where that cannot be told. Where
    none is chosen, only steps that surely cannot fail count.

    Followed: reusable workflows and composite actions of this repository, local includes, extends, YAML anchors and
    !reference. Not followed, and noted: what lies in another repository. Steps and jobs behind `if: false`, jobs whose
    rules all say never and workflows that nothing starts do not count; any other `if`, in a file or a script, any
    rule or filter by branch and path is taken to hold.
    """

    rests: ClassVar[str] = "always"
    default_expect: ClassVar[tuple[str, ...]] = ("found > 0", "soft_failures == 0")
    on_error: ClassVar[Literal["fail", "unknown"]] = "fail"
    errors: ClassVar[str] = (
        "on_error decides (a failure): no answer in time; unknown: a file that cannot be read or is no YAML (no file "
        "at all is an answer)"
    )
    example: ClassVar[str] = """\
id: type-check
title: Type checking is enforced
workflow: { step: 'mypy|pyright', on: [pull_request] }
expect: ['found > 0', 'gating']"""

    paths: tuple[Annotated[Text, AfterValidator(_path)], ...] = (
        ".github/workflows/*.yml",
        ".github/workflows/*.yaml",
        ".gitlab-ci.yml",
    )
    """Files below the top of the repository; `*` within a name, `**` for any folders."""
    step: Annotated[Text, AfterValidator(_pattern)] | None = None
    """What a command of a script must match, a regex without regard to case: `pytest|npm test`."""
    uses: Text | None = None
    """The action a step uses, with or without its version: aquasecurity/trivy-action."""
    on: tuple[Text, ...] = ()
    """Only files that all of these start: pull_request, push, schedule; of GitLab merge_request_event, push, …"""
    job: Text | None = None
    """Only steps of the job of that key."""
    needs_of: Text | None = None
    """The job that must not run when a chosen step fails: deploy."""

    class Observes(TypedDict, total=False):
        """What the files say about the steps that are meant and, where some are chosen, the files they stand in."""

        files: Annotated[int, "files that match paths"]
        found: Annotated[int, "steps that are meant"]
        soft_failures: Annotated[int, "of them: may fail without consequence"]
        gating: Annotated[bool, "steps are there, none is a soft failure, and needs_of does not run when one fails"]
        unpinned_actions: Annotated[int, "of them: use an action of others that no full commit id pins"]
        in_needs_of_deploy: Annotated[bool, "the job needs_of waits for one of them, directly or through others"]
        exit_code_set: Annotated[bool, "every trivy among them fails on findings (left out where there is none)"]
        triggers: Annotated[list[str], "what starts them"]
        cron: Annotated[list[str], "schedules, as written"]
        cron_interval: Annotated[timedelta, "the longest time between two scheduled runs; at least 5 minutes"]
        jobs: Annotated[list[str], "jobs by their key"]
        permissions: Annotated[list[str], 'what their token may do: "pull-requests: write"']
        findings: Annotated[list[dict[str, Any]], "soft failures and unpinned actions: file, line, rule"]

    def asks(self) -> str:
        meant = [f"/{self.step}/"] if self.step else []
        meant += [f"uses {self.uses}"] if self.uses else []
        where = f"job {self.job} of " if self.job else ""
        return f"steps {' or '.join(meant) or '(all)'} of {where}{', '.join(self.paths)}"

    async def measure(self, ctx: Context) -> Measurement:
        tree = Tree(top := ctx.repo or ctx.root)
        wanted = Wanted(finder(self.step) if self.step else None, self.uses, self.on, self.needs_of, self.job)
        observed, notes = await ctx.blocking(lambda: self._look(tree, wanted))
        findings = observed.get("findings")
        lines = [f"{one['file']}:{one['line']}: {one['rule']}" for one in findings or []]
        body = "\n".join(lines)
        return Measurement(
            observed,
            self.asks(),
            ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=tuple(notes),
            rests=below(top, ctx.root, tree.rests),
        )

    def _look(self, tree: Tree, wanted: Wanted) -> tuple[dict[str, Any], list[str]]:
        files = tree.matching(self.paths)
        if not files:
            return {"files": 0, "found": 0}, [f"no file matches {', '.join(safe(one, 80) for one in self.paths)}"]
        pipelines = [one for file in files if (one := _pipeline(tree, file)) is not None]
        counted, notes = counts(pipelines, wanted)
        observed: dict[str, Any] = {"files": len(files), **counted}
        if not observed.get("found") and (self.step or self.uses or self.job):
            what = f"uses {safe(self.uses, 80)}" if self.uses else "runs what is asked for"
            what += f" in a job {safe(self.job, 80)}" if self.job else ""
            notes.append(f"no step in {', '.join(safe(file, 80) for file in files[:3])} {what}")
        soft = [one for one in observed.get("findings") or [] if not one["rule"].startswith("unpinned")]
        notes += [f"{one['file']}:{one['line']}: {one['rule']}" for one in soft[:3]]
        return observed, notes


def _pipeline(tree: Tree, file: str) -> Pipeline | None:
    documents = roots(tree, file)
    if not documents or not isinstance(documents[0].value, dict):
        raise ProbeError(f"{safe(file, 200)}: describes no workflow: it is empty or no mapping")
    if len(documents) == 1 and is_workflow(documents[0]):
        return read_workflow(tree, file, documents[0])
    return read_pipeline(tree, file)
