"""Measures a new checklist once, over a log that is thrown away, and says in a few lines how it stands."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from captain.commands.shared.options import Common

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending
    from captain.commands.shared.outcome import Outcome, StepOutcome
    from captain.score import Score

SECONDS = 60
_SHOWN = 8


def first_look(common: Common, checklist: str, environment: str) -> None:
    """Measure what can be measured and tell it. A problem of measuring is told, never raised: the files are written."""
    from captain.commands.shared.ending import headless
    from captain.diagnostics import say
    from captain.errors import CaptainError

    told: list[str] = []
    try:
        headless(lambda ending: _measure(common, checklist, environment, ending, told))
    except CaptainError as error:
        told = [f"not measured: {error.message}"]
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    for at, sentence in enumerate(told):
        # A line each: `captain check` tells all of it.
        line = f"{'' if at else 'score':<9}{sentence}"
        say(line if len(line) <= width else f"{line[: width - 1].rstrip()}…")


async def _measure(common: Common, checklist: str, environment: str, ending: Ending, told: list[str]) -> int:
    import asyncio

    from captain.commands.shared import opening
    from captain.commands.shared.outcome import Rules, outcome
    from captain.loader import load
    from captain.run import allowed
    from captain.score import decide, score
    from captain.settings import Settings

    target = load(checklist, environment, cwd=common.cwd)
    with tempfile.TemporaryDirectory(prefix="captain-init-") as folder:
        settings = Settings(Path(folder) / "log.sqlite")
        log = opening.open_log(common, settings=settings)
        async with opening.engine_over(common, target, log, ending, settings=settings) as engine:
            await engine.open(None, kind="check")
            view = engine.view()
            steps = [step for _, step in target.checklist.steps() if step.asks and not allowed.measure(view, step)]
            try:
                async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
                    for step in steps:
                        group.create_task(engine.measure(step.id, "check"))
            except TimeoutError:
                told.append(f"not all was measured within {SECONDS} s")
            found = outcome(engine.view(), Rules(gates=False, actions=False))
            scored = score(engine.view())
            told[:0] = [sentence(scored, decide(scored).word), *report(found)]
            await engine.end_check(found.verdict.value)
    return 0


def _word(one: StepOutcome) -> str:
    return "for people" if one.found.state in ("waiting", "lapsed") else one.found.verdict.value


def _why(one: StepOutcome) -> str:
    """What was seen where it failed; what was asked for stands in the checklist."""
    result = one.found.result
    conditions = result.event.data["conditions"] if result is not None else ()
    wrong = [each["resolved"] for each in conditions if each["role"] == "expect" and each["verdict"] == "fail"]
    return "; ".join(wrong) or one.found.message


def sentence(found: Score, word: str) -> str:
    """The score on one line, with how much of it anybody knows."""
    from captain.score import interval

    verified = round(float(found.coverage) * 100)
    return f"{interval(found.low, found.high)}  {found.label}, {verified} % of it verified: {word}"


def report(found: Outcome) -> list[str]:
    """How the steps stand, and the first that are in the way. What stands for another step stands as that one does."""
    from captain.checklist.base import Alias

    steps = [one for section in found.sections for one in section.steps]
    words_of = {one.step.id: _word(one) for one in steps}
    for one in steps:
        stands_for = one.step.asks.get("")
        if isinstance(stands_for, Alias) and stands_for.step in words_of:
            words_of[one.step.id] = words_of[stands_for.step]
    count = Counter(words_of.values())
    total = len(steps)
    words = ("pass", "warn", "fail", "unknown", "for people")
    lines = [f"of {total} steps: " + ", ".join(f"{count[word]} {word}" for word in words if count[word])]
    bad = [one for one in steps if words_of[one.step.id] in ("fail", "unknown")]
    bad.sort(key=lambda one: one.step.severity != "blocker")
    lines += [f"{words_of[one.step.id]:<7}  {one.step.title}: {_why(one)}" for one in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"and {len(bad) - _SHOWN} more: captain check readiness -e ENV tells all of each")
    return lines
