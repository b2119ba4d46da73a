"""captain gate: go or no-go for the open section, without a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending


@click.command("gate")
@click.argument("words", nargs=-1, metavar="[RUN] SECTION")
@click.option("--go", "decision", flag_value="go", help="Close the section and open the next one.")
@click.option("--no-go", "decision", flag_value="no_go", help="Keep it open; needs --note.")
@click.option("--reopen", "decision", flag_value="reopen", help="Open a closed section again; needs --note.")
@click.option("--note", default="", metavar="TEXT", help="Why.")
@click.option("--confirm", metavar="ENV", help="The environment's name, where it must be typed.")
@click.option("--no-way-back", metavar="REASON", help="Go without a way back, and say why.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Decide on the gate of a SECTION. A go measures again what is too old, and is refused with the run's code.

    Exit 0 decided, 1 a blocker failed or was rejected, 3 something is unknown, 4 waits for a person or a name.
    """
    from captain.commands.shared.ending import headless
    from captain.commands.shared.runs import words
    from captain.errors import UsageError

    run, section = words(given["words"], "SECTION")
    if given["decision"] is None:
        raise UsageError("what do you decide?", hint="one of --go --no-go --reopen")
    common = settle(ctx)
    return headless(lambda ending: _decide(common, run or None, section, given, ending))


async def _decide(common: Common, run: str | None, section: str, given: dict[str, Any], ending: Ending) -> int:
    from captain.commands.shared.narration import Narrator
    from captain.commands.shared.opening import engine_on
    from captain.commands.shared.pages import next_command
    from captain.diagnostics import say

    told = Narrator()
    async with engine_on(common, run, ending, publish=told.publish, effects=True) as engine:
        told.begin(engine)
        if given["decision"] == "reopen":
            await engine.reopen(section, given["note"])
        else:
            await engine.gate(
                section,
                given["decision"],
                note=given["note"],
                confirmed=given["confirm"],
                no_way_back=given["no_way_back"],
            )
        say(f"next: {next_command(engine)}")
    return 0
