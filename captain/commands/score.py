"""captain score: what a readiness review comes to, as numbers that nobody typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captain.commands.shared.options import Common, settle
from captain.commands.shared.out import as_json, format_option, json_option, line, put

if TYPE_CHECKING:
    from captain.commands.shared.advice import Counsel
    from captain.commands.shared.ending import Ending
    from captain.commands.shared.runs import Row
    from captain.log.store import Log
    from captain.score import Category, Score

_CODES = {"GO": 0, "GO WITH RISK": 0, "NO-GO": 1, "NO-GO: unverified": 3}
_MARKS = {
    "full": "✓",
    "partial": "◐",
    "waived": "≈",
    "failed": "✗",
    "unverified": "?",
    "lapsed": "⌛",
    "excused": "-",
}


@click.command("score")
@click.argument("run", required=False)
@click.option("-e", "--environment", metavar="ENV", help="The newest review of this environment.")
@format_option
@json_option
@click.pass_context
def command(ctx: click.Context, run: str | None, environment: str | None, form: str) -> int:
    """Score RUN, or the newest review of this service. Exit 0 go, 1 no-go, 3 where too much is not verified."""
    from captain.commands.shared.ending import headless
    from captain.commands.shared.opening import open_log
    from captain.commands.shared.runs import find, rows, service_here
    from captain.errors import UsageError

    if run is not None and environment is not None:
        raise UsageError("a run has its environment already", hint="leave -e or RUN out")

    common = settle(ctx)
    log = open_log(common, read_only=True)
    try:
        known = rows(log)
        if run is not None:
            row = find(known, run, None, checks=True)
        else:
            row = _newest(known, service_here(common, assumed=True), environment)
    except BaseException:
        log.close()
        raise
    return headless(lambda ending: _score(common, log, row, form, ending))


def _newest(known: list[Row], service: str | None, environment: str | None) -> Row:
    from captain.errors import UsageError

    reviews = [one for one in known if one.start.data["kind"] == "standing" and one.start.data["service"] == service]
    chosen = [one for one in reviews if environment in (None, one.start.data["environment"])]
    if not chosen:
        where = "" if environment is None else f" in {environment}"
        raise UsageError(
            f"nothing was reviewed here{where} yet",
            hint=f"captain check readiness -e {environment or 'ENV'} measures the review that captain init writes",
        )
    return chosen[0]


async def _score(common: Common, log: Log, row: Row, form: str, ending: Ending) -> int:
    from captain.commands.shared import advice, pages
    from captain.commands.shared.opening import engine_reading
    from captain.commands.shared.scoring import document
    from captain.score import decide, score

    try:
        # The engine takes the log with it when it closes.
        entries = list(log.entries(run=row.run))
    except BaseException:
        log.close()
        raise
    async with engine_reading(common, log, row, ending, decides=True) as engine:
        view = engine.view()
        found = score(view)
        decision = decide(found)
        plain = document(found, decision)
        counsel = advice.counsel(view, found, entries)
        if form == "json":
            put(as_json({"run": view.run.id, **plain, **advice.document(counsel)}))
        else:
            line((pages.head(view.run), "strong"))
            _show(found, plain, counsel)
    return _CODES[decision.word]


def _show(found: Score, plain: dict[str, Any], counsel: Counsel) -> None:
    from captain.commands.shared import advice
    from captain.commands.shared.scoring import closing

    line("")
    width = max((len(one.title) for one in (*found.categories, *found.beside)), default=0)
    for one in found.categories:
        moved = advice.moved(counsel, one.id)
        line("  ", _row(one, width), moved, ("  many not applicable" if one.much_excused else "", "warning"))
    for one in found.beside:
        line("  ", (f"{_row(one, width)}  not counted", "quiet"))
    if found.categories:
        line("")
    closing(plain)
    for reason in plain["reasons"]:
        line(f"  {reason}")
    advice.show_trend(counsel)
    if remaining := [item for one in found.categories for item in one.open]:
        line("")
        line(("Remaining", "strong"))
        for item in remaining:
            gaps = f"  capped by {', '.join(item.gaps)}" if item.gaps else ""
            line(f"  {_MARKS[item.credit]} {item.title}  {item.message}{gaps}")
    if left_out := [item for item in (*found.items, *found.uncounted, *found.gaps) if item.credit == "excused"]:
        line("")
        line(("Left out", "strong"))
        for item in left_out:
            line(f"  {_MARKS[item.credit]} {item.title}  {item.message}")
    advice.show(counsel)


def _row(one: Category, width: int) -> str:
    from captain.score import interval

    filled = one.low // 10
    bar = "█" * filled + "░" * (10 - filled)
    return f"{one.title:<{width}}  {bar}  {interval(one.low, one.high):<9} {one.label}"
