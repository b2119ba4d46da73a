"""Params: expressions of constants alone, worked out when files are loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from captain.condition import cel, lint
from captain.condition.celtypes import CelType
from captain.condition.faults import ConditionError, Fault, about, explain
from captain.condition.wire import WireError


@dataclass(frozen=True, slots=True)
class Constant:
    """A param: its source, its type and its value, both None where the source is wrong."""

    source: str
    type: CelType | None
    value: Any


@lru_cache(maxsize=1024)
def constant(source: str) -> Constant:
    """The value of `500 * MB`, `duration("1h")`, `200`, `"text"`. Raises ConditionError."""
    lint.characters(source)
    try:
        program = cel.compile_text(source, ())
    except cel.CompileError as problem:
        faults = explain(source, str(problem), cel.SIZES)
        word = source.strip()
        if re.fullmatch(r"[\w.-]+", word):
            hint = f"write 'duration(\"{word}\")'" if re.fullmatch(r"\d+(ms|s|m|h)", word) else f"write '\"{word}\"'"
            faults = [Fault(0, f"{word} is not a constant", hint)]
        raise ConditionError(source, faults) from None
    except WireError as problem:
        raise ConditionError(source, [Fault(0, about(source, str(problem)))]) from None
    if faults := lint.rules(program.tree, source):
        raise ConditionError(source, faults)
    value, error = program.run({})
    if error or program.result is None or value is None:
        why = lint.eased(error) if error else about(source, "is not a number, text or duration")
        raise ConditionError(source, [Fault(0, why)])
    return Constant(source, program.result, value)
