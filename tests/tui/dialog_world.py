"""A run of a shop in production, one moment frozen, and an app that holds one dialog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from captain.checklist import Action, Ask, Checklist, Gate, RollbackRules, Section, Service, SignOffRule, Step, Target
from captain.clock import stamp
from captain.events import Actor, Recorded
from captain.run import fold
from captain.run.view import View
from captain.tui.present import Look

NOW = datetime(2026, 11, 23, 14, 2, 7, tzinfo=UTC)
KAREN = Actor("karen@example.com", "git", "karen", 1000, "bastion")
RUN = "shop-production-1.4.0"
HEX = "9f3c" + "0" * 60
COMMIT = "a1b2c3d" + "0" * 33


def steps() -> tuple[Section, ...]:
    probe = {"": Ask("http", {"url": "https://shop.example.com/healthz"}, None)}
    return (
        Section(
            id="pre",
            title="Pre-deployment",
            phase="pre",
            steps=(
                Step(id="tests-passing", title="All tests passing", asks=probe),
                Step(
                    id="lag-accepted",
                    title="Replication lag accepted",
                    manual="Is a replica lag of 4 s acceptable tonight?",
                    sign_off=(SignOffRule(role="dba"),),
                ),
            ),
        ),
        Section(
            id="deploy",
            title="Deployment",
            phase="deploy",
            gate=Gate(sign_off=(SignOffRule(role="captain"),), confirm="environment"),
            steps=(
                Step(
                    id="roll-out",
                    title="Roll out the new version",
                    action=Action(
                        run=("./deploy.sh", "${{ release.version }}"),
                        env={"TOKEN": "${{ secrets.GITHUB_TOKEN }}"},
                        timeout=timedelta(minutes=30),
                    ),
                ),
            ),
        ),
        Section(
            id="post",
            title="Post-deployment",
            phase="post",
            steps=(
                Step(id="health", title="Health checks passing", asks=probe, why="Customers see this page first."),
                Step(id="no-error-spikes", title="No error spikes", asks=probe, severity="warning"),
            ),
        ),
    )


def target(
    *, protected: bool = True, people: Mapping[str, tuple[str, ...]] | None = None, sections: Sequence[Section] = ()
) -> Target:
    named = {"karen@example.com": ("captain", "dba")} if people is None else people
    rollback = RollbackRules(verify=("deploy/health",))
    return Target(
        Service(service="shop", people=named, rollback=rollback),
        "production" if protected else "staging",
        protected,
        "A",
        Checklist(checklist="deploy", title="Deployment of shop", sections=tuple(sections) or steps()),
        "/srv/shop",
    )


def drilled() -> Target:
    """The same with a drill before the deployment."""
    from captain.probes.drill import DrillProbe

    parameters: dict[str, Any] = {
        "probes": {"worker": {"docker": {"names": ["shop_worker"]}}},
        "steps": [
            {"do": "signal", "target": "shop_worker", "args": {"signal": "KILL"}},
            {"until": "worker.restart_count_max > before.worker.restart_count_max", "within": "30s"},
        ],
        "cleanup": [{"do": "run", "args": {"run": ["./fault", "off"]}}],
    }
    ask = Ask("drill", parameters, DrillProbe.model_validate(parameters))
    why = "A worker that does not come back loses orders."
    step = Step(id="auto-restart", title="A killed worker comes back", asks={"": ask}, why=why)
    first, *others = steps()
    sections = (first.model_copy(update={"steps": (step, *first.steps)}), *others)
    return replace(target(sections=sections), allow=("drill",))


class Story:
    """Entries of one run, a minute apart, and the view of them."""

    def __init__(self, target: Target | None = None) -> None:
        self.target = target or globals()["target"]()
        self.events: list[Recorded] = []
        release = {"version": "1.4.0", "commit": COMMIT, "images": {}}
        self.add(
            "run.start",
            kind="release",
            service="shop",
            environment=self.target.environment,
            protected=self.target.protected,
            checklist="deploy",
            tag="v1.4.0",
            untagged=False,
            previous={"version": "1.3.9", "commit": None, "images": {}, "source": "observed", "differs": False},
            files=[],
            trust=None,
            linked=None,
            **release,
        )

    def add(self, kind: str, actor: Actor = KAREN, /, **data: Any) -> Story:
        seq = len(self.events) + 1
        at = NOW - timedelta(minutes=30) + timedelta(minutes=seq)
        self.events.append(Recorded(seq, f"{seq:032d}", stamp(at), seq * 60_000, "boot", actor, kind, RUN, data))
        return self

    def finished(self, attempt: str, exit_code: int = 0) -> Story:
        return self.add(
            "action.finished",
            attempt=attempt,
            outcome="exited",
            exit_code=exit_code,
            signal=None,
            duration_ms=14_000,
            stdout=None,
            stderr=None,
            truncated=False,
            survivors=[],
        )

    def result(
        self,
        step: str,
        verdict: str,
        message: str,
        *,
        conditions: Sequence[tuple[str, str]] = (),
        purpose: str = "measure",
    ) -> Story:
        return self.add(
            "step.result",
            step=step,
            definition=HEX,
            purpose=purpose,
            verdict=verdict,
            severity="blocker",
            message=message,
            attempts=1,
            started=stamp(NOW),
            duration_ms=812,
            held_ms=None,
            max_age_ms=7_200_000,
            attempt=None,
            probes=[],
            observed={},
            conditions=[
                {"expect": text, "role": "expect", "verdict": judged, "resolved": text} for text, judged in conditions
            ],
            truncated=False,
        )

    def go(self, section: str, opens: str | None) -> Story:
        return self.add(
            "gate.decision",
            section=section,
            decision="go",
            note="",
            counted=[],
            risk=[],
            overridden=[],
            confirmed=None,
            no_way_back=None,
            opens=opens,
        )

    def intent(self, attempt: str = "a1", *, step: str | None = "roll-out", **more: Any) -> Story:
        return self.add(
            "action.intent",
            **{
                "attempt": attempt,
                "step": step,
                "rollback": None,
                "part": None,
                "how": "run",
                "argv": ["./deploy.sh", "1.4.0"],
                "argv_sha256": HEX,
                "program": None,
                "cwd": ".",
                "env_names": ["TOKEN"],
                "timeout_ms": 1_800_000,
                "idempotent": False,
                "observe": False,
                "trust": None,
                "fence": 1,
                "retry_of": None,
                **more,
            },
        )

    def trial(self, step: str) -> Story:
        """A drill began, and nobody saw its end."""
        return self.add(
            "step.intent",
            attempt="d1",
            step=step,
            definition=HEX,
            safety="drill",
            does=["sends KILL to the first process of shop_worker"],
            confirmed="production",
            trust=None,
            pid=1,
            starttime=1,
        )

    def view(self, **more: Any) -> View:
        run = fold(self.events)
        assert run is not None
        definitions = {step.id: HEX for _, step in self.target.checklist.steps()}
        found = View(run, self.target, NOW, definitions, me=KAREN.name)
        return replace(found, **more)


def before() -> Story:
    """Pre is open: one blocker fails, one waits for a dba."""
    return Story().result("tests-passing", "fail", "1 of 14 checks failed: lint", conditions=[("failed == 0", "fail")])


def after() -> Story:
    """Post is open: the deployment was started, health fails."""
    told = Story().go("pre", "deploy").intent().go("deploy", "post")
    return told.result("health", "fail", "latency = 812 ms", conditions=[('latency < duration("500ms")', "fail")])


class Behind(Screen[None]):
    """Something to stand behind a dialog: the five places that never move."""

    DEFAULT_CSS = "Behind { overflow: hidden; }"

    def compose(self) -> ComposeResult:
        yield Static(" shop  ▲ PRODUCTION  1.4.0 a1b2c3d   ✓ PRE  ✓ DEPLOY  ● POST", classes="bar")
        yield Static("\n".join(f"  ✓ pass    Step {number}" for number in range(1, 6)))


class Looker:
    """Stands where the engine stands for a screen that only looks."""

    def __init__(self, view: View) -> None:
        self.moment = view

    def view(self) -> View:
        return self.moment


class Host(App[None]):
    """Opens one dialog or screen and keeps what it answered."""

    CSS_PATH = ["../../captain/tui/captain.tcss", "../../captain/tui/dialogs.tcss"]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, dialog: Any, look: Look | None = None, theme: str = "tokyo-night") -> None:
        super().__init__()
        self.dialog = dialog
        self.look = look or Look(calm=True)
        self.answers: list[Any] = []
        self.theme = theme

    def on_mount(self) -> None:
        self.push_screen(Behind())
        self.push_screen(self.dialog, self.answers.append)


def rolling_back(*, done: int = 1) -> Story:
    """A rollback of two parts, of which the first `done` have ended well, and the next one runs as attempt r2."""
    told = after().add(
        "rollback.intent",
        rollback="rb1",
        plan_sha256=HEX,
        point=3,
        to={"version": "1.3.9", "commit": None, "images": {}},
        parts=[
            {"id": "web", "strategy": "command", "from": "1.4.0", "to": "1.3.9 sha256:9f3c…", "verb": "change"},
            {"id": "worker", "strategy": "command", "from": "1.4.0", "to": "1.3.9", "verb": "change"},
        ],
        stops=[],
        confirmed="production",
        fence=1,
    )
    for number, part in enumerate(("web", "worker")[: done + 1], 1):
        told.intent(f"r{number}", step=None, rollback="rb1", part=part, argv=["./back.sh", part])
        told.add("action.started", attempt=f"r{number}", pid=4000 + number, starttime=None, boot="boot")
        if number <= done:
            told.finished(f"r{number}")
    return told


def rolled_back(state: str = "rolled_back") -> Story:
    """The same rollback, ended."""
    good = state == "rolled_back"
    told = rolling_back(done=2)
    told.result("health", "pass" if good else "fail", "status = 200" if good else "status = 500", purpose="verify")
    told.add(
        "rollback.end",
        rollback="rb1",
        state=state,
        verified=[{"step": "health", "verdict": "pass" if good else "fail", "of": len(told.events)}],
        why=None if good else "not verified: health is fail",
        cause=None,
        duration_ms=41_000,
    )
    if good:
        told.add("run.end", state=state, verdict="pass", reason=None, left_running=None, review_due=None)
    return told
