"""captain show: everything that happened in a run, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import Common, settle
from captain.commands.shared.out import as_json, format_option, json_option, line, put

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending
    from captain.commands.shared.runs import Row
    from captain.events import Recorded
    from captain.log.store import Log

_TONES = {"good": "good", "warning": "warning", "bad": "bad", "loud": "strong", "quiet": "quiet", "plain": ""}


@click.command("show")
@click.argument("run", required=False)
@format_option
@json_option
@click.pass_context
def command(ctx: click.Context, run: str | None, form: str) -> int:
    """Show RUN, or the only open one: its steps and its timeline."""
    from captain.commands.shared.ending import headless
    from captain.commands.shared.opening import open_log
    from captain.commands.shared.runs import find, rows, service_here

    common = settle(ctx)
    log = open_log(common, read_only=True)
    try:
        row = find(rows(log), run, service_here(common) if run is None else None, checks=True)
    except BaseException:
        log.close()
        raise
    return headless(lambda ending: _show(common, log, row, form, ending))


async def _show(common: Common, log: Log, row: Row, form: str, ending: Ending) -> int:
    from captain.commands.shared import pages
    from captain.commands.shared.document import elapsed_ms, run_document
    from captain.commands.shared.narration import titles
    from captain.commands.shared.opening import engine_reading
    from captain.commands.shared.outcome import Rules, outcome
    from captain.diagnostics import warn
    from captain.errors import CaptainError

    events = list(log.entries(run=row.run))
    names: dict[str, str] = {}
    try:
        async with engine_reading(common, log, row, ending) as engine:
            view = engine.view()
            check = view.run.kind == "check"
            found = outcome(view, Rules(actions=not check, gates=not check))
            if form == "json":
                put(as_json(run_document(view, found, duration_ms=elapsed_ms(view))))
                return 0
            names = titles(engine)
            line((pages.head(view.run), "strong"))
            line(f"{view.run.id}  {view.run.state.replace('_', ' ')}")
            pages.steps(found)
    except CaptainError as problem:
        if form == "json":
            raise
        # What happened can be told without the files that it was done with.
        warn(f"{problem.message}; only the timeline is shown")
        line((row.run, "strong"))
    _timeline(events, names)
    return 0


def _timeline(events: list[Recorded], names: dict[str, str]) -> None:
    from captain.events.sentences import sentence

    line("")
    line(("Timeline", "strong"))
    day = ""
    for event in events:
        if event.ts[:10] != day:
            day = event.ts[:10]
            line(f"{day} UTC")
        told = sentence(event, names)
        line(f"  {event.ts[11:19]}  {event.seq:>4}  {told.who}  ", (told.text, _TONES[told.tone]))
