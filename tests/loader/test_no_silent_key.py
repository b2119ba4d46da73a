"""A key that is accepted does something, or lint says that it does not: no file can promise what nobody reads."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

import captain
import captain.checklist as models
from captain.checklist import Model
from captain.errors import Problem

Say = Callable[..., list[Problem]]

NOTED = "noted by lint"
PROSE = "for whoever reads the file"
ROOT = Path(captain.__file__).parent

READ = {
    "Action.run": "engine/act.py: action.run",
    "Action.trigger": NOTED,
    "Action.external": "engine/act.py: action.external",
    "Action.env": "engine/act.py: action.env",
    "Action.cwd": "engine/act.py: action.cwd",
    "Action.timeout": "engine/act.py: action.timeout",
    "Action.idempotent": "engine/act.py: action.idempotent",
    "Action.no_return": "tui/dialogs/action.py: action.no_return",
    "Action.confirm": "engine/act.py: action.confirm",
    "Checklist.checklist": "engine/opening.py: checklist.checklist",
    "Checklist.title": PROSE,
    "Checklist.per": "loader/rules.py: draft.per",
    "Checklist.extends": "loader/shelf.py: 'extends'",
    "Checklist.defaults": "loader/building.py: setting.defaults",
    "Checklist.params": "loader/building.py: 'params'",
    "Checklist.sections": "tui/screens/run.py: checklist.sections",
    "Defaults.timeout": "loader/building.py: 'timeout'",
    "Defaults.retry": "loader/building.py: 'retry'",
    "Defaults.every": "loader/building.py: defaults.every",
    "Defaults.within": "loader/building.py: 'within'",
    "Defaults.max_age": "loader/building.py: 'max_age'",
    "Defaults.severity": "loader/building.py: 'severity'",
    "Defaults.on_error": "loader/building.py: 'on_error'",
    "Environment.vars": "loader/services.py: 'vars'",
    "Environment.secrets": "loader/services.py: 'secrets'",
    "Environment.params": "loader/loading.py: declared.params",
    "Environment.release": "loader/services.py: 'release'",
    "Environment.rollback": "loader/services.py: 'rollback'",
    "Environment.checklists": "loader/services.py: 'checklists'",
    "Environment.tier": "loader/loading.py: declared.tier",
    "Environment.protected": "loader/loading.py: chosen.protected",
    "Environment.allow": "loader/loading.py: chosen.allow",
    "Gate.sign_off": "engine/people.py: gate.sign_off",
    "Gate.confirm": "engine/gate.py: gate.confirm",
    "Input.id": "engine/inputs.py: one.id",
    "Input.ask": "engine/inputs.py: one.ask",
    "Input.match": "checklist/service.py: self.match",
    "Observe.asks": "engine/plans.py: observe.asks",
    "Observe.expect": "engine/plans.py: observe.expect",
    "Observe.warn": "engine/plans.py: observe.warn",
    "Observe.within": "engine/plans.py: observe.within",
    "Observe.every": "engine/plans.py: observe.every",
    "Observe.timeout": "engine/plans.py: observe.timeout",
    "Observe.on_error": "engine/plans.py: observe.on_error",
    "ReleaseRules.tag": "engine/releases.py: rules.tag",
    "ReleaseRules.images": "engine/releases.py: release.images",
    "ReleaseRules.running": "engine/releases.py: release.running",
    "ReservedStrategy.id": NOTED,
    "ReservedStrategy.strategy": NOTED,
    "ReservedStrategy.params": NOTED,
    "Retry.attempts": "engine/plans.py: retry.attempts",
    "Retry.every": "engine/plans.py: retry.every",
    "RollbackRules.plan": "engine/way_back.py: rollback.plan",
    "RollbackRules.verify": "engine/roll_back.py: rollback.verify",
    "RollbackRules.rto": NOTED,
    "RollbackRules.triggers": NOTED,
    "RunningProbe.ask": "engine/releases.py: running.ask",
    "RunningProbe.version": "engine/releases.py: running.version",
    "Section.id": "run/gates.py: section.id",
    "Section.title": "tui/widgets/checklist.py: section.title",
    "Section.phase": "run/allowed.py: section.phase",
    "Section.scored": "score/__init__.py: one.scored",
    "Section.gate": "engine/gate.py: section.gate",
    "Section.watch": NOTED,
    "Section.steps": "run/gates.py: section.steps",
    "Service.service": "engine/opening.py: service.service",
    "Service.repo": "engine/opening.py: service.repo",
    "Service.vars": "engine/names.py: service.vars",
    "Service.secrets": "engine/desk.py: service.secrets",
    "Service.params": "engine/names.py: service.params",
    "Service.inputs": "engine/inputs.py: service.inputs",
    "Service.environments": "loader/loading.py: service.environments",
    "Service.people": "engine/people.py: service.people",
    "Service.checklists": "loader/shelf.py: 'checklists'",
    "Service.release": "engine/releases.py: service.release",
    "Service.rollback": "engine/roll_back.py: service.rollback",
    "Service.notify": NOTED,
    "Service.freeze": NOTED,
    "Service.defaults": "loader/loading.py: service.defaults",
    "SignOffRule.role": "engine/people.py: rule.role",
    "SignOffRule.count": "run/signing.py: rule.count",
    "SignOffRule.evidence": "engine/people.py: rule.evidence",
    "SignOffRule.valid_for": "engine/people.py: rule.valid_for",
    "SignOffRule.when": "run/signing.py: rule.when",
    "SignOffRule.not_starter": "run/signing.py: rule.not_starter",
    "SignOffRule.not_author": "run/signing.py: rule.not_author",
    "Soak.duration": "run/soaking.py: soak.duration",
    "Soak.coverage": "engine/timers.py: soak.coverage",
    "Soak.environment": "engine/timers.py: soak.environment",
    "Step.id": "engine/measure.py: step.id",
    "Step.title": "commands/check.py: step.title",
    "Step.why": "tui/dialogs/action.py: step.why",
    "Step.help": "tui/detail.py: step.help",
    "Step.link": "tui/detail.py: step.link",
    "Step.severity": "engine/measure.py: step.severity",
    "Step.tier": "loader/building.py: step.tier",
    "Step.when": "engine/opening.py: step.when",
    "Step.needs": "engine/measure.py: step.needs",
    "Step.weight": "score/__init__.py: step.weight",
    "Step.affects": "score/__init__.py: step.affects",
    "Step.asks": "engine/plans.py: step.asks",
    "Step.manual": "engine/people.py: step.manual",
    "Step.action": "engine/act.py: step.action",
    "Step.compare": NOTED,
    "Step.expect": "engine/plans.py: step.expect",
    "Step.warn": "engine/plans.py: step.warn",
    "Step.observe": "engine/act.py: step.observe",
    "Step.review": "checklist/steps.py: self.review",
    "Step.soak": "engine/timers.py: step.soak",
    "Step.max_age": "engine/ages.py: step.max_age",
    "Step.on_error": "engine/plans.py: step.on_error",
    "Step.timeout": "engine/plans.py: step.timeout",
    "Step.retry": "engine/plans.py: step.retry",
    "Step.every": "engine/plans.py: step.every",
    "Step.within": "engine/plans.py: step.within",
    "Step.hold": "engine/plans.py: step.hold",
    "Step.fail_after": "engine/plans.py: step.fail_after",
    "Step.in_order": "engine/plans.py: step.in_order",
    "Step.params": "engine/measure.py: step.params",
    "Step.sign_off": "engine/people.py: step.sign_off",
    "Step.planned": NOTED,
    "Step.disabled": "run/allowed.py: step.disabled",
    "Trigger.watch": NOTED,
    "Trigger.when": NOTED,
    "Trigger.hold": NOTED,
    "Trigger.auto": NOTED,
}
"""By field: who reads it, and how it is written there. Nothing else is what "accepted" may mean."""

NOTES = {
    ("captain.yaml", "notify"): "notify: not used by this captain yet",
    ("captain.yaml", "freeze"): "freeze: not used by this captain yet",
    ("captain.yaml", "rto"): "rto: not used by this captain yet",
    ("captain.yaml", "triggers"): "triggers: not watched by this captain yet",
    ("captain.yaml", "strategy"): "strategy swarm: not executed by this captain yet",
    ("checklists/deploy.yaml", "watch"): "watch: not measured by this captain yet",
    ("checklists/deploy.yaml", "compare"): "compare: not measured by this captain yet",
    ("checklists/deploy.yaml", "soak"): "soak: not measured by this captain yet",
    ("checklists/deploy.yaml", "trigger"): "action trigger: not started by this captain yet",
    ("checklists/deploy.yaml", "planned"): "planned: not used by this captain yet",
}
SERVICE = """\
service: shop
inputs: [{ id: ticket, ask: Change ticket, match: '^CHG' }]
environments: { live: {} }
people: { k@x: [captain] }
notify: { x: y }
freeze: { x: y }
rollback:
  plan: [{ id: web, strategy: swarm, service: shop_web }]
  verify: [deploy/up]
  rto: 10m
  triggers: [{ watch: deploy/health, when: 'availability < 0.99', for: 10s, auto: false }]
checklists: [checklists/deploy.yaml]
"""
CHECKLIST = """\
checklist: deploy
title: Deployment
sections:
  - id: roll
    title: Roll
    phase: deploy
    gate: { sign_off: { role: captain, not_author: true } }
    watch: [{ id: health, pinger: { url: x }, every: 200ms }]
    steps:
      - { id: up, title: Up, pinger: { url: x }, soak: { for: 24h, coverage: 0.9 }, weight: 2, planned: 3s }
      - { id: same, title: Same, compare: { watch: health } }
      - { id: go, title: Go, action: { trigger: { ci: x } }, sign_off: [{ not_author: false }] }
"""


def fields() -> set[str]:
    every = [one for name in models.__all__ if isinstance(one := getattr(models, name), type)]
    kinds = [one for one in every if issubclass(one, Model) and one is not Model]
    assert len(kinds) == len({sub for sub in Model.__subclasses__() if sub.__module__.startswith("captain.checklist")})
    return {f"{kind.__name__}.{name}" for kind in kinds for name in kind.model_fields}


def test_every_field_has_a_reader_or_a_note() -> None:
    assert fields() == READ.keys(), "say in READ who reads the key, or note it in captain/loader and list it in NOTES"


@pytest.mark.parametrize(
    ("field", "place"), [(field, place) for field, place in READ.items() if place not in (NOTED, PROSE)]
)
def test_the_reader_reads_it(field: str, place: str) -> None:
    file, _, wanted = place.partition(": ")
    name = field.partition(".")[2]
    assert wanted.endswith((f".{name}", f"'{name}'")), place
    found = {ast.unparse(node) for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))}
    assert any(one == wanted or one.endswith(f".{wanted}") for one in found), f"{file} reads no {wanted}"


def test_a_key_that_nothing_reads_is_noted_where_it_stands(service: Callable[..., Path]) -> None:
    from captain.loader import lint

    found = lint([], cwd=service(CHECKLIST, SERVICE))
    assert {one.severity for one in found} == {"note"}
    assert {(one.path, one.message) for one in found} == {(path, message) for (path, _), message in NOTES.items()}
    for one in found:
        lines = (SERVICE if one.path == "captain.yaml" else CHECKLIST).splitlines()
        key = next(key for (path, key), message in NOTES.items() if (path, message) == (one.path, one.message))
        assert lines[one.line - 1][one.column - 1 :].startswith(key)
