"""What a run needs from files: a service in one environment with one checklist, and the bytes they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from captain.checklist.lists import Checklist
from captain.checklist.service import Service
from captain.checklist.steps import Step
from captain.probes import Safety


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of one file, as they were read once."""

    path: str
    """Relative to the root, with forward slashes."""
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Target:
    """A service in one environment with one checklist: everything a run needs from files, merged and checked."""

    service: Service
    """With the environment merged in."""
    environment: str
    protected: bool
    tier: str | None
    checklist: Checklist
    """Params, defaults and the environment's tier applied."""
    root: str
    """Absolute path of the folder of captain.yaml; where there is none, of where captain was started."""
    files: tuple[Source, ...] = field(default=())
    """captain.yaml (if any), the checklist, and everything it extends or refers to."""
    allow: tuple[Safety, ...] = ()
    """What steps may do in this environment besides reading."""
    others: Mapping[str, Checklist] = field(default_factory=dict)
    """By id: checklists whose steps the rollback verifies or an alias stands for."""

    def step(self, reference: str) -> Step | None:
        """The step of `id` or `checklist/id`, in this checklist or one of the others."""
        name, _, step_id = reference.rpartition("/")
        checklist = self.checklist if name in ("", self.checklist.checklist) else self.others.get(name)
        found = checklist.find(step_id) if checklist else None
        return found[1] if found else None

    @property
    def declared(self) -> bool:
        """Whether there is a captain.yaml."""
        return any(source.path in ("captain.yaml", "captain.yml") for source in self.files)

    @property
    def confirms(self) -> str | None:
        """The name that must be typed before dangerous actions, or None."""
        return self.environment if self.protected else None
