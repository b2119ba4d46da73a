"""Plain values as YAML that captain reads back unchanged. Knows no key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from captain.safe import safe

Plain = str | int | bool | Sequence["Plain"] | Mapping[str, "Plain"]

_BARE = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][a-z0-9._-]*")
"""Texts that every YAML reader takes for text."""


def words(text: str, limit: int = 400) -> str:
    """Text of others as one line that is neither a template nor a place to fill in."""
    return safe(" ".join(text.split()), limit).replace("${{", "$ {{").replace("{params.", "{ params.")


def fit(name: str) -> bool:
    """Whether a name of others can stand in a file as it is: no sign that hides or moves text, and no template."""
    return name.isprintable() and safe(name, 200) == name and "${{" not in name


def scalar(text: str) -> str:
    """One text; bare only where no reader could take it for anything else."""
    return text if _BARE.fullmatch(text) else "'" + text.replace("'", "''") + "'"


def flow(value: Plain) -> str:
    """A value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{scalar(key)}: {flow(one)}" for key, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return f"[{', '.join(flow(one) for one in value)}]"
