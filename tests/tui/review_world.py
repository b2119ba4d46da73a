"""The review of a shop, written into a real log with a frozen clock: seventy-one items and five weeks of checks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from captain.checklist import Section, SignOffRule, Step
from captain.clock import stamp
from captain.events import Draft, Event
from captain.log.evidence import Evidence
from captain.tui.app import CaptainApp
from captain.tui.moment import Known
from tests.tui.walk import COMMIT, DBA, KAREN, NOW, Frozen, Still, Walk, _step, target

RUN = "shop-production-readiness"
BEGAN = datetime(2026, 10, 19, 9, 0, tzinfo=UTC)
LONG = 10 * 365 * 86_400_000
"""Milliseconds for which a result of the pictures counts, where no other time is said."""
DAY = 86_400_000

CATEGORIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "infra",
        "Infrastructure",
        ("Non-root users", "Limits", "Health checks", "Restarts", "Volumes", "Networks", "Secrets"),
    ),
    ("db", "Database", ("Pooling", "TLS mode", "Slow query log", "Backup scripts", "Restore", "Reversible", "Options")),
    (
        "sec",
        "Security",
        (
            "Multi-stage builds",
            "No secrets in images",
            "Named users",
            "Scan in CI",
            "Dependencies scanned",
            "Ignored secrets",
            "Ignored .env",
            "TLS to the outside",
        ),
    ),
    (
        "ci",
        "CI/CD",
        ("Tests on PRs", "Migration check", "Types", "Rollback", "Before", "After", "Retries", "Zero downtime"),
    ),
    (
        "mon",
        "Monitoring",
        ("Metrics", "Per endpoint", "Histograms", "Error rate", "Connections", "Cache", "Tasks consumed", "Uptime"),
    ),
    ("log", "Logging", ("Structured", "Levels", "Slow queries", "Requests", "Stack traces", "Rotation")),
    ("perf", "Performance", ("Pooling", "Cache", "CDN", "Image size", "Bundle size", "Code splitting", "Lazy loading")),
    (
        "dr",
        "Backup/DR",
        (
            "Backups younger than 24 h",
            "Restore tested within 90 d",
            "Copy in a second region",
            "Point-in-time recovery window",
            "Backup checksum compared",
            "Encrypted with a managed key",
        ),
    ),
    ("doc", "Documentation", ("Deploy", "Rollback", "API", "Schema", "Architecture", "Onboarding", "Trouble")),
    ("scal", "Scalability", ("Stateless", "Horizontal", "Load balancer", "Pooling", "Cache", "Queue", "CDN")),
)
BLOCKERS = {"sec-2", "dr-2", "infra-1", "infra-3", "db-5", "ci-4"}
SIGNED = {"scal-2": "Was it scaled to six replicas on staging?", "scal-6": "Is the queue drained on shutdown?"}


def _items(ident: str, titles: tuple[str, ...]) -> tuple[Step, ...]:
    found = []
    for at, title in enumerate(titles, 1):
        name = f"{ident}-{at}"
        keys: dict[str, Any] = {"severity": "blocker" if name in BLOCKERS else "warning"}
        if name in SIGNED:
            keys |= {"manual": SIGNED[name], "sign_off": (SignOffRule(role="dba"),)}
        found.append(_step(name, title, **keys))
    return tuple(found)


def sections() -> tuple[Section, ...]:
    """Ten categories, what was added beside them, gaps and recommendations."""
    scored = [Section(id=ident, title=title, steps=_items(ident, titles)) for ident, title, titles in CATEGORIES]
    additions = tuple(_step(f"add-{at}", title, severity="info") for at, title in enumerate(("Queue page", "Gauge"), 1))
    gaps = (_step("gap.1", "Load test for traffic spikes", severity="info", affects=("perf-1", "scal-2")),)
    advice = (
        _step("rec-staging", "Deploy to staging first", severity="info"),
        _step("rec-go", "Deploy to production", severity="info", manual="Go?", needs=("rec-staging",)),
    )
    return (
        *scored,
        Section(id="additions", title="Additions", scored=False, steps=additions),
        Section(id="gaps", title="Gaps", scored=False, steps=gaps),
        Section(id="recommendations", title="Recommendations", scored=False, steps=advice),
    )


class ReviewWalk(Walk):
    """Entries of one standing run."""

    def __init__(self, path: Path, parts: tuple[Section, ...] | None = None) -> None:
        base = target(steps=parts or sections())
        checklist = base.checklist.model_copy(
            update={"checklist": "readiness", "title": "Readiness of shop", "per": "service"}
        )
        begins = {"kind": "standing", "checklist": "readiness", "version": None, "tag": None, "previous": None}
        made = type(base)(base.service, "production", True, "A", checklist, "/srv/shop")
        self.waiting: list[tuple[Draft, Evidence]] = []
        self.many = False
        super().__init__(path, made, Frozen(BEGAN), RUN, begins)

    def record(self, kind: str, data: dict[str, Any], piece: Evidence) -> None:
        self.waiting.append((Draft(kind, self.name, data), piece))
        if not self.many:
            self.flush()

    def flush(self) -> None:
        """All results of a check in one transaction: each of its own would wait for the disk."""
        drafts, pieces = [one for one, _ in self.waiting], [one for _, one in self.waiting]
        self.waiting = []
        self.log.append(drafts, actor=KAREN, evidence=pieces)

    def days_ago(self, days: float) -> ReviewWalk:
        self.clock.moment = NOW - timedelta(days=days)
        return self

    def checked(self, **verdicts: str) -> ReviewWalk:
        """Every item that is measured passes, but for these (`dr_2="fail"`), and the check ends."""
        steps = [step for _, step in self.target.checklist.steps() if step.asks]
        self.many = True
        for step in steps:
            verdict = verdicts.get(step.id.replace("-", "_").replace(".", "_"), "pass")
            if verdict != "":
                self.result(step.id, verdict, MESSAGES.get((step.id, verdict), "status = 200"), max_age_ms=LONG)
        self.many = False
        self.flush()
        self.add("run.checked", {"verdict": "fail", "measured": len(steps), "kept": 0})
        return self

    def reviewed(self) -> ReviewWalk:
        """Five weeks of work, and today."""
        old = dict.fromkeys(("infra_4", "infra_5", "ci_2", "ci_3", "ci_7", "log_3", "sec_4", "perf_4", "doc_5"), "fail")
        always = {"gap_1": "fail", "rec_staging": "fail"}
        self.days_ago(35).checked(**old, **always, sec_2="fail", log_2="fail", ci_8="fail")
        self.days_ago(28).checked(**{**old, "infra_4": "pass", "ci_2": "pass"}, **always, sec_2="fail", log_2="fail")
        self.days_ago(20).checked(**always, sec_2="fail", log_2="fail", log_3="fail", ci_3="fail", ci_7="fail")
        self.days_ago(12).checked(**always, sec_2="fail", log_2="fail", ci_3="fail", dr_2="fail")
        self.days_ago(5).checked(**always, sec_2="fail", log_2="fail", dr_2="fail")
        self.days_ago(2)
        for step in ("dr-4", "dr-5"):
            self.result(step, "pass", "newest_age = 2 h", max_age_ms=DAY)
        self.days_ago(1 / 24)
        bad = {
            "sec_2": "fail",
            "sec_8": "unknown",
            "db_3": "unknown",
            "mon_7": "warn",
            "perf_3": "warn",
            "log_2": "fail",
        }
        self.checked(**bad, **always, dr_2="fail", dr_6="fail", dr_4="", dr_5="")
        self.waived("dr-6", "the key service arrives in January", stamp(NOW + timedelta(days=20)))
        self.signed("step", "rec-go", note="97 % ready", actor=DBA)
        return self


MESSAGES = {
    ("sec-2", "fail"): "secrets = 1: API_TOKEN in layer 3",
    ("sec-8", "unknown"): "resolver.example.com: no answer within 5 s",
    ("db-3", "unknown"): "role reader lacks pg_monitor",
    ("mon-7", "warn"): "heartbeat seen, no canary consumed",
    ("perf-3", "warn"): "cache-control: max-age is 60 s",
    ("log-2", "fail"): "DEBUG in production",
    ("dr-2", "fail"): "last = 131 d ago",
    ("dr-6", "fail"): "key = aws/default",
    ("gap.1", "fail"): "no report of a load test",
    ("rec-staging", "fail"): "version = 1.3.9",
}


def review_app(walk: Walk, *, now: datetime = NOW, **more: Any) -> CaptainApp:
    """The readiness screen over this moment. `more` goes to the view, or to the app where it knows the name."""
    mine = {key: more.pop(key) for key in ("ascii_only", "theme", "keymap") if key in more}

    async def opener(publish: Callable[[Event], None]) -> Any:
        return Still(walk, publish, now, **more)

    known = Known("shop", "production", True, None, standing=True)
    return CaptainApp(walk.path, known=known, opener=opener, environ={}, calm=True, **mine)


__all__ = ["COMMIT", "KAREN", "NOW", "RUN", "ReviewWalk", "review_app", "sections"]
