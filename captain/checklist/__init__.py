"""captain.yaml and checklists as typed, frozen values. Knows what a file may say, not how it was read.

Keys of later captains are here so that files do not break: lint notes each, and `Step.unmeasured` says which of
them keep a step from being measured.
"""

from captain.checklist.base import (
    ACTION_TIMEOUT,
    EVERY,
    OBSERVE_WITHIN,
    PHASES,
    Alias,
    Ask,
    Conditions,
    Model,
    Phase,
    Severity,
    Texts,
)
from captain.checklist.lists import Checklist, Defaults, Section
from captain.checklist.service import (
    Environment,
    Input,
    ReleaseRules,
    ReservedStrategy,
    RollbackRules,
    RunningProbe,
    Service,
    Trigger,
)
from captain.checklist.signing import Gate, SignOffRule, SignOffRules
from captain.checklist.steps import Action, Observe, Retry, Soak, Step
from captain.checklist.target import Source, Target
from captain.probes import TIMEOUT

__all__ = [
    "ACTION_TIMEOUT",
    "EVERY",
    "OBSERVE_WITHIN",
    "PHASES",
    "TIMEOUT",
    "Action",
    "Alias",
    "Ask",
    "Checklist",
    "Conditions",
    "Defaults",
    "Environment",
    "Gate",
    "Input",
    "Model",
    "Observe",
    "Phase",
    "ReleaseRules",
    "ReservedStrategy",
    "Retry",
    "RollbackRules",
    "RunningProbe",
    "Section",
    "Service",
    "Severity",
    "SignOffRule",
    "SignOffRules",
    "Soak",
    "Source",
    "Step",
    "Target",
    "Texts",
    "Trigger",
]
