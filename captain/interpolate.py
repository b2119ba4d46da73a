"""Templates: `${{ CEL }}` in texts, worked out in one pass. What a value brings in is never looked at again.

Knows no file and no probe; where templates and which secrets may stand is the loader's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from captain.condition import ConditionError, Expression, Fault, Scope, compile_expression
from captain.condition.faults import about, article
from captain.errors import CaptainError

_OPEN = "${{"
_WRITABLE = frozenset(("string", "int", "double", "bool", "duration", "timestamp", "dyn"))


class Unresolved(CaptainError):
    """A template needs something that is not there. The message names it."""


@dataclass(frozen=True)
class Part:
    """One `${{ … }}` of a template."""

    source: str
    """As written, with its braces."""
    expression: Expression

    @property
    def secret(self) -> bool:
        return any(name.startswith("secrets.") for name in self.expression.names)

    def resolve(self, values: Mapping[str, Any]) -> str:
        unset = sorted(name for name in self.expression.names if name.startswith("secrets.") and name not in values)
        if unset:
            name = unset[0].partition(".")[2]
            raise Unresolved(f"{self.source}: {unset[0]} is not set", hint=f"set ${name}, or ${name}_FILE to a file")
        unsaid = sorted(name for name in self.expression.names if name.startswith("inputs.") and name not in values)
        if unsaid:
            name = unsaid[0].partition(".")[2]
            raise Unresolved(f"{self.source}: {unsaid[0]} was not answered", hint=f"--set {name}=…")
        outcome = self.expression.run(values)
        if outcome.error is not None or outcome.value is None:
            # An error of the library may quote what it was given.
            why = "cannot be worked out" if self.secret else outcome.error or "gives nothing"
            raise Unresolved(f"{self.source}: {why}")
        return _written(self.source, outcome.value)


@dataclass(frozen=True)
class Template:
    """A text with expressions in it."""

    parts: tuple[str | Part, ...]
    """Literal text, escapes undone, and expressions in turn."""

    def resolve(self, values: Mapping[str, Any]) -> str:
        """The text with every expression worked out. Raises Unresolved."""
        return "".join(part if isinstance(part, str) else part.resolve(values) for part in self.parts)


@lru_cache(maxsize=4096)
def compile_template(text: str, scope: Scope) -> Template:
    """The template of a text; `scope` is `Scope.template(…)`. `$${{` stands for a plain `${{`.

    Raises ConditionError with every fault, offsets counted in `text`.
    """
    parts: list[str | Part] = []
    faults: list[Fault] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        if start > at and text[start - 1] == "$":
            parts += [text[at : start - 1], _OPEN]
            at = start + len(_OPEN)
            continue
        parts.append(text[at:start])
        inner = start + len(_OPEN)
        end = _end(text, inner)
        if end is None:
            faults.append(Fault(start, "${{ is never closed", "write }} behind it, or $${{ for the characters"))
            break
        try:
            parts.append(Part(text[start : end + 2], _expression(text[inner:end], scope)))
        except ConditionError as problem:
            faults += [Fault(inner + fault.offset, fault.message, fault.hint) for fault in problem.faults]
        at = end + 2
    if faults:
        raise ConditionError(text, faults)
    parts.append(text[at:])
    return Template(tuple(part for part in parts if part))


def resolve_tree(tree: Any, scope: Scope, values: Mapping[str, Any]) -> Any:
    """Lists and mappings with every text and key in them resolved. Raises ConditionError and Unresolved."""

    def text(written: str) -> str:
        return compile_template(written, scope).resolve(values) if _OPEN in written else written

    match tree:
        case str():
            return text(tree)
        case list() | tuple():
            return [resolve_tree(item, scope, values) for item in tree]
        case Mapping():
            found: dict[str, Any] = {}
            for key, item in tree.items():
                name = text(key)
                if name in found:
                    raise Unresolved(f"{key}: {name} stands there twice")
                found[name] = resolve_tree(item, scope, values)
            return found
        case _:
            return tree


def _expression(source: str, scope: Scope) -> Expression:
    expression = compile_expression(source, scope)
    kind = expression.program.result
    if kind is None or kind.name not in _WRITABLE:
        what = article(str(kind)) if kind else "a value that may be missing"
        raise ConditionError(source, [Fault(_indent(source), about(source, f"gives {what}, not a text"))])
    return expression


def _indent(source: str) -> int:
    return len(source) - len(source.lstrip())


def _end(text: str, at: int) -> int | None:
    """Where the `}}` stands that closes an expression: outside its texts and its own braces."""
    depth = 0
    quote, raw = "", False
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\" and not raw:
                at += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote, raw = char, text[at - 1] in "rR"
        elif char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return at if text.startswith("}}", at) else None
            depth -= 1
        at += 1
    return None


def _written(source: str, value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value).removesuffix(".0")
        case timedelta():
            return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            raise Unresolved(f"{source}: gives no text")
