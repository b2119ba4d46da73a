"""Conditions in CEL: compiled and linted when files are loaded, judged when probes have answered.

Knows no probe, file or screen; alone imports cel_expr_python, and only when something is compiled.
"""

from captain.condition.celtypes import CelType, Declared, declare, observes
from captain.condition.compiled import (
    Condition,
    Judged,
    compile_condition,
    compile_expression,
    lint_list,
)
from captain.condition.constants import Constant, constant
from captain.condition.expression import Expression, Outcome
from captain.condition.facts import activation
from captain.condition.faults import ConditionError, Fault
from captain.condition.judge import ConditionResult, Judgement, conjoin, decide, judge
from captain.condition.scope import Scope

__all__ = [
    "CelType",
    "Condition",
    "ConditionError",
    "ConditionResult",
    "Constant",
    "Declared",
    "Expression",
    "Fault",
    "Judged",
    "Judgement",
    "Outcome",
    "Scope",
    "activation",
    "compile_condition",
    "compile_expression",
    "conjoin",
    "constant",
    "decide",
    "declare",
    "judge",
    "lint_list",
    "observes",
]
