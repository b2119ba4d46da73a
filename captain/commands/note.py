"""captain note: write something down in a run, also after its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending


@click.command("note")
@click.argument("words", nargs=-1, metavar="[RUN] TEXT")
@click.option("--step", metavar="STEP", help="Write it on a step.")
@click.option("--evidence", metavar="URL|FILE", multiple=True, help="A file or a URL; may be given again.")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...], step: str | None, evidence: tuple[str, ...]) -> int:
    """Add TEXT to RUN. At most 4 KiB are kept."""
    from captain.commands.shared.ending import headless
    from captain.commands.shared.runs import words as taken

    run, text = taken(words, "TEXT")
    common = settle(ctx)
    return headless(lambda ending: _note(common, run or None, text, step, evidence, ending))


async def _note(
    common: Common, run: str | None, text: str, step: str | None, evidence: tuple[str, ...], ending: Ending
) -> int:
    from captain.commands.shared.opening import engine_on
    from captain.diagnostics import say

    async with engine_on(common, run, ending) as engine:
        await engine.note(text, step, evidence)
        say(f"recorded in {engine.view().run.id}")
    return 0
