"""The shipped readiness review measures monitoring, logs, performance, backups, documents and scaling.

Of a repository in which all is well its steps pass, each fails for the one thing that is spoilt, and of an empty one
nothing passes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from captain.loader import load
from tests.checklists import well_kept_shop as shop
from tests.checklists.reviewing import SHIPPED, Review
from tests.git_repo import Repo

MINE = ("monitoring", "logging", "performance", "backup", "documentation", "scalability")
NOBODY = "http://127.0.0.1:9"
"""Where nothing listens."""
OFF = {
    **dict.fromkeys(("base_url", "edge_url", "forge_api", "prometheus", "offsite_endpoint"), f'"{NOBODY}"'),
    **dict.fromkeys(("metrics_url", "worker_metrics_url", "asset_url", "page_a_url", "page_b_url"), f'"{NOBODY}/x"'),
}
"""No system of the machine the tests run on."""
FILES = (
    "perf.bundle-ci", "perf.code-split", "perf.lazy", "dr.automated", "dr.runbook", "dr.incident", "doc.deploy",
    "doc.rollback", "doc.schema", "doc.arch", "doc.onboarding",
)  # fmt: skip
"""Steps that files alone answer."""


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return shop.make(tmp_path / "shop")


def review(folder: Path, **more: str) -> Review:
    params = {**OFF, "backups": f'"{folder.parent}/backups/*.dump"', **more}
    return Review(folder, params, environ={"DOCKER_HOST": f"unix://{folder.parent}/no-engine.sock"})


def test_every_item_says_why_it_matters_and_what_to_do(tmp_path: Path) -> None:
    checklist = load(str(SHIPPED), "staging", cwd=tmp_path).checklist
    steps = [step for section in checklist.sections if section.id in MINE for step in section.steps]
    assert len(steps) == 41
    for step in steps:
        assert step.why and step.help, step.id
        assert step.asks, f"{step.id} is a bare tick-box"
        for rule in step.sign_off:
            assert rule.evidence == "required" and rule.valid_for is not None, step.id
    blockers = {step.id for step in steps if step.severity == "blocker"}
    assert blockers == {"dr.automated", "dr.restore-tested"}


def test_a_check_needs_no_program_to_be_accepted(tmp_path: Path) -> None:
    for _, step in load(str(SHIPPED), "staging", cwd=tmp_path).checklist.steps():
        assert not step.programs(reading=True), step.id


async def test_in_a_well_kept_repository_what_files_can_show_passes(repo: Repo) -> None:
    found = await review(repo.path).measure(*FILES)
    assert {step: said for step, said in found.items() if said[0] != "pass"} == {}


async def test_without_an_orchestrator_the_compose_file_is_worth_half(repo: Repo) -> None:
    verdict, message = await review(repo.path).verdict("scal.horizontal")
    assert verdict == "warn" and "Docker at" in message


async def test_of_an_empty_repository_nothing_passes_and_each_line_says_why(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "empty")
    found = await review(repo.path).measure()
    for step, (verdict, message) in found.items():
        assert verdict in ("fail", "unknown"), (step, message)
        assert len(message) > 20, step


Spoiled = Callable[[Repo], object]


def changed(name: str, old: str, new: str) -> Spoiled:
    def spoil(repo: Repo) -> None:
        shop.spoil(repo, name, old, new)
        shop.commit(repo)

    return spoil


def built(name: str, what: object) -> Spoiled:
    return lambda repo: repo.write(name, json.dumps(what))


def kept(sizes: list[int], **more: float) -> Spoiled:
    return lambda repo: shop.backups(repo.path.parent / "backups", sizes, **more)


def gone(name: str) -> Spoiled:
    return lambda repo: (repo.path / name).unlink()


def outdated(described: str) -> Spoiled:
    """What documents describe changes a while after them."""

    def change(repo: Repo) -> None:
        repo.write(described, (repo.path / described).read_text() + "\n# changed\n")
        repo.git("add", "--", described)
        repo.git("commit", "--quiet", "--message", "change it", at="2099-01-01T00:00:00Z")

    return change


SMALL = [20_000] * 8
LOADED = {"1": {"id": 1, "files": ["static/chunks/a.js"]}}
SPOILED = [
    ("perf.bundle-ci", "fail", changed(".github/workflows/ci.yml", "size-limit.json", "size-limit.json || true"),
     "gating"),
    ("perf.bundle-ci", "fail", changed(".github/workflows/ci.yml", "npx size-limit", "npx eslint"), "step.found"),
    ("perf.bundle-ci", "fail", built("reports/size-limit.json", [{**shop.SIZES[0], "passed": False}]), "sizes.prob"),
    ("perf.bundle-ci", "unknown", gone("reports/size-limit.json"), "there is no such file"),
    ("perf.code-split", "fail", built("frontend/.next/diagnostics/route-bundle-stats.json", shop.STATS[:1]), "refused"),
    ("perf.code-split", "fail",
     built("frontend/.next/diagnostics/route-bundle-stats.json",
           [{**one, "firstLoadUncompressedJsBytes": 2_000_000} for one in shop.STATS]), "refused"),
    ("perf.lazy", "fail", changed("frontend/app/page.tsx", shop.TRACKED["frontend/app/page.tsx"], "const a = 1\n"),
     "dynamic"),
    ("perf.lazy", "fail", built("frontend/.next/react-loadable-manifest.json", LOADED), "build.lazy_entries"),
    ("perf.lazy", "warn", gone("frontend/.next/react-loadable-manifest.json"), "there is no such file"),
    ("dr.automated", "fail", kept(SMALL, newest_age=3 * shop.DAY), "kept.newest_age"),
    ("dr.automated", "fail", kept(SMALL, apart=2 * shop.DAY), "kept.gap_max"),
    ("dr.automated", "fail", kept([2_000, *SMALL]), "kept.size_ratio"),
    ("dr.automated", "fail", kept([0, *SMALL]), "kept.newest_size"),
    ("dr.automated", "fail", kept(SMALL[:4]), "kept.count"),
    ("dr.automated", "fail", changed("ops/backup.cron", "15 3 * * *", "#"), "when"),
    ("dr.automated", "fail", gone("ops/backup.cron"), "schedule.files"),
    ("dr.runbook", "fail", changed("docs/disaster-recovery.md", "## Failback", "## More"), "headings_missing"),
    ("dr.runbook", "fail", changed("docs/disaster-recovery.md", "# Title", "# Title\n\nTODO: numbers"), "todo"),
    ("dr.incident", "fail", changed("docs/incidents.md", "## Escalation", "## More"), "headings_missing"),
    ("dr.rto-rpo", "fail", changed("docs/disaster-recovery.md", "| RPO | 5 min |", "| RPO | 24 h |"), "rpo"),
    ("dr.rto-rpo", "fail", changed("docs/disaster-recovery.md", "| RTO | 1 hour |", "| RTO | 8 hours |"), "rto"),
    ("doc.deploy", "fail", changed("docs/deploy.md", "## Contacts", "## More"), "headings_missing"),
    ("doc.deploy", "fail", changed("docs/deploy.md", "# Title", "# Title\n\n[a](gone.md)"), "dead_links"),
    ("doc.deploy", "warn", outdated("compose.yaml"), "stale = true"),
    ("doc.rollback", "fail", changed("docs/rollback.md", "captain rollback", "press the button"), "mentions_ratio"),
    ("doc.rollback", "fail", changed("docs/rollback.md", "## Database", "## More"), "headings_missing"),
    ("doc.schema", "fail", changed("docs/schema.md", "orders_customer", "people"), "mentions_ratio"),
    ("doc.schema", "fail", outdated("backend/orders/migrations/0001_initial.py"), "stale"),
    ("doc.arch", "fail", gone("docs/architecture.md"), "found"),
    ("doc.arch", "fail", changed("compose.yaml", "  redis:", "  a: {image: a}\n  b: {image: b}\n  redis:"),
     "mentions_ratio"),
    ("doc.onboarding", "fail", changed("docs/onboarding.md", "## Access", "## More"), "headings_missing"),
    ("scal.horizontal", "fail",
     changed("compose.yaml", "backend: { image", "backend: { container_name: one, image"), "fixed_container_names"),
    ("scal.horizontal", "fail",
     changed("compose.yaml", "backend: { image", "backend: { ports: ['8000:8000'], image"), "fixed_host_ports"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "verdict", "spoil", "says"), SPOILED, ids=[f"{one[0]}-{one[3]}-{n}" for n, one in enumerate(SPOILED)]
)
async def test_each_step_fails_for_the_one_thing_that_is_spoilt(
    repo: Repo, step: str, verdict: str, spoil: Spoiled, says: str
) -> None:
    spoil(repo)
    found = await review(repo.path).verdict(step)
    assert found[0] == verdict, found
    assert says in found[1]
