"""captain abort: give a run up, and say what is left running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending


@click.command("abort")
@click.argument("run", required=False)
@click.option("--reason", default="", metavar="TEXT", help="Why; needed.")
@click.option("--left-running", metavar="TEXT", help="What is left as it is.")
@click.option("--confirm", metavar="ENV", help="The environment's name, where it must be typed.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Give RUN up. Nothing is undone: captain rollback does that."""
    from captain.commands.shared.ending import headless

    common = settle(ctx)
    return headless(lambda ending: _abort(common, given, ending))


async def _abort(common: Common, given: dict[str, Any], ending: Ending) -> int:
    from captain.commands.shared.opening import engine_on
    from captain.diagnostics import say

    async with engine_on(common, given["run"], ending) as engine:
        await engine.abort(given["reason"], left_running=given["left_running"], confirmed=given["confirm"])
        run = engine.view().run
        say(f"{run.id} is {run.state.replace('_', ' ')}")
    return 0
