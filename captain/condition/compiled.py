"""Text to expressions and conditions, linted against a scope; a condition is true, false or unknown of values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from captain.condition import cel, lint
from captain.condition.celtypes import BOOL, DYN
from captain.condition.expression import Expression
from captain.condition.facts import Facts
from captain.condition.faults import ConditionError, Fault, about, article, explain, undeclared
from captain.condition.render import GONE, shown
from captain.condition.scope import Scope
from captain.condition.tree import Read, Tree, reads
from captain.condition.wire import WireError

_QUIET = frozenset(("now", *cel.SIZES))
"""Names whose values explain nothing beside a condition."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a condition says of some values."""

    value: bool | None
    """None where it is unknown."""
    resolved: str
    """What was seen: `status = 503, latency = 812ms`. A question mark stands for what is missing."""
    error: str | None = None
    """Why it is unknown: `latency was not observed`."""


@dataclass(frozen=True)
class Condition(Expression):
    """An expression that is true or false of what was observed."""

    def evaluate(self, values: Mapping[str, Any] | Facts) -> Judged:
        """Judge `values`: Python values by declared name, as `activation` makes them. Never raises."""
        facts = values if isinstance(values, Facts) else Facts(values)
        outcome = self.run(facts)
        resolved = self.resolve(facts)
        if outcome.error is not None:
            return Judged(None, resolved, outcome.error)
        if not isinstance(outcome.value, bool):
            return Judged(None, resolved, f"gives {shown(outcome.value)}, neither true nor false")
        return Judged(outcome.value, resolved)

    def resolve(self, facts: Facts) -> str:
        """What was seen at each place the condition reads."""
        constants = self.scope.values
        parts = []
        for read in self.reads:
            if read.name in _QUIET:
                continue
            value = constants[read.name] if read.name in constants else facts.at(read)
            if read.counted:
                size = len(value) if isinstance(value, list | tuple | str | Mapping) else GONE
                parts.append(f"size({read}) = {shown(size)}")
            else:
                parts.append(f"{read} = {shown(value)}")
        return ", ".join(dict.fromkeys(parts))


@lru_cache(maxsize=4096)
def compile_expression(text: str, scope: Scope, *, condition: bool = False, observes: bool = False) -> Expression:
    """An expression of any type, or with `condition` a Condition. Raises ConditionError with every fault."""
    lint.characters(text)
    if asked := _asked(text, scope):  # first: the checker takes has(status) for status itself and complains of its type
        raise ConditionError(text, asked)
    program, scope = _program(text, scope)
    found = _reads(program.tree, scope)
    faults = lint.rules(program.tree, text)
    if condition and not faults:
        faults += _untrue(program, text)
        if observes and scope.observed.isdisjoint(read.name for read in found):
            faults.append(Fault(0, about(text, "names nothing that is observed, so it always says the same")))
    if faults:
        raise ConditionError(text, faults)
    return (Condition if condition else Expression)(text, scope, program, found)


def compile_condition(text: str, scope: Scope, *, observes: bool = True) -> Condition:
    """A condition, cached. `observes=False` for `when`, which may ask about the environment alone.

    Raises ConditionError with every fault; `all(` without `size(` is for `lint_list`, which sees them together.
    """
    compiled = compile_expression(text, scope, condition=True, observes=observes)
    assert isinstance(compiled, Condition)
    return compiled


def lint_list(conditions: Sequence[Condition]) -> list[tuple[int, Fault]]:
    """What is wrong with conditions that stand in one list, by index."""
    return list(lint.unguarded([(condition.program.tree, condition.scope.observed) for condition in conditions]))


def _asked(text: str, scope: Scope) -> list[Fault]:
    if "has" not in text:
        return []
    try:
        return list(lint.fields_only(cel.parse_text(text, scope.names), text, scope.types))
    except (cel.CompileError, WireError):  # the checked compile says what is wrong
        return []


def _program(text: str, scope: Scope) -> tuple[cel.Program, Scope]:
    if not scope.observed:
        # Templates say the same in every step: the names in the text suffice, the others are for explaining a fault.
        with contextlib.suppress(cel.CompileError, WireError):
            return cel.compile_text(text, scope.naming(text)), scope
    while True:
        try:
            return cel.compile_text(text, scope.names), scope
        except WireError as problem:
            raise ConditionError(text, [Fault(0, about(text, str(problem)))]) from None
        except cel.CompileError as problem:
            known = (*scope.known, *cel.SIZES)
            new = set(_new(undeclared(str(problem)), scope, known)) if scope.open else set()
            if not new:
                raise ConditionError(text, explain(text, str(problem), known)) from None
            scope = scope.with_dyn(new)


def _new(names: Iterable[str], scope: Scope, known: Iterable[str]) -> Iterator[str]:
    """Names of an open scope that may be observations: declared neither as they are nor as a group."""
    groups = {name.partition(".")[0] for name in known} | set(scope.types)
    for name in names:
        root = name.partition(".")[0]
        if root not in groups:
            yield root


def _reads(tree: Tree, scope: Scope) -> tuple[Read, ...]:
    types = scope.types
    return tuple(dict.fromkeys(read for read in reads(tree.root) if read.name in types))


def _untrue(program: cel.Program, text: str) -> list[Fault]:
    if program.result in (BOOL, DYN):
        return []
    kind = article(str(program.result)) if program.result else "a value that may be missing"
    start = len(text) - len(text.lstrip())
    return [Fault(start, about(text, f"is {kind}, not true or false"), "compare it with something")]
