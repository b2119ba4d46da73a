"""captain sign: a person's decision on a step or a gate, without a screen."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.commands.shared.ending import Ending
    from captain.engine import Engine

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@click.command("sign")
@click.argument("words", nargs=-1, metavar="[RUN] STEP")
@click.option("--approve", "meaning", flag_value="approve", help="Yes.")
@click.option("--reject", "meaning", flag_value="reject", help="No; needs --note.")
@click.option("--not-applicable", "meaning", flag_value="not_applicable", help="It does not apply; needs --note.")
@click.option("--waive", "meaning", flag_value="waive", help="It may stay unmet; needs --note and --until.")
@click.option("--countersign", "meaning", flag_value="countersign", help="Stand behind another's waiver or n/a.")
@click.option("--withdraw", "meaning", flag_value="withdraw", help="Take back what you signed last there.")
@click.option("--note", default="", metavar="TEXT", help="Why.")
@click.option(
    "--until", metavar="DATE", help="2026-12-31, to the end of that day here; a waiver lasts 30 days at most."
)
@click.option("--owner", metavar="NAME", help="Who puts a waived step right; else you.")
@click.option("--evidence", metavar="URL|FILE", multiple=True, help='A file, a URL, or "entry 12"; may be given again.')
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Sign a STEP, or a section's gate, of an open run. RUN may be the beginning of an id, or be left out."""
    from captain.commands.shared.ending import headless
    from captain.commands.shared.runs import words
    from captain.errors import UsageError

    run, step = words(given["words"], "STEP")
    if given["meaning"] is None:
        raise UsageError(
            "what do you decide?", hint="one of --approve --reject --not-applicable --waive --countersign --withdraw"
        )
    common = settle(ctx)
    return headless(lambda ending: _sign(common, run or None, step, given, ending))


async def _sign(common: Common, run: str | None, step: str, given: dict[str, Any], ending: Ending) -> int:
    from captain.commands.shared.opening import engine_on
    from captain.diagnostics import say
    from captain.errors import UsageError

    meaning, note = given["meaning"], given["note"]
    if meaning != "waive" and (given["until"] or given["owner"]):
        raise UsageError("--until and --owner belong to --waive")
    if meaning == "waive" and given["until"] is None:
        raise UsageError("a waiver needs its end", hint="--until YYYY-MM-DD, at most 30 days from now")
    if meaning in ("waive", "withdraw") and given["evidence"]:
        raise UsageError("--evidence belongs to a sign-off")
    async with engine_on(common, run, ending) as engine:
        if meaning == "waive":
            until = end_of_day(given["until"])
            await engine.waive(step, note, given["owner"] or engine.actor.name, until)
        elif meaning == "countersign":
            await engine.countersign(step, note, given["evidence"])
        elif meaning == "withdraw":
            await engine.withdraw(_newest(engine, step), note)
        else:
            await engine.sign(step, meaning, note, given["evidence"])
        say(f"recorded in {engine.view().run.id}, by {engine.actor.name}: {meaning.replace('_', ' ')} {step}")
        if meaning in ("approve", "waive", "not_applicable", "countersign") and (why := _open(engine, step)):
            say(f"{step} does not count yet: {why}")
    return 0


def _open(engine: Engine, step: str) -> str | None:
    """Why a step still keeps a gate closed; None where it does not, and of a gate itself."""
    from captain.run.status import status

    view = engine.view()
    at = view.step(step)
    found = None if at is None else status(view, at[1])
    return None if found is None or found.counts else found.stale_why or found.message


def _newest(engine: Engine, step: str) -> int:
    """The newest sign-off or waiver there that the person here may take back. Raises Refusal."""
    from captain.errors import Refusal
    from captain.run import allowed

    view = engine.view()
    run = view.run
    found = [one.seq for one in run.sign_offs if one.target == step]
    found += [one.seq for one in run.countersigns if one.target == step]
    found += [one.seq for one in run.waivers if one.step == step]
    for seq in sorted(found, reverse=True):
        if allowed.withdraw(view, seq) is None:
            return seq
    if found and (refusal := allowed.withdraw(view, max(found))) is not None:
        raise refusal
    raise Refusal(f"nothing is signed on {step}", exit_code=1)


def end_of_day(text: str) -> datetime:
    """The end of that day in the local zone, as UTC. Raises UsageError."""
    from captain.errors import UsageError

    try:
        if not _DATE.fullmatch(text):
            raise ValueError(text)
        day = datetime.strptime(text, "%Y-%m-%d").date()
        # Its last second by the local clock: the next midnight would be told as the day after.
        return datetime.combine(day, time(23, 59, 59)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--until takes a date like 2026-12-31, not {text[:40]!r}") from error
