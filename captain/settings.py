"""Where captain keeps things, from flags, environment and platform, in that order. Creates nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Paths of one log and of the state that follows it."""

    log: Path

    @property
    def state(self) -> Path:
        """`<log>.d`: everything that is not the log itself."""
        return self.log.with_name(self.log.name + ".d")

    def lock(self, service: str, environment: str) -> Path:
        return self.state / "locks" / f"{service}@{environment}"

    def attempt(self, attempt: str) -> Path:
        return self.state / "attempts" / attempt

    def target(self, run: str, plan_id: str) -> Path:
        return self.state / "targets" / run / f"{plan_id}.json"


def settings(log: str | None, environ: Mapping[str, str]) -> Settings:
    """The paths for `--log`, else `$CAPTAIN_LOG`, else the platform's state directory."""
    given = log or environ.get("CAPTAIN_LOG")
    if given:
        return Settings(Path(given).expanduser().absolute())
    if state := environ.get("XDG_STATE_HOME"):
        return Settings(Path(state) / "captain" / "log.sqlite")
    from platformdirs import user_state_path

    return Settings(user_state_path("captain", appauthor=False) / "log.sqlite")
