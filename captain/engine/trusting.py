"""Whether the files' commands were accepted by this user, or for this process. The log remembers; files may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain import trust
from captain.errors import Refusal
from captain.events import Draft

if TYPE_CHECKING:
    from captain.engine.desk import Desk


async def trusted(desk: Desk) -> None:
    """Look at the files as they are now. A changed script is another command."""
    asked = await desk.own(lambda: trust.request(desk.target))
    desk.trust_request = asked
    if asked is None or asked.digest in (desk.trust, desk.trusted):
        desk.untrusted, desk.trusted = False, None if asked is None else asked.digest
        return
    digest = asked.digest

    def known() -> bool:
        return any(
            given.data["digest"] == digest and given.actor.uid == desk.actor.uid
            for given in desk.log.by_type("trust.given", newest_first=True)
        )

    desk.untrusted = not await desk.on_log(known)
    desk.trusted = None if desk.untrusted else digest


async def accept(desk: Desk, digest: str, via: str) -> None:
    """Record that the shown commands were accepted."""
    asked = await desk.own(lambda: trust.request(desk.target))
    if asked is None or asked.digest != digest:
        raise Refusal("the commands are not the ones that were shown", hint="look at them again")
    run = desk.run.id if desk.run is not None and not desk.run.ended else ""
    await desk.record(Draft("trust.given", run, {"digest": digest, "commands": len(asked.programs), "via": via}))
    await trusted(desk)
