"""captain act: start a step's action and wait for what came of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending
    from captain.engine import Engine
    from captain.run.view import View


@click.command("act")
@click.argument("words", nargs=-1, metavar="[RUN] STEP")
@click.option("--confirm", metavar="ENV", help="The environment's name, where it must be typed.")
@click.option("--again", is_flag=True, help="Start once more what was started already.")
@click.option("--trust", metavar="DIGEST", help="Accept the commands of that digest for this call; or $CAPTAIN_TRUST.")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...], confirm: str | None, again: bool, trust: str | None) -> int:
    """Start the action of a STEP, or run a STEP that does more than read. Its verdict goes to stdout.

    What an action prints goes to stderr. Exit 0 pass or warn, 1 fail, 3 unknown, 4 a name or --again is missing.
    Ctrl-C leaves an action running, and breaks off and cleans up what is none (130).
    """
    from captain.commands.shared.ending import headless
    from captain.commands.shared.runs import words as taken

    run, step = taken(words, "STEP")
    common = settle(ctx)
    return headless(lambda ending: _act(common, run or None, step, confirm, again, trust, ending))


async def _act(
    common: Common, run: str | None, step_id: str, confirm: str | None, again: bool, trust: str | None, ending: Ending
) -> int:
    import asyncio

    from captain.commands.shared.narration import Narrator
    from captain.commands.shared.opening import engine_on
    from captain.commands.shared.out import line
    from captain.commands.shared.pages import mark
    from captain.diagnostics import ExitCode
    from captain.measurement import Verdict
    from captain.run.status import status

    told = Narrator()
    async with engine_on(common, run, ending, publish=told.publish, effects=True, trust=trust) as engine:
        again = again or await _once(engine.view(), step_id, common)
        told.begin(engine)
        _say_what(engine, step_id)
        try:
            await engine.act(step_id, confirmed=confirm, again=again)
        except asyncio.CancelledError:
            walked = engine.view().run
            if walked.attempt_of(step_id) is not None:
                look = f"captain check {walked.checklist} -e {walked.environment} --run {walked.id} --step {step_id}"
                ending.farewell = (
                    f"the action goes on; captain status {walked.id} says whether it runs, {look} looks again"
                )
            elif step_id in walked.trials:
                ending.farewell = f"{step_id} was broken off; captain show {walked.id} says what is known of it"
            raise
        view = engine.view()
        found = view.step(step_id)
        assert found is not None
        seen = status(view, found[1])
        word, tone = mark(seen.verdict, seen.state)
        line((word, tone), f"  {found[1].title}  {seen.message}")
        if seen.verdict.good:
            return ExitCode.GO
        return ExitCode.NO_GO if seen.verdict is Verdict.FAIL else ExitCode.UNKNOWN


def _say_what(engine: Engine, step_id: str) -> None:
    """What a step that does more than read is going to do, before it does it."""
    from captain.diagnostics import say
    from captain.run import allowed

    found = engine.view().step(step_id)
    if found is None or found[1].safety == "read" or allowed.act(engine.view(), found[1]) is not None:
        return
    for line in engine.does(step_id):
        say(f"  {line}")


async def _once(view: View, step_id: str, common: Common) -> bool:
    """Ask before a repetition; True where one is wanted. NeedsConfirmation where nobody can be asked, or says no."""
    from captain.commands.shared.asking import ask
    from captain.errors import NeedsConfirmation
    from captain.run import allowed
    from captain.run.status import status

    found = view.step(step_id)
    if found is None or not allowed.again(view, found[1]) or allowed.act(view, found[1]) is not None:
        # What cannot be started at all is refused where it would be, with its own reason.
        return False
    attempt = view.run.attempt_of(step_id)
    if attempt is None:
        # A step that does more than read and whose end nobody saw: the engine says so, and wants --again.
        return False
    when = attempt.intent.ts[11:19] if attempt.intent.at.date() == view.now.date() else attempt.intent.ts[:16]
    how = "is expected since" if attempt.external else "was started already at"
    said = f"{step_id} {how} {when.replace('T', ' ')} UTC and is {status(view, found[1]).verdict}"
    if common.no_input or not sys.stdin.isatty():
        raise NeedsConfirmation(said, hint="--again starts it once more")
    if (await ask(f"{said}. Start it once more? [y/N] ")).lower() not in ("y", "yes"):
        raise NeedsConfirmation(f"{step_id} was not started once more")
    return True
