"""Runs as their entries alone: a target without files, and a diary that writes entries with a clock moved by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from captain.checklist import Action, Ask, Checklist, Gate, Observe, Section, Service, SignOffRule, Step, Target
from captain.clock import stamp
from captain.events import Actor, Recorded
from captain.events.shapes import faults
from captain.probes import probes
from captain.run import Run, fold
from captain.run.countersigning import owed
from captain.run.status import Status, status
from captain.run.view import View

RUN = "shop-production-1.4.0"
HEX = "0" * 64
URL = "https://shop.example.com/healthz"
ASK = {"": Ask("http", {"url": URL}, probes.find("http").model_validate({"url": URL}))}  # type: ignore[union-attr]


def actor(name: str) -> Actor:
    return Actor(name, "git", name, 1000, "bastion")


def probe(step_id: str, expect: Sequence[str] = ("status == 200",), **keys: Any) -> Step:
    return Step(id=step_id, title=step_id.capitalize(), asks=ASK, expect=tuple(expect), **keys)


def manual(step_id: str, *rules: SignOffRule, **keys: Any) -> Step:
    return Step(id=step_id, title=step_id.capitalize(), manual="Look.", sign_off=rules, **keys)


def action(step_id: str = "roll-out", *, observe: bool = True, **keys: Any) -> Step:
    seen = Observe(asks=ASK, expect=("status == 200",)) if observe else None
    return Step(id=step_id, title=step_id.capitalize(), action=Action(run=("./deploy.sh",)), observe=seen, **keys)


def target(
    *pre: Step,
    deploy: Sequence[Step] = (),
    post: Sequence[Step] = (),
    people: Mapping[str, tuple[str, ...]] | None = None,
    gate: Gate | None = None,
) -> Target:
    sections = (
        Section(id="pre", title="Before", phase="pre", steps=pre, gate=gate or Gate()),
        Section(id="deploy", title="Deploy", phase="deploy", steps=tuple(deploy)),
        Section(id="post", title="After", phase="post", steps=tuple(post)),
    )
    service = Service(service="shop", people=people or {})
    return Target(service, "production", True, None, Checklist(checklist="deploy", title="D", sections=sections), "/")


class Diary:
    """Entries of one run, in the order in which they are written."""

    def __init__(self, target: Target, *, by: str = "karen", kind: str = "release") -> None:
        self.target = target
        self.me = by
        self.clock = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
        self.events: list[Recorded] = []
        self.definitions = {step.id: step.definition() for _, step in target.checklist.steps()}
        self.write(
            "run.start",
            {
                "kind": kind,
                "service": "shop",
                "environment": "production",
                "protected": True,
                "checklist": "deploy",
                "version": "1.4.0",
                "commit": None,
                "tag": None,
                "untagged": False,
                "images": {},
                "previous": None,
                "files": [],
                "trust": None,
                "linked": None,
            },
        )

    def write(self, entry_type: str, data: dict[str, Any], *, by: str | None = None, skip: int = 0) -> int:
        """One entry; its number. `skip` leaves numbers to other runs."""
        assert faults(entry_type, data) == []
        seq = (self.events[-1].seq if self.events else 0) + 1 + skip
        who = actor(by or self.me)
        self.events.append(Recorded(seq, f"{seq:026d}", stamp(self.clock), 0, "boot", who, entry_type, RUN, data))
        return seq

    def later(self, **keys: float) -> None:
        self.clock += timedelta(**keys)

    @property
    def run(self) -> Run:
        run = fold(self.events)
        assert run is not None
        return run

    def view(self, **keys: Any) -> View:
        keys.setdefault("me", self.me)
        return View(self.run, self.target, self.clock, self.definitions, **keys)

    def status(self, step_id: str, **keys: Any) -> Status:
        view = self.view(**keys)
        found = view.step(step_id)
        assert found is not None
        return status(view, found[1])

    def result(
        self,
        step: str,
        verdict: str = "pass",
        *,
        attempt: str | None = None,
        purpose: str = "measure",
        max_age: timedelta = timedelta(minutes=15),
        conditions: dict[str, str] | None = None,
        observed: dict[str, Any] | None = None,
        message: str = "as seen",
        started: datetime | None = None,
    ) -> int:
        found = self.target.checklist.find(step)
        if conditions is None:
            conditions = dict.fromkeys(found[1].expect if found else (), verdict if verdict != "warn" else "fail")
        data = {
            "step": step,
            "definition": self.definitions.get(step, HEX),
            "purpose": purpose,
            "verdict": verdict,
            "severity": "blocker",
            "message": message,
            "attempts": 1,
            "started": stamp(started or self.clock),
            "duration_ms": 5,
            "held_ms": None,
            "max_age_ms": round(max_age / timedelta(milliseconds=1)),
            "attempt": attempt,
            "probes": [],
            "observed": observed or {},
            "conditions": [
                {"expect": name, "role": "expect", "verdict": one, "resolved": ""} for name, one in conditions.items()
            ],
            "truncated": False,
        }
        return self.write("step.result", data)

    def sign(
        self,
        target: str,
        meaning: str = "approve",
        *,
        by: str | None = None,
        on: str = "step",
        seen: str | None = "pass",
        expires: timedelta | None = None,
        evidence: bool = False,
        note: str = "",
    ) -> int:
        newest = self.run.results.get(target)
        data = {
            "on": on,
            "target": target,
            "meaning": meaning,
            "note": note,
            "roles": [],
            "role_checked": False,
            "definition": self.definitions.get(target) if on == "step" else None,
            "seen": None
            if seen is None or on == "gate" or meaning != "approve"
            else {"of": newest.seq if newest else 0, "verdict": seen},
            "expires": None if expires is None else stamp(self.clock + expires),
            "evidence": [{"name": "a.txt", "media": "text/plain", "size": 1, "digest": HEX}] if evidence else [],
            "of": None,
        }
        return self.write("signoff", data, by=by)

    def waive(self, step: str, *conditions: str, days: float = 7, by: str | None = None) -> int:
        newest = self.run.results.get(step)
        found = self.target.checklist.find(step)
        assert found is not None
        data = {
            "step": step,
            "reason": "known",
            "owner": "bob",
            "expires": stamp(self.clock + timedelta(days=days)),
            "definition": self.definitions[step],
            "conditions": list(conditions),
            "seen": {"of": newest.seq if newest else 0, "verdict": newest.verdict.value if newest else "unknown"},
            "countersign": owed(self.view(), found[1], by or self.me),
        }
        return self.write("waiver", data, by=by)

    def withdraw(self, seq: int, *, by: str | None = None) -> int:
        return self.write("signoff.withdraw", {"of": seq, "note": ""}, by=by)

    def gate(self, section: str, decision: str = "go", *, opens: str | None = None, way: str | None = None) -> int:
        data: dict[str, Any] = {
            "section": section,
            "decision": decision,
            "note": "",
            "counted": [],
            "risk": [],
            "overridden": [],
            "confirmed": None,
            "no_way_back": way,
            "opens": opens,
        }
        return self.write("gate.decision", data)

    def point(self) -> int:
        return self.write("rollback.point", {"targets": [], "trust": None})

    def deploy_opens(self) -> None:
        self.point()
        self.gate("pre", opens="deploy")

    def intent(self, attempt: str, step: str = "roll-out", *, how: str = "run", observe: bool = True) -> int:
        data = {
            "attempt": attempt,
            "step": step,
            "rollback": None,
            "part": None,
            "how": how,
            "argv": ["./deploy.sh"],
            "argv_sha256": HEX,
            "program": "/deploy.sh",
            "cwd": "/",
            "env_names": [],
            "timeout_ms": 1000,
            "idempotent": False,
            "observe": observe,
            "trust": None,
            "fence": 1,
            "retry_of": None,
        }
        return self.write("action.intent", data)

    def started(self, attempt: str) -> int:
        return self.write("action.started", {"attempt": attempt, "pid": 4711, "starttime": 1, "boot": "boot"})

    def finished(self, attempt: str, outcome: str = "exited", exit_code: int | None = 0) -> int:
        data: dict[str, Any] = {
            "attempt": attempt,
            "outcome": outcome,
            "exit_code": exit_code if outcome == "exited" else None,
            "signal": "SIGKILL" if outcome == "signalled" else None,
            "duration_ms": 5,
            "stdout": None,
            "stderr": None,
            "truncated": False,
            "survivors": [],
        }
        return self.write("action.finished", data)

    def resolved(self, attempt: str, outcome: str, by: str = "person") -> int:
        data: dict[str, Any] = {
            "attempt": attempt,
            "outcome": outcome,
            "by": by,
            "of": None,
            "note": "looked",
            "evidence": [],
        }
        return self.write("action.resolved", data)

    def end(self, state: str = "aborted") -> int:
        data = {"state": state, "verdict": "pass", "reason": None, "left_running": None, "review_due": None}
        return self.write("run.end", data)

    def changed(self, *steps: str) -> None:
        """The files in use now demand something else of these steps."""
        for step in steps:
            self.definitions[step] = "f" * 64


def ruled(role: str | None = "dba", **keys: Any) -> SignOffRule:
    return SignOffRule(role=role, **keys)


def severe(step: Step, severity: str) -> Step:
    return step.model_copy(update={"severity": severity})


__all__ = ["RUN", "Diary", "action", "actor", "manual", "probe", "replace", "ruled", "severe", "target"]
