"""What every part of the files is made of: the base model, conditions, lists of one or many, a probe of a step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from captain.fields import Text
from captain.probes import Ask as Ask

Severity = Literal["blocker", "warning", "info"]
Phase = Literal["pre", "deploy", "post"]
PHASES: tuple[Phase, ...] = ("pre", "deploy", "post")

ACTION_TIMEOUT = timedelta(minutes=30)
EVERY = timedelta(seconds=5)
OBSERVE_WITHIN = timedelta(minutes=5)


class Model(BaseModel):
    """Base of everything a file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Alias:
    """Stands for another step: observes `passed`, `warned` and that step's observations."""

    step: str
    """`id` in the same checklist, else `checklist/id`."""


def many(value: Any) -> Any:
    """One value where a list may stand."""
    return [value] if isinstance(value, str | dict | Model) else value


Conditions = tuple[str, ...]
"""CEL, one each. Files give a list, one text, or a block with one per line; the loader takes them apart."""
Texts = Annotated[tuple[Text, ...], BeforeValidator(many)]
"""A list of texts, or one."""
