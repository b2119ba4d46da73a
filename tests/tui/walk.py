"""A release of a shop in production, written into a real log with a frozen clock, and an engine that stands still."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from captain.checklist import Action, Ask, Checklist, Observe, Section, Service, SignOffRule, Step, Target
from captain.clock import stamp
from captain.engine import FileChange, Way
from captain.events import Actor, Draft, Event, LogHealth, Passing, Recorded
from captain.log.evidence import Evidence
from captain.log.store import Log
from captain.probes import Probe
from captain.rollbacks import Taken
from captain.run import Run, fold
from captain.run.view import View
from captain.trust import TrustRequest
from captain.tui.app import CaptainApp
from captain.tui.moment import Known

RUN = "shop-production-1.4.0"
KAREN = Actor("karen@example.com", "git", "karen", 1000, "bastion")
DBA = Actor("dba@example.com", "git", "dba", 1001, "bastion")
HEX = "9f3c" + "0" * 60
COMMIT = "a1b2c3d" + "0" * 33
START = datetime(2026, 11, 23, 13, 49, 36, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 14, 2, 7, tzinfo=UTC)
PEOPLE = {"karen@example.com": ("captain",), "dba@example.com": ("dba",)}


class Frozen:
    """A clock that stands where it was put."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return (self.moment - START).total_seconds() + 1000


class HttpLike(Probe):
    """Stands for any probe that can be measured."""

    def asks(self) -> str:
        return "GET https://shop.example.com/healthz"


def _asks() -> dict[str, Ask]:
    return {"": Ask("http", {"url": "https://shop.example.com/healthz"}, HttpLike())}


def _step(ident: str, title: str, **more: Any) -> Step:
    if not {"manual", "action"} & more.keys():
        more = {"asks": _asks(), "expect": ("status == 200",), **more}
    return Step(id=ident, title=title, **more)


def sections() -> tuple[Section, ...]:
    """Three sections with nineteen steps."""
    pre = (
        _step("tests-passing", "All tests passing"),
        _step("scan-clean", "Image scan clean"),
        _step("reversible", "Migrations reversible"),
        _step("backup-fresh", "Backup younger than 24 h"),
        _step("licences", "Licence report"),
        _step("disk", "Disk has room"),
        _step("rehearsed", "Rollback rehearsed"),
        _step("load-test", "Load test", sign_off=(SignOffRule(role="captain"),)),
        _step("on-call", "On-call told", manual="Tell the on-call engineer what ships and when."),
    )
    deploy = (
        _step("lock", "Take the lock"),
        _step("migrate", "Migrate the database"),
        Step(
            id="roll-out",
            title="Roll out the new version",
            why="The one step that changes production.",
            action=Action(run=("./deploy.sh", "${{ release.version }}"), timeout=timedelta(minutes=30)),
            observe=Observe(asks=_asks(), expect=("json.version == release.version",)),
        ),
        _step("replicas", "All replicas run 1.4.0"),
    )
    post = (
        _step("version", "Version answers 1.4.0"),
        _step("smoke", "Smoke test: place an order"),
        _step(
            "health",
            "Health checks passing",
            why="Customers see this page first; slow health is a slow shop.",
            expect=("status == 200", 'json.status == "ok"', 'latency < duration("500ms")'),
            every=timedelta(seconds=10),
            hold=timedelta(minutes=5),
        ),
        _step("spikes", "No error spikes"),
        _step(
            "lag",
            "Replication lag accepted",
            manual="Is a replica lag of 4 s acceptable tonight?",
            sign_off=(SignOffRule(role="dba"),),
        ),
        _step("announce", "Announce in the release channel"),
    )
    return (
        Section(id="pre", title="Pre-deployment", phase="pre", steps=pre),
        Section(id="deploy", title="Deployment", phase="deploy", steps=deploy),
        Section(id="post", title="Post-deployment", phase="post", steps=post),
    )


def target(*, people: dict[str, tuple[str, ...]] | None = None, steps: Sequence[Section] = ()) -> Target:
    service = Service(service="shop", people=PEOPLE if people is None else people)
    checklist = Checklist(checklist="deploy", title="Deployment of shop", sections=tuple(steps) or sections())
    return Target(service, "production", True, "A", checklist, "/srv/shop")


@dataclass
class Walk:
    """Entries of one run at the times the story says, in a log at `path`."""

    path: Path
    target: Target = field(default_factory=target)
    clock: Frozen = field(default_factory=lambda: Frozen(START))
    name: str = RUN
    begins: Mapping[str, Any] = field(default_factory=dict)
    """What its first entry says otherwise."""

    def __post_init__(self) -> None:
        self.log = Log.open(self.path, clock=self.clock, actor=KAREN)
        self.add(
            "run.start",
            {
                "kind": "release",
                "service": "shop",
                "environment": "production",
                "protected": True,
                "checklist": "deploy",
                "version": "1.4.0",
                "commit": COMMIT,
                "tag": "v1.4.0",
                "untagged": False,
                "images": {},
                "previous": {
                    "version": "1.3.9",
                    "commit": None,
                    "images": {},
                    "source": "observed",
                    "differs": False,
                },
                "files": [],
                "trust": None,
                "linked": None,
                **self.begins,
            },
        )

    def at(self, clock: str) -> Walk:
        """It is now `13:52:08`."""
        hour, minute, second = (int(part) for part in clock.split(":"))
        self.clock.moment = self.clock.moment.replace(hour=hour, minute=minute, second=second)
        return self

    def add(self, kind: str, data: dict[str, Any], actor: Actor = KAREN, evidence: Sequence[Evidence] = ()) -> Recorded:
        (event,) = self.log.append([Draft(kind, self.name, data)], actor=actor, evidence=evidence)
        return event

    def result(
        self,
        step: str,
        verdict: str = "pass",
        message: str = "status = 200",
        *,
        conditions: Sequence[tuple[str, str, str]] = (("status == 200", "pass", "status = 200"),),
        attempts: int = 1,
        ms: int = 41,
        attempt: str | None = None,
        body: str | None = '{"status":"ok"}',
        error: str | None = None,
        asked: str = "GET https://shop.example.com/healthz",
        held_ms: int | None = None,
        max_age_ms: int = 3_600_000,
    ) -> Walk:
        document: dict[str, Any] = {
            "kind": "http",
            "asked": asked,
            "observed": {},
            "error": error,
            "body": body,
            "truncated": False,
        }
        piece = Evidence("application/json", json.dumps(document).encode())
        self.record(
            "step.result",
            {
                "step": step,
                "definition": HEX,
                "purpose": "measure" if attempt is None else "observe",
                "verdict": verdict,
                "severity": "blocker",
                "message": message,
                "attempts": attempts,
                "started": stamp(self.clock.moment),
                "duration_ms": ms,
                "held_ms": held_ms,
                "max_age_ms": max_age_ms,
                "attempt": attempt,
                "probes": [{"name": "", "kind": "http", "duration_ms": ms, "error": error, "evidence": piece.digest}],
                "observed": {},
                "conditions": [
                    {"expect": text, "role": "expect", "verdict": judged, "resolved": resolved}
                    for text, judged, resolved in conditions
                ],
                "truncated": False,
            },
            piece,
        )
        return self

    def record(self, kind: str, data: dict[str, Any], piece: Evidence) -> None:
        """One result with its evidence."""
        self.add(kind, data, evidence=[piece])

    def signed(self, on: str, name: str, meaning: str = "approve", note: str = "", actor: Actor = KAREN) -> Walk:
        self.add(
            "signoff",
            {
                "on": on,
                "target": name,
                "meaning": meaning,
                "note": note,
                "roles": [],
                "role_checked": True,
                "definition": HEX,
                "seen": None,
                "expires": None,
                "evidence": [],
                "of": None,
            },
            actor,
        )
        return self

    def waived(self, step: str, reason: str, until: str) -> Walk:
        self.add(
            "waiver",
            {
                "step": step,
                "reason": reason,
                "owner": KAREN.name,
                "expires": until,
                "definition": HEX,
                "conditions": ["status == 200"],
                "seen": {"of": 2, "verdict": "fail"},
                "countersign": "impossible",
            },
        )
        return self

    def go(self, section: str, opens: str | None, **more: Any) -> Walk:
        found = self.target.checklist.section(section)
        steps = found.steps if found is not None else ()
        data: dict[str, Any] = {
            "section": section,
            "decision": "go",
            "note": "",
            "counted": [{"step": step.id, "verdict": "pass", "of": None} for step in steps],
            "risk": [],
            "overridden": [],
            "confirmed": None,
            "no_way_back": None,
            "opens": opens,
        }
        self.add("gate.decision", {**data, **more})
        return self

    def point(self, *, ready: bool = True, why: str | None = None) -> Walk:
        part: dict[str, Any] = {
            "id": "web",
            "strategy": "command",
            "from": "1.4.0",
            "to": "1.3.9 sha256:9f3c…",
            "image": None,
            "env_names": [],
            "file": "web.json",
            "file_digest": HEX,
            "ready": ready,
            "why": why,
        }
        self.add("rollback.point", {"targets": [part], "trust": None})
        return self

    def intent(self, attempt: str = "a1", step: str | None = "roll-out", **more: Any) -> Walk:
        data: dict[str, Any] = {
            "attempt": attempt,
            "step": step,
            "rollback": None,
            "part": None,
            "how": "run",
            "argv": ["./deploy.sh", "1.4.0"],
            "argv_sha256": HEX,
            "program": None,
            "cwd": ".",
            "env_names": [],
            "timeout_ms": 1_800_000,
            "idempotent": False,
            "observe": True,
            "trust": None,
            "fence": 1,
            "retry_of": None,
        }
        self.add("action.intent", {**data, **more})
        self.add("action.started", {"attempt": attempt, "pid": 48213, "starttime": 1, "boot": "b"})
        return self

    def finished(self, attempt: str = "a1", *, ms: int = 108_000, code: int = 0) -> Walk:
        self.add(
            "action.finished",
            {
                "attempt": attempt,
                "outcome": "exited",
                "exit_code": code,
                "signal": None,
                "duration_ms": ms,
                "stdout": None,
                "stderr": None,
                "truncated": False,
                "survivors": [],
            },
        )
        return self

    def close(self) -> None:
        self.log.close()

    def events(self) -> list[Recorded]:
        return list(self.log.entries(run=self.name))

    def run(self) -> Run:
        found = fold(self.events())
        assert found is not None
        return found

    # the three moments of a release

    def before(self) -> Walk:
        """Pre is open and everything in it was looked at."""
        self.at("13:50:02")
        for step in ("tests-passing", "scan-clean", "backup-fresh", "disk", "rehearsed"):
            self.result(step)
        self.result("reversible", attempts=2).result("load-test", "fail", "status = 404", conditions=[])
        self.result("licences", "fail", "status = 404", conditions=[("status == 200", "fail", "status = 404")])
        self.at("13:50:40").waived("licences", "the vendor sends the report on Friday", "2026-11-27T22:59:59.000000Z")
        self.signed("step", "load-test", "not_applicable", "no change in the hot path")
        return self.at("13:51:00").signed("step", "on-call", note="Ana has the pager")

    def deploying(self) -> Walk:
        """The roll out runs."""
        self.before().at("13:51:10").point().go("pre", "deploy", confirmed="production")
        return self.at("13:51:12").result("lock").result("migrate", ms=31_000).at("13:51:15").intent()

    def looking(self) -> Walk:
        """Post is open: one step fails, one is unknown, one waits for the dba, one was not asked yet."""
        self.deploying().at("13:53:03").finished()
        self.at("13:53:04").result("roll-out", attempt="a1", ms=1000, message="json.version = 1.4.0")
        self.at("13:58:02").result("replicas").at("13:58:31").go("deploy", "post")
        self.at("13:59:40").result("version").result("smoke", attempts=2)
        self.at("14:01:26").result(
            "spikes", "unknown", "prometheus: no data", conditions=[], error="prometheus: no data", body=None
        )
        self.at("14:01:59").result(
            "health",
            "fail",
            'json.status = "degraded", latency = 812 ms',
            conditions=[
                ("status == 200", "pass", "status = 200"),
                ('json.status == "ok"', "fail", 'json.status = "degraded"'),
                ('latency < duration("500ms")', "fail", "latency = 812 ms"),
            ],
            ms=812,
            attempts=3,
            body='{"status":"degraded","checks":{"cache":"timeout"}}',
        )
        return self


class Still:
    """What the run screen asks of an engine, for one moment that does not move."""

    def __init__(self, walk: Walk, publish: Callable[[Event], None], now: datetime, **view: Any) -> None:
        self.walk = walk
        self.publish = publish
        self.now = now
        self.actor = KAREN
        self.changes = view
        self.ways = [Way("web", "command", Taken({}, "1.3.9 sha256:9f3c…"))]
        for event in walk.events():
            publish(event)

    @property
    def target(self) -> Target:
        return self.walk.target

    @property
    def run(self) -> Run:
        return self.walk.run()

    def view(self) -> View:
        definitions = {step.id: HEX for _, step in self.target.checklist.steps()}
        found = View(self.run, self.target, self.now, definitions, me=KAREN.name, lock_mine=True)
        return replace(found, **self.changes)

    async def follow(self) -> None:
        self.publish(LogHealth("intact", len(self.walk.events())))
        await asyncio.Event().wait()

    async def way_back(self) -> list[Way]:
        return self.ways

    def trust(self) -> TrustRequest | None:
        return None

    def changed_files(self) -> FileChange | None:
        return None

    async def close(self) -> None:
        return


def app_of(
    walk: Walk, *, now: datetime = NOW, passing: Sequence[Passing] = (), ways: list[Way] | None = None, **more: Any
) -> CaptainApp:
    """The run screen over this moment. `more` goes to the view, or to the app where it knows the name."""
    mine = {key: more.pop(key) for key in ("ascii_only", "theme", "keymap") if key in more}

    async def opener(publish: Callable[[Event], None]) -> Any:
        engine = Still(walk, publish, now, **more)
        if ways is not None:
            engine.ways = ways
        for event in passing:
            publish(event)
        return engine

    known = Known("shop", "production", True, "1.4.0")
    return CaptainApp(walk.path, known=known, opener=opener, environ={}, calm=True, **mine)
