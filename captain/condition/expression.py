"""A compiled expression run against values: a result, or the reason why there is none, in plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from captain.condition import cel, lint
from captain.condition.celtypes import DURATION, TIMESTAMP, CelType
from captain.condition.facts import Facts
from captain.condition.render import GONE
from captain.condition.scope import Scope
from captain.condition.tree import Read
from captain.condition.wire import WireError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an expression gives: a plain value, or None and why there is none."""

    value: Any
    error: str | None = None


@dataclass(frozen=True)
class Expression:
    """An expression of any type."""

    text: str
    scope: Scope
    """As compiled: in an open scope the names it takes for observations are declared."""
    program: cel.Program = field(compare=False)
    reads: tuple[Read, ...] = field(compare=False)
    """The places that read a declared name, each once."""

    @property
    def names(self) -> frozenset[str]:
        """The declared names it uses, `backend.size` being one; constants such as MB are not among them."""
        return frozenset(read.name for read in self.reads) - cel.SIZES.keys()

    def run(self, values: Mapping[str, Any] | Facts) -> Outcome:
        """Never raises; a missing value, an error and an exception of the library are all told in `error`."""
        facts = values if isinstance(values, Facts) else Facts(values)
        data: dict[str, Any] = {}
        large: dict[str, str] = {}
        for name in self.names:
            value = self._value(facts, name, large)
            if value is not GONE:
                data[name] = value
        try:
            program = self._program(facts, data)
        except (cel.CompileError, WireError):
            return Outcome(None, "last holds durations or moments deeper than conditions can read")
        value, error = program.run(data)
        return Outcome(None, self._why(error, facts, large)) if error else Outcome(value)

    def _value(self, facts: Facts, name: str, large: dict[str, str]) -> Any:
        if name in self.scope.values:
            return self.scope.values[name]
        value, found = facts.plain(name, whole=True)
        mine = [read for read in self.reads if read.name == name]
        # Counting a long list and picking one element of it are safe; looking through it is not.
        looked = {
            str(Read(name, at)): sentence
            for at, sentence in found.items()
            if any(at[: len(read.keys)] == read.keys and not (read.counted and at == read.keys) for read in mine)
        }
        large.update(looked)
        return facts.plain(name, whole=False)[0] if looked else value

    def _program(self, facts: Facts, data: dict[str, Any]) -> cel.Program:
        """The program, or one in which `last` is spelt out: the library takes no durations inside a map."""
        last = facts.find("last") if "last" in self.names else None
        if not isinstance(last, Mapping):
            return self.program
        times: dict[str, timedelta] = {}
        moments: dict[str, datetime] = {}
        spelt = _spelt(last, "last", times, moments)
        if not times and not moments:
            return self.program
        data.update({_TIMES: times, _MOMENTS: moments})
        maps = {_TIMES: CelType("map", DURATION), _MOMENTS: CelType("map", TIMESTAMP)}
        names = tuple(sorted({**self.scope.types, **maps}.items()))
        return cel.compile_text(f"cel.bind(last, {spelt},\n{self.text}\n)", names)

    def _why(self, error: str, facts: Facts, large: Mapping[str, str]) -> str:
        if any(sign in error for sign in _ABSENT):
            missing = [f"{name} {sentence}" for name, sentence in large.items()]
            for read in self.reads:
                if read.name not in self.scope.values and (sentence := _missing(read, facts)):
                    missing.append(sentence)
            if missing:
                return "; ".join(dict.fromkeys(missing))
        return _humane(error)


def _missing(read: Read, facts: Facts) -> str | None:
    name = read.name
    if name in cel.SIZES:
        return None
    if facts.find(name) is GONE:
        if name.startswith("before."):
            return f"{name} was not measured before the deploy"
        if name.startswith(("release.", "previous.", "deploy.", "environment", "params.")):
            return f"{name} is not known"
        if name.startswith(("vars.", "inputs.", "secrets.")):
            return f"{name} is not set"
        return f"{name} was not observed"
    for count in range(1, read.certain + 1):
        part = Read(name, read.keys[:count])
        if facts.at(part) is GONE:
            return (
                f"{part} was not observed"
                if name not in ("release.images", "release.digests")
                else f"{part} is not known"
            )
    return None


_ABSENT = ("found in Activation", "Key not found", "Applying SELECT", "Index error")
_MISMATCH = re.compile(r"Unexpected value type for '(.*?)(?: -> .*)?': (\w+)\. \(Expected (\w+)\)")
_NO_OVERLOAD = re.compile(r"No matching overloads found : (\S+?)\((.*)\)$")
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a decimal number",
    "bool": "true or false",
    "list": "a list",
}


def _humane(error: str) -> str:
    error = lint.eased(error)
    if match := _MISMATCH.search(error):
        return f"{match[1]} was observed as {_KINDS.get(match[2], match[2])}, declared as {match[3].lower()}"
    if match := _NO_OVERLOAD.search(error):
        operator = match[1].strip("_@") or match[1]
        types = match[2].replace("int64", "int").replace("google.protobuf.", "").replace("null_type", "null").lower()
        return f"{operator} does not take {types.replace(', ', ' and ')}"
    if match := re.search(r"Key not found in map : (.*)$", error, re.DOTALL):
        return f"there is no {match[1][:80]}"
    if "Iteration budget" in error:
        return "Iteration budget exceeded: more than 10,000 loop steps"
    return error[:300]


_TIMES, _MOMENTS = "captain_times", "captain_moments"


def _spelt(value: Mapping[str, Any], at: str, times: dict[str, timedelta], moments: dict[str, datetime]) -> str:
    """A map literal of what `last` holds, times taken from variables that the library accepts."""
    entries = []
    for name, item in value.items():
        key = json.dumps(str(name), ensure_ascii=False)
        where = f"{at}[?{key}]"
        if isinstance(item, timedelta):
            times[where] = item
            entries.append(f"{key}: {_TIMES}[{json.dumps(where, ensure_ascii=False)}]")
        elif isinstance(item, datetime):
            moments[where] = item
            entries.append(f"{key}: {_MOMENTS}[{json.dumps(where, ensure_ascii=False)}]")
        elif isinstance(item, Mapping) and any(isinstance(part, timedelta | datetime) for part in item.values()):
            entries.append(f"{key}: {_spelt(item, where, times, moments)}")
        else:
            entries.append(f"?{key}: {where}")
    return "dyn({" + ", ".join(entries) + "})"
