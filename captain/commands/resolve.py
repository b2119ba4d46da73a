"""captain resolve: a person says what an unknown action did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending


@click.command("resolve")
@click.argument("words", nargs=-1, metavar="[RUN] STEP")
@click.option("--applied", "outcome", flag_value="applied", help="It did what it should.")
@click.option("--not-applied", "outcome", flag_value="not_applied", help="It did nothing; it may be started again.")
@click.option("--partial", "outcome", flag_value="partial", help="It did some of it: the step fails.")
@click.option("--note", default="", metavar="TEXT", help="How you know; needed.")
@click.option("--evidence", metavar="URL|FILE", multiple=True, help="A file or a URL; may be given again.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Say what the action of a STEP did, where neither its end nor an observation tells."""
    from captain.commands.shared.ending import headless
    from captain.commands.shared.runs import words
    from captain.errors import UsageError

    run, step = words(given["words"], "STEP")
    if given["outcome"] is None:
        raise UsageError("what did it do?", hint="one of --applied --not-applied --partial")
    common = settle(ctx)
    return headless(lambda ending: _resolve(common, run or None, step, given, ending))


async def _resolve(common: Common, run: str | None, step: str, given: dict[str, Any], ending: Ending) -> int:
    from captain.commands.shared.opening import engine_on
    from captain.diagnostics import say

    async with engine_on(common, run, ending) as engine:
        await engine.resolve(step, given["outcome"], given["note"], given["evidence"])
        say(f"recorded in {engine.view().run.id}: {step} {given['outcome'].replace('_', ' ')}")
    return 0
