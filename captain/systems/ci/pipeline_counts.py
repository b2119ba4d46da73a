"""Which steps of CI files are meant, and what can be said about them, as conditions see it. Pure; judges nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from captain.measurement import Value
from captain.safe import safe
from captain.systems.ci.cron import longest_gap, parse_cron
from captain.systems.ci.pipelines import Job, Pipeline, Step
from captain.systems.ci.shell_lines import Command, Find, commands, meant, soft, trivy_exits

SHORTEST = timedelta(minutes=5)
"""GitHub starts no schedule more often."""
MAX_CRONS = 20
MAX_FINDINGS = 500
_FULL = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_TRIVY_ACTION = "aquasecurity/trivy-action"
_SURE = ("or-true", "never-fails", "exit-code", "set-e")
"""Rules that count where no step is chosen: what else loses a failure is often meant so."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which steps are meant; every step where neither is given."""

    find: Find | None = None
    """Where a command of a script matches."""
    uses: str | None = None
    """The action, with or without its version."""
    on: tuple[str, ...] = ()
    """Only pipelines that all of these start."""
    before: str | None = None
    """The job that the steps must stand before."""
    job: str | None = None
    """The job that they must stand in."""

    @property
    def every(self) -> bool:
        """Whether nothing is chosen."""
        return self.find is None and self.uses is None


@dataclass(frozen=True, slots=True)
class Match:
    """One step that is meant, in one pipeline."""

    pipeline: Pipeline
    job: Job
    step: Step
    place: tuple[str, int]
    """File and line."""
    soft: str
    """Why its failure changes nothing, empty where it does."""
    trivy: bool | None
    """Whether its trivy fails on findings; None where it is none."""


def matches(pipelines: Iterable[Pipeline], wanted: Wanted) -> list[Match]:
    """Every step that is meant."""
    found = []
    for pipeline in pipelines:
        if set(wanted.on) <= set(pipeline.triggers):
            for job, step in pipeline.steps():
                if wanted.job in (None, job.id):
                    found += _match(pipeline, job, step, wanted)
    return found


def _match(pipeline: Pipeline, job: Job, step: Step, wanted: Wanted) -> list[Match]:
    if step.uses:
        if not (wanted.every or (wanted.uses is not None and same_action(step.uses, wanted.uses))):
            return []
        gates = _action_exits(step)
        lost = step.soft or ("exit-code" if gates is False else "")
        return [Match(pipeline, job, step, (step.file, step.line), lost, gates)]
    found = commands(step.lines, step.interpreter)
    if wanted.every:
        lost = step.soft or next((why for one in found if (why := _surely_soft(one, step))), "")
        exits = [gates for one in found if (gates := trivy_exits(one, step.env)) is not None]
        return [Match(pipeline, job, step, (step.file, step.line), lost, all(exits) if exits else None)]
    made = []
    for one in found:
        unclear = meant(one, wanted.find) if wanted.find else None
        if unclear is not None:
            lost = step.soft or soft(one, step.env) or unclear
            made.append(Match(pipeline, job, step, (one.file, one.number), lost, trivy_exits(one, step.env)))
    return made


def _surely_soft(command: Command, step: Step) -> str:
    """Why a failure changes nothing, where that is surely so and means something."""
    why = soft(command, step.env)
    return why if why in _SURE and not (why == "set-e" and command.running.reads) else ""


def same_action(uses: str, wanted: str) -> bool:
    """Whether a step uses the action: its name or its folder, and its version where one is wanted."""
    uses, wanted = uses.lower(), wanted.lower()
    name = uses if "@" in wanted else uses.partition("@")[0]
    return name == wanted or name.startswith(f"{wanted}/")


def unpinned(uses: str) -> bool:
    """Whether an action of others is named by something that can move."""
    if uses.startswith("./"):
        return False
    if uses.startswith("docker://"):
        return not re.search(r"@sha256:[0-9a-f]{64}$", uses)
    return not _FULL.fullmatch(uses.rpartition("@")[2])


def _action_exits(step: Step) -> bool | None:
    if not same_action(step.uses, _TRIVY_ACTION):
        return None
    code = step.options.get("exit-code", "").strip() or step.env.get("TRIVY_EXIT_CODE", "").strip()
    return code.isdecimal() and int(code) > 0


def counts(pipelines: Sequence[Pipeline], wanted: Wanted) -> tuple[dict[str, Value], list[str]]:
    """What is observed, and what a person should know besides."""
    notes: list[str] = []
    found = matches(pipelines, wanted)
    started = [one for one in pipelines if set(wanted.on) <= set(one.triggers)]
    meant = (
        started
        if wanted.every and wanted.job is None
        else [one for one in started if any(match.pipeline is one for match in found)]
    )
    # A file that two pipelines call holds its steps once.
    lost = {match.place: match.soft for match in found if match.soft}
    loose = {match.place: match.step.uses for match in found if unpinned_match(match)}
    if wanted.every:
        loose |= {(file, line): name for pipeline in meant for file, line, name in pipeline.imports}
    observed: dict[str, Value] = {
        "found": len({match.place for match in found}),
        "soft_failures": len(lost),
        "unpinned_actions": len(loose),
        "triggers": list(_once(one for pipeline in meant for one in pipeline.triggers)),
        "cron": list(_once(one for pipeline in meant for one in pipeline.crons)),
        "jobs": list(_once(one for pipeline in meant for one in pipeline.jobs)),
        "permissions": [*sorted({one for pipeline in meant for one in pipeline.permissions})],
    }
    if (gap := _interval(meant, notes)) is not None:
        observed["cron_interval"] = gap
    exits = [match.trivy for match in found if match.trivy is not None]
    if exits:
        observed["exit_code_set"] = all(exits)
    before = _before(started, found, wanted, observed, notes)
    observed["gating"] = bool(found) and not lost and before
    listed = [(file, line, rule) for (file, line), rule in lost.items()]
    listed += [(file, line, f"unpinned {name}") for (file, line), name in loose.items()]
    findings: list[Value] = [
        {"file": file, "line": line, "rule": rule} for file, line, rule in sorted(listed)[:MAX_FINDINGS]
    ]
    observed["findings"] = findings
    unread = list(_once(one for pipeline in started for one in pipeline.unread if not one.startswith("./")))
    if unread and not wanted.every:
        notes.append(f"not read, because it lies elsewhere: {', '.join(safe(one, 80) for one in unread[:5])}")
    gone = list(_once(one for pipeline in started for one in pipeline.unread if one.startswith("./")))
    if gone:
        notes.append(f"called and not there: {', '.join(safe(one, 80) for one in gone[:5])}")
    return observed, notes


def unpinned_match(match: Match) -> bool:
    """Whether the step uses something of others in a version that can move."""
    return bool(match.step.uses) and unpinned(match.step.uses)


def _before(
    pipelines: Sequence[Pipeline],
    found: Sequence[Match],
    wanted: Wanted,
    observed: dict[str, Value],
    notes: list[str],
) -> bool:
    """Whether a step that is meant keeps the job from running when it fails; true where no job is named."""
    if wanted.before is None:
        return True
    if not any(wanted.before in pipeline.jobs for pipeline in pipelines):
        notes.append(f"no job is called {safe(wanted.before, 80)}")
        return False
    observed["in_needs_of_deploy"] = any(match.job.id in match.pipeline.before(wanted.before) for match in found)
    return any(match.job.id in match.pipeline.before(wanted.before, gating=True) for match in found)


def _interval(pipelines: Sequence[Pipeline], notes: list[str]) -> timedelta | None:
    """The longest time between two scheduled runs of a pipeline, of the one that runs most often."""
    gaps = []
    for pipeline in pipelines:
        try:
            if len(pipeline.crons) > MAX_CRONS:
                raise ValueError(f"more than {MAX_CRONS} schedules")
            gap = longest_gap([parse_cron(one) for one in pipeline.crons])
        except ValueError as error:
            notes.append(f"{safe(pipeline.file, 120)}: the schedule cannot be read: {safe(error, 120)}")
            continue
        if gap is not None:
            gaps.append(max(gap, SHORTEST))
    return min(gaps, default=None)


def _once(names: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(names)
