"""Whether the files' commands were accepted by this user, or for this process. The log remembers; files may change."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from captain import trust
from captain.engine.ask import clip
from captain.errors import Refusal
from captain.events import Draft

if TYPE_CHECKING:
    from captain.engine.desk import Desk


def where(root: str) -> str:
    """The folder that an acceptance holds for: the same words may start something else in another repository."""
    return clip(os.path.realpath(root))


async def trusted(desk: Desk) -> None:
    """Look at the files as they are now. A changed script is another command."""
    asked = await desk.own(lambda: trust.request(desk.target))
    desk.trust_request = asked
    if asked is None or asked.digest in (desk.trust, desk.trusted):
        desk.untrusted, desk.trusted = False, None if asked is None else asked.digest
        return
    digest, root = asked.digest, where(desk.target.root)

    def known() -> bool:
        return any(
            given.data["digest"] == digest and given.actor.uid == desk.actor.uid and given.data["root"] == root
            for given in desk.log.by_type("trust.given", newest_first=True)
        )

    desk.untrusted = not await desk.on_log(known)
    desk.trusted = None if desk.untrusted else digest


async def accept(desk: Desk, digest: str, via: str) -> None:
    """Record that the shown commands were accepted."""
    asked = await desk.own(lambda: trust.request(desk.target))
    if asked is None or asked.digest != digest:
        raise Refusal("the commands are not the ones that were shown", hint="look at them again")
    data = {"digest": digest, "commands": len(asked.programs), "via": via, "root": where(desk.target.root)}
    run = desk.run.id if desk.run is not None and not desk.run.ended else ""
    await desk.record(Draft("trust.given", run, data))
    await trusted(desk)
