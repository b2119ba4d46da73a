"""What a check is asked for: which steps, what counts, and where its result goes. Starts and opens nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.commands.shared import pages
from captain.commands.shared.document import document
from captain.commands.shared.files import write_file
from captain.commands.shared.options import answers
from captain.commands.shared.out import line
from captain.commands.shared.outcome import Outcome, Rules, outcome
from captain.commands.shared.scoring import closing
from captain.commands.shared.step_summary import append_summary
from captain.errors import UsageError
from captain.events import Asked, Asking, Event, Recorded
from captain.exports import exports, names
from captain.fields import parse_duration
from captain.run import allowed, resting, summing
from captain.run.status import fresh, status

if TYPE_CHECKING:
    from captain.checklist import Checklist, Step, Target
    from captain.diagnostics import Steps
    from captain.run.view import View


@dataclass(slots=True)
class Wish:
    """The command line of a check, read."""

    checklist: str
    environment: str | None
    version: str | None
    commit: str | None
    inputs: dict[str, str]
    run: str | None
    phases: tuple[str, ...]
    sections: tuple[str, ...]
    steps: tuple[str, ...]
    manual: bool
    warnings: bool
    deadline: timedelta | None
    said_deadline: str | None
    form: str
    output: str
    reports: tuple[tuple[str, str], ...]
    trust: str | None
    throw_away: bool
    everything: bool
    concurrency: int
    progress: Steps | None = None
    titles: dict[str, str] | None = None
    measured: int = 0
    kept: int = 0
    """Steps that a check of a standing run did not measure again."""
    again: int = 0
    """Those that it did and that were not good before: they may have been put right, so they are never kept."""
    same: int = 0
    """Of the kept ones those whose files are as they were; the others are not old yet."""

    @classmethod
    def of(cls, **given: Any) -> Wish:
        """Raises UsageError for what cannot be meant."""
        if given["run"] is not None and given["no_record"]:
            raise UsageError("--no-record cannot be given with --run: the results belong to the run")
        if given["run"] is not None and (given["version"] or given["commit"]):
            raise UsageError("-r and --commit cannot be given with --run: the run has its release")
        if given["run"] is not None and given["inputs"]:
            raise UsageError("--set cannot be given with --run: the run has its answers")
        if given["form"] != "text":
            _format(given["form"])
        reports = []
        for one in given["reports"]:
            form, equals, path = one.partition("=")
            if not equals or not path:
                raise UsageError(f"--report takes FORMAT=FILE, not {one[:100]!r}")
            _format(form)
            reports.append((form, path))
        return cls(
            checklist=given["checklist"],
            environment=given["environment"],
            version=given["version"],
            commit=given["commit"],
            inputs=answers(given["inputs"]),
            run=given["run"],
            phases=given["phase"],
            sections=given["sections"],
            steps=given["steps"],
            manual=not given["no_manual"],
            warnings=given["fail_on"] == "warn",
            deadline=_duration(given["deadline"]),
            said_deadline=given["deadline"],
            form=given["form"],
            output=given["output"],
            reports=tuple(reports),
            trust=given["trust"],
            throw_away=given["no_record"],
            everything=given["everything"],
            concurrency=given["concurrency"],
        )

    def chosen(self, target: Target) -> list[str]:
        """Ids of the steps that are looked at, in order. Raises UsageError for a name that is nothing."""
        checklist = target.checklist
        _known(self.sections, (section.id for section in checklist.sections), "section", checklist)
        _known(self.steps, (step.id for _, step in checklist.steps()), "step", checklist)
        found = {
            step.id
            for section, step in checklist.steps()
            if (not self.phases or section.phase in self.phases)
            and (not self.sections or section.id in self.sections)
            and (not self.steps or step.id in self.steps)
        }
        if not found:
            raise UsageError(f"nothing of {checklist.checklist} is chosen", hint="captain lint shows what it holds")
        needs = {step.id: set(step.needs) for _, step in checklist.steps()}
        while more := set().union(*(needs[one] for one in found)) & needs.keys() - found:
            found |= more
        return [step for step in needs if step in found]

    def measurable(self, target: Target) -> list[Step]:
        """The chosen steps that ask something; no action."""
        chosen = set(self.chosen(target))
        return [step for _, step in target.checklist.steps() if step.id in chosen and step.asks and not step.action]

    def due(self, view: View) -> list[Step]:
        """What is to be measured now, each step behind the ones it needs."""
        from captain.engine.measure import ordered

        if refusal := allowed.changing(view):
            raise refusal
        steps = self.measurable(view.target)
        if view.run.kind != "check":
            # What an action did is looked at again where nobody saw it yet; none is started.
            chosen = set(self.chosen(view.target))
            actions = [step for _, step in view.target.checklist.steps() if step.id in chosen and step.action]
            steps += [step for step in actions if _unseen(view, step)]
        found = [step for step in steps if allowed.measure(view, step) is None]
        if view.run.standing and not self.everything:
            # What is good and fresh stays; what was not good is looked at again, for it may have been put right.
            due = {step.id for step in found if step.id in self.steps or not fresh(status(view, step))}
            if due:
                # What sums up is of before as soon as anything it counts is measured.
                due |= summing.resting(view.target.checklist)
            stay = [status(view, step).result for step in found if step.id not in due]
            self.same = sum(resting.kept(view, result) for result in stay if result is not None)
            self.kept = len(stay)
            found = [step for step in found if step.id in due]
            seen = [status(view, step).result for step in found]
            self.again = sum(result is not None and not result.verdict.good for result in seen)
        return [step for wave in ordered(found) for step in wave]

    @property
    def kept_why(self) -> str:
        """How many were kept and why, as a sentence; empty where none was."""
        if not self.kept:
            return ""
        young = self.kept - self.same
        whys = [f"{self.same} whose files are the same"] if self.same else []
        whys += [f"{young} that still count"] if young else []
        return f"kept {self.kept} ({', '.join(whys)})"

    @property
    def measured_why(self) -> str:
        """How many were measured, and how many of them because they were not good before."""
        again = f", {self.again} of them because they were not good before" if self.again else ""
        return f"measured {self.measured}{again}"

    def publish(self, event: Event) -> None:
        """Tell what is being measured, and what came out."""
        if self.progress is None:
            return
        if isinstance(event, Asking) and event.attempt == 1:
            self.progress.begin(event.step, self._title(event.step))
        elif isinstance(event, Recorded) and event.type == "step.result":
            data = event.data
            from captain.measurement import Verdict

            word, _ = pages.mark(Verdict(data["verdict"]))
            self.progress.done(data["step"], f"{word}  {self._title(data['step'])}  {data['message']}")
        elif isinstance(event, Asked):
            self.progress.end(event.step)

    def _title(self, step: str) -> str:
        return (self.titles or {}).get(step, step)


def _unseen(view: View, step: Step) -> bool:
    found = status(view, step)
    attempt = found.attempt
    return attempt is not None and attempt.id not in view.alive and found.verdict.value == "unknown"


def _known(given: Iterable[str], there: Iterable[str], what: str, checklist: Checklist) -> None:
    import difflib

    known = list(there)
    for one in given:
        if one not in known:
            near = difflib.get_close_matches(one, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known[:12])}"
            raise UsageError(f"{checklist.checklist} has no {what} {one[:64]!r}", hint=hint)


def _format(name: str) -> None:
    found = exports.find(name)
    if found is None or found.result is None:
        raise UsageError(f"no format {name[:40]!r}", hint=f"text, {', '.join(names('result'))}")


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--deadline: {error}") from error
    if not found:
        raise UsageError("--deadline: no time at all measures nothing")
    return found


def judged(view: View, wish: Wish, *, late: bool, duration: timedelta) -> tuple[Outcome, dict[str, Any]]:
    """The answer, and its document."""
    own = view.run.kind == "check"
    rules = Rules(
        steps=set(wish.chosen(view.target)),
        manual=wish.manual,
        actions=not own and not view.run.standing,
        gates=not own and not wish.steps,
        warnings=wish.warnings,
        unmeasured=f"not measured before the deadline of {wish.said_deadline}" if late else None,
    )
    found = outcome(view, rules)
    return found, document(
        view, found, duration_ms=round(duration.total_seconds() * 1000), recorded=not wish.throw_away
    )


def write(found: Outcome, result: dict[str, Any], wish: Wish, environ: Mapping[str, str]) -> None:
    """The result where it was asked for, and the further reports; for GitHub the summary of its step too."""
    for form, path in wish.reports:
        write_file(path, [_bytes(form, result)], replace=True)
    if wish.form == "github":
        append_summary(result, environ)
    if wish.form != "text":
        write_file(wish.output, [_bytes(wish.form, result)], replace=True)
    elif wish.output == "-":
        _show(found, result, wish)
    else:
        from captain.commands.shared.out import captured

        with captured() as text:
            _show(found, result, wish)
        write_file(wish.output, [text.getvalue().encode("utf-8", "replace")], replace=True)


def _bytes(form: str, result: dict[str, Any]) -> bytes:
    found = exports.find(form)
    assert found is not None
    assert found.result is not None
    return found.result(result)


def _show(found: Outcome, result: dict[str, Any], wish: Wish) -> None:
    release = result["release"]
    names = result["service"], result["environment"], release["version"], release["commit"], result["checklist"]["id"]
    line((pages.heading(*names), "strong"))
    pages.steps(found)
    if wish.kept_why:
        line("")
        line((f"{wish.kept_why}, {wish.measured_why}; --all measures everything", "quiet"))
    pages.verdict(found)
    if "score" in result:
        line("")
        line(("Score of the whole review", "strong"))
        closing(result["score"])
