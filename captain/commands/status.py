"""captain status: what is open, how it stands, and the command to type next. Records nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from captain.clock import stamp
from captain.commands.shared.options import Common, settle
from captain.commands.shared.out import as_json, format_option, json_option, line, put

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending
    from captain.commands.shared.runs import Row
    from captain.log.store import Log
    from captain.run.expiring import Expiring

MOST_RUNS = 40
"""Newest runs that are read for what ends soon."""


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
        service = service_here(common) if known else None
        ends = _soon(log, known, service) if log is not None else []
    if run is None:
        found = [one for one in known if one.open and one.start.data["kind"] != "check"]
        here = unnamed([one for one in found if service in (None, one.start.data["service"])])
        if len(here) != 1:
            return _list(found, ends, form)
        row = here[0]
    else:
        row = find(known, run, None, checks=True)
    here_too = [one for one in ends if one.run.environment == row.start.data["environment"]]
    return headless(lambda ending: _one(common, row, here_too, form, ending))


def _list(found: list[Row], ends: list[Expiring], form: str) -> int:
    from captain.diagnostics import say

    if form == "json":
        put(as_json({"open": [one.plain() for one in found], "ends": [_plain(one) for one in ends]}))
        return 0
    if not found:
        say("nothing is open; captain run CHECKLIST -r VERSION -e ENV starts a release")
    for one in found:
        since = one.start.ts[:16].replace("T", " ")
        line(f"{one.run}  {one.state.replace('_', ' ')}  since {since} UTC, by {one.start.actor.name}")
    _ends(ends)
    if found:
        say("captain status RUN says what is next")
    return 0


def _ends(ends: list[Expiring]) -> None:
    """What ends within 30 days, a line each."""
    for one in ends:
        owner = f", owner {one.owner}" if one.owner is not None else ""
        when = f"{one.when:%Y-%m-%d %H:%M} UTC"
        line(f"ends {when}  {one.what} of {one.step} in {one.run.environment}, by {one.by}{owner}")


def _plain(one: Expiring) -> dict[str, str | None]:
    return {
        "at": stamp(one.when),
        "what": one.what,
        "step": one.step,
        "run": one.run.id,
        "environment": one.run.environment,
        "by": one.by,
        "owner": one.owner,
    }


def _soon(log: Log, known: list[Row], service: str | None) -> list[Expiring]:
    """What ends soon of the newest runs of this service; of every service where none is at hand."""
    from captain.clock import SystemClock
    from captain.run import fold
    from captain.run.expiring import expiring

    meant = [one for one in known if one.start.data["kind"] != "check" and service in (None, one.start.data["service"])]
    folded = (fold(log.entries(run=one.run)) for one in meant[:MOST_RUNS])
    return expiring([run for run in folded if run is not None], SystemClock().now())


async def _one(common: Common, row: Row, ends: list[Expiring], form: str, ending: Ending) -> int:
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
        if ends:
            line("")
        _ends(ends)
        line("")
        line(f"next: {pages.next_command(engine)}")
    return 0
