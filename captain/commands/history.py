"""captain history: the runs of the log, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import settle
from captain.commands.shared.out import as_json, format_option, json_option, line, put

if TYPE_CHECKING:
    from captain.commands.shared.runs import Row


@click.command("history")
@click.option(
    "--kind",
    type=click.Choice(["release", "standing", "rollback", "check", "all"]),
    help="Only runs of a kind. [default: all but checks]",
)
@click.option("-n", "--limit", type=click.IntRange(1), help="At most so many.")
@format_option
@json_option
@click.pass_context
def command(ctx: click.Context, kind: str | None, limit: int | None, form: str) -> int:
    """List the runs of the log, newest first."""
    from captain.commands.shared.runs import reading, rows
    from captain.diagnostics import say

    common = settle(ctx)
    with reading(common) as log:
        found = [one for one in rows(log) if _meant(one, kind)][:limit] if log is not None else []
    if form == "json":
        put(as_json([one.plain() for one in found]))
        return 0
    if not found:
        say("no runs yet" if kind is None else f"no runs of kind {kind}")
    width = max((len(one.run) for one in found), default=0)
    for one in found:
        row = one.plain()
        tone = {"completed": "good", "rollback_incomplete": "bad", "aborted": "quiet"}.get(one.state, "")
        state = one.state.replace("_", " ")
        line(
            f"{row['started_at'][:16].replace('T', ' ')}  {one.run:<{width}}  ",
            (f"{state:<20}", tone),
            f" {row['verdict'] or '':<8} {row['by']}",
        )
    return 0


def _meant(row: Row, kind: str | None) -> bool:
    own = row.start.data["kind"]
    return own != "check" if kind is None else kind in (own, "all")
