"""Values of compose files as text: variables with their defaults, and whether one holds a secret. Pure.

Nothing is looked up: a variable stays one, only what the file itself gives for it counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from captain.systems.secret_names import secret_key, secret_value

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEPTH = 5
_LONGEST = 64 * 1024
_PASSWORD = re.compile(r"(?:password|passwd|\bpwd|requirepass)[= ]([^\s;&$'\",]{1,200})", re.IGNORECASE)
_NONE = frozenset(("true", "false", "none", "null", "yes", "no"))
_USER_IN_DSN = re.compile(r"//[^\s/@$]{1,200}@")


@dataclass(frozen=True, slots=True)
class Expanded:
    """One value, read as compose does."""

    bare: str
    """With every variable as `${NAME}`, whatever default it has."""
    filled: str
    """With defaults in the place of their variables; those without one stay."""
    variables: tuple[str, ...]
    """Names of those without a default."""
    defaults: bool
    """Whether a default that is not empty stands in it."""


def expand(text: str, depth: int = 0) -> Expanded:
    """`${TAG:-latest}` as `latest`, `${TAG}` as it is."""
    bare, filled, open_ones, defaults = [], [], [], False
    at = 0
    text = text[:_LONGEST]
    while at < len(text):
        sign = text.find("$", at)
        if sign < 0:
            bare.append(text[at:])
            filled.append(text[at:])
            break
        bare.append(text[at:sign])
        filled.append(text[at:sign])
        if text.startswith("$$", sign):
            bare.append("_")
            filled.append("_")
            at = sign + 2
            continue
        braced = text.startswith("{", sign + 1)
        name = _NAME.match(text, sign + 2 if braced else sign + 1)
        if name is None:
            bare.append("_")
            filled.append("_")
            at = sign + 1
            continue
        at = name.end()
        written = f"${{{name[0]}}}"
        default: str | None = None
        if braced:
            end = _closing(text, at)
            default = _default(text[at:end])
            at = end + 1
        bare.append(written)
        if default is None or depth >= _DEPTH:
            filled.append(written)
            open_ones.append(name[0])
            continue
        inner = expand(default, depth + 1)
        filled.append(inner.filled)
        open_ones += inner.variables
        defaults = defaults or inner.defaults or inner.bare.strip() not in ("", *(f"${{{v}}}" for v in inner.variables))
    return Expanded("".join(bare), "".join(filled), tuple(open_ones), defaults)


def secret_in(name: str, text: str) -> Literal["literal", "default"] | None:
    """Whether a value of this name is a secret the file itself holds, whole or as a variable's default."""
    value = expand(text)
    if _shape(value.bare) or ("${" not in value.bare and _named(name, value.bare)):
        return "literal"
    if value.defaults and (_shape(value.filled) or _named(name, value.filled)):
        return "default"
    return None


def parted(text: str) -> list[str]:
    """The parts between colons, none of them within `${…}` or `[…]`."""
    found, depth, began = [], 0, 0
    for at, char in enumerate(text):
        if char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
        elif char == ":" and depth <= 0:
            found.append(text[began:at])
            began = at + 1
    return [*found, text[began:]]


def truth(text: str | None) -> bool:
    """Whether compose takes a text for true."""
    return text is not None and expand(text).filled.strip().lower() in ("true", "yes", "y", "on")


def _named(name: str, value: str) -> bool:
    dsn = name.upper().endswith("DSN") and _USER_IN_DSN.search(value) is not None
    return dsn or secret_key(name, value)


def _shape(value: str) -> bool:
    told = _PASSWORD.search(value)
    return secret_value(value) is not None or (told is not None and told[1].lower() not in _NONE)


def _closing(text: str, at: int) -> int:
    """Where the brace that is open at `at` closes; the end of the text where it does not."""
    depth = 1
    for index in range(at, len(text)):
        if text[index] == "{" and text[index - 1] == "$":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if not depth:
                return index
    return len(text)


def _default(rest: str) -> str | None:
    """What stands for a variable that is not set: `:-x`, `-x`; `:+x` gives x where it is set."""
    for sign in (":-", ":+", "-", "+"):
        if rest.startswith(sign):
            return rest[len(sign) :]
    return None
