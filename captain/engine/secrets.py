"""The values of the secrets that files declare, read once out of the surroundings. Knows no log and no masking."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captain.checklist import Checklist, Step, Target

_SHOWN = ("title", "why", "help", "link", "manual")
"""What a checklist says of itself that is shown as it stands there."""


def declared_secrets(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """Declared secrets that are set: from $NAME, else from the file named by $NAME_FILE."""
    found: dict[str, str] = {}
    for name in target.service.secrets:
        if name in environ:
            found[name] = environ[name]
        elif path := environ.get(f"{name}_FILE"):
            try:
                # A pipe without a writer would hold captain for ever; only a regular file has an end.
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                with os.fdopen(handle, "rb") as file:
                    if stat.S_ISREG(os.fstat(handle).st_mode):
                        found[name] = file.read(65536).decode("utf-8").rstrip("\r\n")
            except (OSError, ValueError):
                continue
    return {name: value for name, value in found.items() if value}


def covered(target: Target, mask: Callable[[str], str]) -> Target:
    """The files with masked sentences: whoever wrote a secret into a title does not see it in every report."""
    others = {name: _covered(one, mask) for name, one in target.others.items()}
    return replace(target, checklist=_covered(target.checklist, mask), others=others)


def _covered(checklist: Checklist, mask: Callable[[str], str]) -> Checklist:
    sections = tuple(
        section.model_copy(
            update={
                "title": mask(section.title),
                "steps": tuple(
                    step.model_copy(update=changed) if (changed := _changed(step, mask)) else step
                    for step in section.steps
                ),
            }
        )
        for section in checklist.sections
    )
    return checklist.model_copy(update={"title": mask(checklist.title), "sections": sections})


def _changed(step: Step, mask: Callable[[str], str]) -> dict[str, str]:
    said = {name: text for name in _SHOWN if (text := getattr(step, name)) is not None}
    return {name: hidden for name, text in said.items() if (hidden := mask(text)) != text}
