"""Where captain keeps things, from flags, environment and platform, in that order. Creates nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from captain.errors import LogError
from captain.safe import safe

_PART = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,199}")
"""What may be a part of a path: no separator, and no dot in front."""


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
        """The folder of an attempt. Raises LogError for an id that captain did not make: a log may be anybody's."""
        return self.state / "attempts" / _part(attempt)

    def target(self, run: str, plan_id: str) -> Path:
        """The file of one way back. Raises LogError for names that captain did not make."""
        return self.state / "targets" / _part(run) / f"{_part(plan_id)}.json"


def _part(name: str) -> str:
    if not _PART.fullmatch(name):
        raise LogError(f"the log names {safe(name, 80)!r}, which can be no file of captain's", hint="captain verify")
    return name


def settings(log: str | None, environ: Mapping[str, str]) -> Settings:
    """The paths for `--log`, else `$CAPTAIN_LOG`, else the platform's state directory."""
    given = log or environ.get("CAPTAIN_LOG")
    if given:
        return Settings(Path(given).expanduser().absolute())
    if state := environ.get("XDG_STATE_HOME"):
        return Settings(Path(state) / "captain" / "log.sqlite")
    from platformdirs import user_state_path

    return Settings(user_state_path("captain", appauthor=False) / "log.sqlite")
