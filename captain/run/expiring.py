"""What ends soon that somebody has let go or vouched for: waivers of open runs, sign-offs given for longer. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from captain.run import Run, SignOff, Waiver, worsened

SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Expiring:
    """One of them."""

    when: datetime
    run: Run
    step: str
    what: Literal["waiver", "sign-off", "not applicable"]
    by: str
    owner: str | None = None
    """Who puts a waived step right."""


def expiring(runs: Iterable[Run], now: datetime, within: timedelta = SOON) -> list[Expiring]:
    """What ends within that time, the next first. What was renewed, taken back or has lapsed is no longer there.

    A waiver is its run's, and ends with it. An approval for longer carries over: only the newest of a person on a
    step of a checklist in an environment stands.
    """
    known = list(runs)
    found = [one for run in known if not run.ended for one in _waivers(run)]
    newest: dict[tuple[str, ...], tuple[SignOff, Run]] = {}
    seen: dict[tuple[str, ...], dict[Any, int]] = {}
    for run in known:
        about = (run.service, run.environment, run.checklist)
        results = seen.setdefault(about, {})
        for which, seq in run.seen.items():
            results[which] = max(seq, results.get(which, 0))
        for one in run.sign_offs:
            key: tuple[str, ...] = (*about, one.target, one.by.casefold())
            if one.on == "step" and (key not in newest or newest[key][0].seq < one.seq):
                newest[key] = (one, run)
    for key, (one, run) in newest.items():
        if one.expires is not None and one.meaning != "reject" and _stands(run, one, seen[key[:3]]):
            what: Literal["sign-off", "not applicable"] = "sign-off" if one.meaning == "approve" else "not applicable"
            found.append(Expiring(one.expires, run, one.target, what, one.by))
    return sorted((one for one in found if now < one.when < now + within), key=lambda one: (one.when, one.step))


def _waivers(run: Run) -> list[Expiring]:
    newest: dict[str, Waiver] = {one.step: one for one in run.waivers if one.seq not in run.withdrawn}
    return [
        Expiring(one.expires, run, step, "waiver", one.by, str(one.event.data["owner"])) for step, one in newest.items()
    ]


def _stands(run: Run, one: SignOff, seen: dict[Any, int]) -> bool:
    return one.seq not in run.withdrawn and one.seq not in run.lapsed and not worsened(seen, one)
