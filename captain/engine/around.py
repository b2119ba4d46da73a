"""What a kind with probes of its own may ask: those probes, and whether its conditions hold. Records nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.engine.names import compiled, values
from captain.errors import ProbeError
from captain.probes import Held, Seen, Sights
from captain.scopes import step_scope

if TYPE_CHECKING:
    from captain.checklist import Ask, Step
    from captain.engine.desk import Desk
    from captain.measurement import Safety
    from captain.release import Release


@dataclass(frozen=True, slots=True)
class Inner:
    """The probes of one probe of a step, everything in them resolved."""

    desk: Desk
    step: Step
    asks: Mapping[str, Ask]
    releases: Mapping[str, Release | None]
    permitted: Safety

    async def ask(self, name: str, timeout: timedelta) -> Seen:
        """Ask one of them once."""
        from captain.engine.ask import ask_resolved, fault

        ask = self.asks[name]
        if ask.probe is None:
            error = ProbeError(f"probe {ask.kind}: not measured by this captain yet")
            return Seen({}, error, False)
        answer = await ask_resolved(
            self.desk, name, ask.kind, ask.probe, timeout, self.releases, permitted=self.permitted
        )
        return Seen(answer.observed, answer.error, answer.error is not None and fault(answer) == "fail")

    def holds(self, conditions: Sequence[str], seen: Sights, before: Sights | None = None) -> Held:
        """Judge conditions over them."""
        from captain.condition import judge

        scope = step_scope(self.desk.target, self.step, self.asks)
        facts: dict[str, Any] = {
            name: value for name, value in values(self.desk, self.step, seen, self.releases).items()
            if not name.startswith("before.")
        }  # fmt: skip
        for probe, observed in (before or {}).items():
            facts |= {f"before.{probe}.{name}": value for name, value in observed.items()}
        judged = judge(compiled(tuple(conditions), scope), (), facts)
        truths = {"pass": True, "fail": False}
        return Held(truths.get(judged.verdict.value), judged.message)
