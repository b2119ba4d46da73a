"""captain rollback: show the plan, have it confirmed, do exactly that, and prove it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending
    from captain.engine import RollbackPlan
    from captain.run import Run

_VERBS = {"verify": "look", "change": "do", "stays": "stays", "not": "not"}


@click.command("rollback")
@click.argument("run", required=False)
@click.option("--to", metavar="RELEASE", help="An earlier release than the one before; not in this captain yet.")
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--confirm", metavar="ENV", help="The environment's name, where it must be typed.")
@click.option("--cause", default="", metavar="TEXT", help="Why; may be added later with captain note.")
@click.option("--trust", metavar="DIGEST", help="Accept the commands of that digest for this call; or $CAPTAIN_TRUST.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Go back from the release of RUN to the one before it. Waits for no probe, approval or score.

    Exit 0 verified, 1 incomplete, 3 cannot tell, 4 the environment's name is missing.
    """
    from captain.commands.shared.ending import headless
    from captain.errors import Refusal

    if given["to"] is not None:
        raise Refusal(
            "rolling back to another release than the one before is not in this captain yet",
            hint="start that release as a run of its own",
        )
    common = settle(ctx)
    return headless(lambda ending: _roll_back(common, given, ending))


async def _roll_back(common: Common, given: dict[str, Any], ending: Ending) -> int:
    from captain.commands.shared.narration import Narrator
    from captain.commands.shared.opening import engine_on
    from captain.diagnostics import ExitCode, say

    told = Narrator()
    async with engine_on(
        common, given["run"], ending, publish=told.publish, effects=True, trust=given["trust"]
    ) as engine:
        plan = await engine.plan_rollback()
        _show(plan)
        if given["dry_run"]:
            return ExitCode.GO if plan.ready else ExitCode.NO_GO
        confirmed = given["confirm"] or await _ask(plan, common)
        name = engine.view().run.id
        ending.patience = (
            f"the rollback goes on; Ctrl-C again leaves it half done, captain rollback {name} goes on with it"
        )
        ending.farewell = f"left; what runs goes on, what comes after it waits for captain rollback {name}"
        told.begin(engine)
        await engine.roll_back(plan, confirmed=confirmed, cause=given["cause"])
        run = engine.view().run
        code = _code(run)
        if code and not run.ended:
            say(f"next: captain rollback {name}, or captain abort {name} --reason … --left-running …")
    return code


def _show(plan: RollbackPlan) -> None:
    from captain.commands.shared.out import line

    line((f"{plan.run}: {plan.leaving.label} → {plan.to.label}", "strong"), "  goes on" if plan.going_on else "")
    for stopped in plan.stops:
        line(f"  stop   {stopped}")
    for part in plan.parts:
        line(f"{part.id} ({part.strategy})  {part.leaving} → {part.to}")
        for one in part.lines:
            line(f"  {_VERBS.get(one.verb, one.verb):<6} {one.text}")
        if part.unknown:
            line(("  an earlier try was started, and nobody knows what it did", "warning"))
        if part.why is not None:
            line((f"  NOT ready: {part.why}", "bad"))
    line(f"then   {', '.join(plan.verify)} must pass" if plan.verify else "then   nothing would prove it")
    if not plan.ready:
        line((f"NOT READY  {plan.why}", "bad"))


async def _ask(plan: RollbackPlan, common: Common) -> str | None:
    """The typed name. None where none is asked for, or nobody can be asked."""
    from captain.commands.shared.asking import ask

    if plan.confirm is None or plan.going_on or common.no_input or not sys.stdin.isatty():
        return None
    return await ask(f"Type the environment's name to roll back {plan.leaving.label}: ")


def _code(run: Run) -> int:
    """Verified, incomplete, or cannot tell: everything was done, and what should prove it gave no answer."""
    from captain.diagnostics import ExitCode

    end = run.rollback.end if run.rollback is not None else None
    if run.rollback is None or end is None:
        return ExitCode.UNKNOWN
    if end.data["state"] == "rolled_back":
        return ExitCode.GO
    tried = {known.part: known for name in run.rollback.attempts if (known := run.attempts[name]).part}
    done = all(known.succeeded for known in tried.values()) and len(tried) == len(run.rollback.intent.data["parts"])
    verdicts = [one["verdict"] for one in end.data["verified"]]
    return ExitCode.UNKNOWN if done and "fail" not in verdicts else ExitCode.NO_GO
