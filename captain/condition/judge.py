"""The verdict of a step from its conditions and what was observed: the one place where `expect` meets `warn`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from captain.condition.compiled import Condition, Judged
from captain.condition.facts import Facts
from captain.measurement import Verdict

MAX_MESSAGE = 500
Role = Literal["expect", "warn"]


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """What one condition said: pass where it is true, fail where it is false, else unknown."""

    expect: str
    """The condition as written."""
    role: Role
    verdict: Verdict
    resolved: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of a step, why, and condition by condition."""

    verdict: Verdict
    conditions: tuple[ConditionResult, ...]
    message: str
    """One line: what failed with its values, what is missing, or what was seen."""


def conjoin(values: Iterable[bool | None]) -> bool | None:
    """True when all are, false when one is false, else unknown. Nothing at all is unknown."""
    seen = list(values)
    if False in seen:
        return False
    return True if seen and None not in seen else None


def decide(expect: bool | None, warn: bool | None, *, warned: bool) -> Verdict:
    """The verdict of two lists; `warned` says whether there is a `warn` list."""
    if expect:
        return Verdict.PASS
    if warned and warn:
        return Verdict.WARN
    if expect is False or (warned and warn is False):
        return Verdict.FAIL
    return Verdict.UNKNOWN


def judge(expect: Sequence[Condition], warn: Sequence[Condition], values: Mapping[str, Any]) -> Judgement:
    """Judge what was observed. `values` are as `activation` makes them. Never raises."""
    facts = Facts(values)
    hard = [_result(condition, "expect", facts) for condition in expect]
    soft = [_result(condition, "warn", facts) for condition in warn]
    verdict = decide(_truth(hard), _truth(soft), warned=bool(warn))
    message = _message(verdict, hard, soft)
    if len(message) > MAX_MESSAGE:
        message = message[: MAX_MESSAGE - 1] + "…"
    return Judgement(verdict, (*hard, *soft), message)


_VERDICTS = {True: Verdict.PASS, False: Verdict.FAIL, None: Verdict.UNKNOWN}


def _result(condition: Condition, role: Role, facts: Facts) -> ConditionResult:
    judged: Judged = condition.evaluate(facts)
    return ConditionResult(condition.text, role, _VERDICTS[judged.value], judged.resolved, judged.error)


def _truth(results: Iterable[ConditionResult]) -> bool | None:
    truths = {verdict: truth for truth, verdict in _VERDICTS.items()}
    return conjoin(truths[result.verdict] for result in results)


def _message(verdict: Verdict, hard: list[ConditionResult], soft: list[ConditionResult]) -> str:
    if verdict is Verdict.PASS:
        return ", ".join(dict.fromkeys(result.resolved for result in hard if result.resolved))
    if verdict is Verdict.UNKNOWN:
        return "; ".join(_missing([*hard, *soft])) or "nothing says whether this is right"
    failing = _failing(hard)
    if verdict is Verdict.FAIL:
        return "; ".join(failing or _failing(soft))
    return "; ".join((*failing, *_missing(hard)))


def _failing(results: Iterable[ConditionResult]) -> list[str]:
    failed = [result for result in results if result.verdict is Verdict.FAIL]
    return list(dict.fromkeys(f"{r.expect}: {r.resolved}" if r.resolved else f"{r.expect} is false" for r in failed))


def _missing(results: Iterable[ConditionResult]) -> list[str]:
    return list(dict.fromkeys(result.error for result in results if result.error))
