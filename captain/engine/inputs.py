"""The questions that captain.yaml asks when a run is opened: what was answered, checked and recorded."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from captain.errors import NeedsInputs, UsageError
from captain.events import Draft
from captain.run import Run

if TYPE_CHECKING:
    from captain.engine.desk import Desk


def checked(desk: Desk, given: Mapping[str, str]) -> dict[str, str]:
    """The answers, as the log may hold them. Raises UsageError for one that is not asked or does not match."""
    asked = {one.id: one for one in desk.target.service.inputs}
    found: dict[str, str] = {}
    for name, answer in given.items():
        if name not in asked:
            near = difflib.get_close_matches(name, asked, n=1)
            there = f"did you mean {near[0]}?" if near else f"asked are {', '.join(asked) or 'none'}"
            raise UsageError(f"captain.yaml asks for no input {name[:64]!r}", hint=there)
        answer = answer.strip()
        if why := asked[name].refuses(answer):
            raise UsageError(f"{name} {why}", hint=f"{asked[name].ask}: --set {name}=…")
        found[name] = desk.mask(answer)
    return found


def require(desk: Desk, answers: Mapping[str, str]) -> None:
    """Raises NeedsInputs with the questions that nobody answered."""
    left = {one.id: one.ask for one in desk.target.service.inputs if one.id not in answers}
    if left:
        raise NeedsInputs(left)


def drafts(run_id: str, answers: Mapping[str, str]) -> tuple[Draft, ...]:
    """The entry that keeps them; none where nothing was answered."""
    return (Draft("run.inputs", run_id, {"values": dict(answers)}),) if answers else ()


async def more(desk: Desk, run: Run, answers: Mapping[str, str]) -> None:
    """Record what was not answered before. Raises UsageError for another answer than the run has."""
    for name, answer in answers.items():
        if name in run.inputs and run.inputs[name] != answer:
            raise UsageError(
                f"{name} is {run.inputs[name]} in {run.id}: it was answered when the run was opened",
                hint="leave it out, or abort the run and open another",
            )
    new = {name: answer for name, answer in answers.items() if name not in run.inputs}
    if new and not desk.read_only and not run.ended:
        await desk.record(*drafts(run.id, new))
