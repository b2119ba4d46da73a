"""captain status: what is open, how it stands, and the command to type next. Records nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import Common, settle
from captain.commands.shared.out import as_json, format_option, json_option, line, put

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending
    from captain.commands.shared.runs import Row


@click.command("status")
@click.argument("run", required=False)
@format_option
@json_option
@click.pass_context
def command(ctx: click.Context, run: str | None, form: str) -> int:
    """Say how RUN stands, or the only open one; with several open, list them. Exit 0 whatever it says."""
    from captain.commands.shared.ending import headless
    from captain.commands.shared.runs import find, reading, rows, service_here, unnamed

    common = settle(ctx)
    with reading(common) as log:
        known = rows(log) if log is not None else []
    if run is None:
        found = [one for one in known if one.open and one.start.data["kind"] != "check"]
        service = service_here(common) if found else None
        here = unnamed([one for one in found if service in (None, one.start.data["service"])])
        if len(here) != 1:
            return _list(found, form)
        row = here[0]
    else:
        row = find(known, run, None, checks=True)
    return headless(lambda ending: _one(common, row, form, ending))


def _list(found: list[Row], form: str) -> int:
    from captain.diagnostics import say

    if form == "json":
        put(as_json({"open": [one.plain() for one in found]}))
        return 0
    if not found:
        say("nothing is open; captain run CHECKLIST -r VERSION -e ENV starts a release")
    for one in found:
        since = one.start.ts[:16].replace("T", " ")
        line(f"{one.run}  {one.state.replace('_', ' ')}  since {since} UTC, by {one.start.actor.name}")
    if found:
        say("captain status RUN says what is next")
    return 0


async def _one(common: Common, row: Row, form: str, ending: Ending) -> int:
    from captain.commands.shared import pages
    from captain.commands.shared.document import elapsed_ms, run_document
    from captain.commands.shared.opening import engine_reading, open_log
    from captain.commands.shared.outcome import Rules, outcome
    from captain.run.view import section_state

    log = open_log(common, read_only=True)
    async with engine_reading(common, log, row, ending) as engine:
        view = engine.view()
        check = view.run.kind == "check"
        found = outcome(view, Rules(actions=not check, gates=not check))
        if form == "json":
            put(as_json(run_document(view, found, duration_ms=elapsed_ms(view))))
            return 0
        line((pages.head(view.run), "strong"))
        states = ", ".join(
            f"{section.title} {section_state(view.run, view.target, section.id)}"
            for section in view.target.checklist.sections
        )
        line(f"{view.run.id}  {view.run.state.replace('_', ' ')}  {states}")
        if view.lock_holder is not None:
            line(f"held by {view.lock_holder}")
        pages.steps(found)
        pages.stands(view)
        line("")
        line(f"next: {pages.next_command(engine)}")
    return 0
