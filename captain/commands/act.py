"""captain act: start a step's action and wait for what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending


@click.command("act")
@click.argument("words", nargs=-1, metavar="[RUN] STEP")
@click.option("--confirm", metavar="ENV", help="The environment's name, where it must be typed.")
@click.option("--trust", metavar="DIGEST", help="Accept the commands of that digest for this call; or $CAPTAIN_TRUST.")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...], confirm: str | None, trust: str | None) -> int:
    """Start the action of a STEP. Its output goes to stderr, its verdict to stdout.

    Exit 0 pass or warn, 1 fail, 3 unknown, 4 a name is missing. Ctrl-C leaves the action running (130).
    """
    from captain.commands.shared.ending import headless
    from captain.commands.shared.runs import words as taken

    run, step = taken(words, "STEP")
    common = settle(ctx)
    return headless(lambda ending: _act(common, run or None, step, confirm, trust, ending))


async def _act(
    common: Common, run: str | None, step_id: str, confirm: str | None, trust: str | None, ending: Ending
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
        told.begin(engine)
        try:
            await engine.act(step_id, confirmed=confirm)
        except asyncio.CancelledError:
            walked = engine.view().run
            if walked.attempt_of(step_id) is not None:
                look = f"captain check {walked.checklist} -e {walked.environment} --run {walked.id} --step {step_id}"
                ending.farewell = (
                    f"the action goes on; captain status {walked.id} says whether it runs, {look} looks again"
                )
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
