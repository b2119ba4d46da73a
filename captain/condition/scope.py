"""Which names an expression may use, and of which type each is. Knows no probe and no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from captain.condition.celtypes import BOOL, DYN, MAP, STRING, TEXTS, TIMESTAMP, CelType
from captain.condition.constants import Constant, constant
from captain.condition.faults import ConditionError

_RELEASE = {"version": STRING, "commit": STRING, "tag": STRING, "images": TEXTS, "digests": TEXTS}
_ALWAYS = {
    **{f"release.{name}": kind for name, kind in _RELEASE.items()},
    **{f"previous.{name}": kind for name, kind in _RELEASE.items()},
    "environment": STRING,
}
_PATH = re.compile(r"\w+(?:\.\w+)*")
_MOMENTS = {"now": TIMESTAMP, "deploy.started_at": TIMESTAMP, "signed": BOOL}

Probes = Mapping[str, Mapping[str, CelType] | None]
"""By name, a single probe under "": what it observes, or None for a kind this captain cannot measure yet."""


@dataclass(frozen=True)
class Scope:
    """Declared names. Equal scopes share compiled expressions.

    A probe of an unknown kind is dyn by its name; a single one makes the scope `open`: names that nobody
    declares are taken for its observations.
    """

    names: tuple[tuple[str, CelType], ...]
    """Sorted. `backend.size` is one name."""
    observed: frozenset[str]
    """Those of the names that a measurement or a person supplies; a condition must use one."""
    constants: tuple[tuple[str, Any], ...] = ()
    """Values of the params that have one, by dotted name."""
    open: bool = False

    @classmethod
    def of(cls, probes: Probes, params: Mapping[str, str] | None = None, vars: Iterable[str] = ()) -> Scope:
        """The scope of a step's conditions. Params are CEL sources; a wrong one is dyn and never has a value.

        Raises ValueError where an observation has the name of something else.
        """
        observed = dict(_flat(probes))
        others = {**_ALWAYS, **_MOMENTS, "last": MAP, **{f"vars.{name}": STRING for name in vars}}
        if twice := others.keys() & observed.keys():
            raise ValueError(f"an observation may not be called {min(twice)}")
        before = {f"before.{name}": kind for name, kind in observed.items()}
        if probes.get("", {}) is None:
            before = {"before": DYN}
        constants = _constants(params or {})
        typed = {name: constant.type or DYN for name, constant in constants.items()}
        return cls(
            tuple(sorted({**observed, **before, **others, **typed}.items())),
            frozenset((*observed, *before, "last", "signed")),
            tuple((name, constant.value) for name, constant in constants.items() if constant.type),
            open=probes.get("", {}) is None,
        )

    @classmethod
    def template(
        cls,
        *,
        vars: Iterable[str] = (),
        params: Mapping[str, str] | None = None,
        inputs: Iterable[str] = (),
        secrets: Iterable[str] = (),
    ) -> Scope:
        """The scope of `${{ }}`."""
        constants = _constants(params or {})
        texts = {"vars": vars, "inputs": inputs, "secrets": secrets}
        names = {f"{group}.{name}": STRING for group, members in texts.items() for name in members}
        typed = {name: constant.type or DYN for name, constant in constants.items()}
        return cls(
            tuple(sorted({**_ALWAYS, **names, **typed}.items())),
            frozenset(),
            tuple((name, constant.value) for name, constant in constants.items() if constant.type),
        )

    @cached_property
    def types(self) -> Mapping[str, CelType]:
        """The names as a mapping."""
        return dict(self.names)

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The params as a mapping, by dotted name."""
        return dict(self.constants)

    @cached_property
    def known(self) -> tuple[str, ...]:
        """The names, those first that somebody most likely meant."""
        own = self.observed - {"last", "signed"}
        return tuple(sorted(self.types, key=lambda name: (name not in own, name.startswith("before."), name)))

    def naming(self, text: str) -> tuple[tuple[str, CelType], ...]:
        """Of the names those that stand in the text, as they are or before a dot."""
        types = self.types
        paths = [path.split(".") for path in _PATH.findall(text)]
        found = {".".join(path[:end]) for path in paths for end in range(1, len(path) + 1)} & types.keys()
        return tuple((name, types[name]) for name in sorted(found))

    @cached_property
    def _hash(self) -> int:
        return hash((self.names, self.observed, tuple((name, repr(value)) for name, value in self.constants)))

    def __hash__(self) -> int:
        return self._hash

    def with_dyn(self, names: Iterable[str]) -> Scope:
        """The same scope with further observations of unknown type."""
        more = dict.fromkeys(names, DYN)
        return Scope(
            tuple(sorted({**self.types, **more}.items())), self.observed | more.keys(), self.constants, self.open
        )


def _flat(probes: Probes) -> Iterable[tuple[str, CelType]]:
    for probe, observations in probes.items():
        if observations is None:
            if probe:
                yield probe, DYN
            continue
        for name, kind in observations.items():
            yield (f"{probe}.{name}" if probe else name), kind


def _constants(params: Mapping[str, str]) -> dict[str, Constant]:
    found: dict[str, Constant] = {}
    for name, source in params.items():
        try:
            found[f"params.{name}"] = constant(source)
        except ConditionError:  # the loader reports it at the param; conditions that use it shall not fail as well
            found[f"params.{name}"] = Constant(source, None, None)
    return found
