"""captain trust: show the programs that the files would start, and accept them by their digest."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import click

from captain.commands.shared.options import Common, settle

if TYPE_CHECKING:
    from captain.checklist import Target
    from captain.commands.shared.ending import Ending
    from captain.trust import TrustRequest


@dataclass(slots=True)
class _Offer:
    """The programs of one digest, and whose they are."""

    request: TrustRequest
    target: Target
    places: list[str] = field(default_factory=list)
    known: bool = False


@click.command("trust")
@click.argument("checklist", required=False)
@click.option("-e", "--environment", metavar="ENV", help="Only in this environment; else in every declared one.")
@click.option("--digest", metavar="DIGEST", help="Accept the commands of that digest without asking.")
@click.pass_context
def command(ctx: click.Context, checklist: str | None, environment: str | None, digest: str | None) -> int:
    """Show every program of CHECKLIST, or of all that captain.yaml lists: of probes, actions and the rollback.

    What is accepted holds for you and this log, until a program or a file of the repository that it runs changes.
    """
    from captain.errors import UsageError

    common = settle(ctx)
    offers = _offers(common, checklist, environment)
    if digest is not None:
        offers = [one for one in offers if one.request.digest == digest]
        if not offers:
            raise UsageError(f"no commands here have the digest {digest[:64]}", hint="captain trust shows them")
    for one in offers:
        _show(one)
    left = [one for one in offers if not one.known]
    if not left:
        from captain.diagnostics import say

        say("all of it was accepted before" if offers else "the files start no programs: there is nothing to accept")
        return 0
    return _decide(common, left, digest)


def _decide(common: Common, left: list[_Offer], digest: str | None) -> int:
    from captain.commands.shared.asking import ask_now
    from captain.commands.shared.ending import headless
    from captain.commands.shared.out import many
    from captain.diagnostics import ExitCode, say
    from captain.errors import UsageError

    may_ask = not common.no_input and sys.stdin.isatty()
    if digest is None and not may_ask:
        raise UsageError("nobody can be asked here", hint=f"captain trust --digest {left[0].request.digest}")
    code = ExitCode.GO
    for one in left:
        if digest is None and ask_now(f"Accept {one.request.digest[:12]}… ? [y/N] ").lower() not in ("y", "yes"):
            say("not accepted")
            code = ExitCode.NO_GO
            continue
        if ended := headless(partial(_accept, common, one)):
            return ended
        say(f"accepted {many(len(one.request.programs), 'command', 'commands')}, {one.request.digest}")
    return code


async def _accept(common: Common, offer: _Offer, ending: Ending) -> int:
    from captain.commands.shared.opening import engine_over, open_log

    async with engine_over(common, offer.target, open_log(common), ending) as engine:
        await engine.accept(offer.request.digest, via="cli")
    return 0


def _offers(common: Common, checklist: str | None, environment: str | None) -> list[_Offer]:
    from captain.commands.shared.opening import acceptances
    from captain.commands.shared.runs import reading
    from captain.errors import UsageError
    from captain.loader import load, load_service
    from captain.trust import request

    home = load_service(common.cwd)
    names = [checklist] if checklist is not None else list(home.checklists)
    if not names:
        raise UsageError("no checklist to look at", hint="name one, or list them in captain.yaml")
    places: list[str | None] = [environment] if environment is not None else [*home.environments]
    found: dict[str, _Offer] = {}
    for name in names:
        for place in places or [None]:
            target = load(name, place, cwd=common.cwd)
            asked = request(target)
            if asked is not None:
                offer = found.setdefault(asked.digest, _Offer(asked, target))
                offer.places.append(f"{target.checklist.checklist} in {target.environment}")
    with reading(common, made_later=True) as log:
        given = acceptances(log, common.actor().uid, home.root) if log is not None else set()
    for offer in found.values():
        offer.known = offer.request.digest in given
    return list(found.values())


def _show(offer: _Offer) -> None:
    from captain.commands.shared.out import line

    line((", ".join(offer.places), "strong"), "  accepted" if offer.known else "")
    for program in offer.request.programs:
        shown = program.run if isinstance(program.run, str) else shlex.join(program.run)
        how = "sh -c  " if isinstance(program.run, str) else ""
        where = f"  in {program.cwd}" if program.cwd != "." else ""
        where += f"  in container {program.container}" if program.container is not None else ""
        given = f"  with {', '.join(program.env)}" if program.env else ""
        line(f"  {how}{shown}{where}{given}")
    line(f"  digest {offer.request.digest}")
