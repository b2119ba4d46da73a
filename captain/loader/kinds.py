"""Looks up probe kinds and rollback strategies by the words files use. Third parties are asked last, each once."""

from __future__ import annotations

from dataclasses import dataclass, field

from captain.probes import RESERVED, Probe, probes
from captain.rollbacks import RESERVED as RESERVED_STRATEGIES
from captain.rollbacks import Strategy, strategies

MAX_NAMES = 500
"""Names asked for during one load: each unknown one costs a look at what is installed."""
NOT_YET = "not measured by this captain yet"
NOT_USED = "not used by this captain yet"


@dataclass
class Kinds:
    """The kinds and strategies seen during one load."""

    _probes: dict[str, type[Probe] | None] = field(default_factory=dict)
    _strategies: dict[str, type[Strategy] | None] = field(default_factory=dict)

    def probe(self, name: str) -> type[Probe] | None:
        """The kind, or None where nothing has it."""
        if name not in self._probes and len(self._probes) < MAX_NAMES:
            self._probes[name] = probes.find(name)
        return self._probes.get(name)

    def strategy(self, name: str) -> type[Strategy] | None:
        """The strategy, or None where nothing has it."""
        if name not in self._strategies and len(self._strategies) < MAX_NAMES:
            self._strategies[name] = strategies.find(name)
        return self._strategies.get(name)

    def is_kind(self, name: str) -> bool:
        """Whether a key names a kind, of this captain or of a later one."""
        return name in RESERVED or self.probe(name) is not None

    @staticmethod
    def names() -> list[str]:
        """Kinds that may stand in files."""
        return sorted({*probes.names(), *RESERVED})

    @staticmethod
    def strategy_names() -> list[str]:
        """Strategies that may stand in files."""
        return sorted({*strategies.names(), *RESERVED_STRATEGIES})
