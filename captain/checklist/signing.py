"""Who must sign a step or gate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from captain.checklist.base import Conditions, Model, many
from captain.fields import Bool, Duration, PositiveInt, Text


class SignOffRule(Model):
    """Who must sign a step or gate."""

    role: Text | None = None
    count: PositiveInt = 1
    evidence: Literal["none", "optional", "required"] = "optional"
    valid_for: Duration | None = None
    when: Conditions = ()
    not_starter: Bool = False
    not_author: Bool = False
    """Nobody who wrote commits between the previous release and this one."""


SignOffRules = Annotated[tuple[SignOffRule, ...], BeforeValidator(many)]
"""A list of rules, or one."""


class Gate(Model):
    """What closes a section."""

    sign_off: SignOffRules = ()
    confirm: Literal["environment"] | None = None
