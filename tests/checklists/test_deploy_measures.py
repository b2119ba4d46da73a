"""The shipped list `deploy` over a shop that is in order, over one that is not, and over one that shows nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from captain.measurement import Verdict
from captain.run.status import Status
from tests.checklists.deployed import IMAGES, Deployed, aged
from tests.engine.stories import captain, found
from tests.forge_server import ForgeServer
from tests.shop import Shop

HOLE = {"VulnerabilityID": "CVE-2026-1", "PkgName": "openssl", "Severity": "CRITICAL", "FixedVersion": "3.1"}
EVIDENCE = ["https://ci.example.com/run/7"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    yield world
    world.close()


async def measured(shop: Shop, step: str) -> Status:
    """The step, measured once in a run of its own."""
    async with captain(shop, "1.4.0") as engine:
        await engine.measure(step)
        return found(engine, step)


def checks(forge: ForgeServer, commit: str, conclusion: str | None, *, required: str = "pytest") -> None:
    """What the forge says of a commit, and what its main branch requires."""
    run: dict[str, Any] = {"id": 1, "name": "pytest", "head_sha": commit, "conclusion": conclusion}
    run["status"] = "completed" if conclusion else "queued"
    path = f"repos/acme/shop/commits/{commit}"
    forge.put(f"{path}/check-runs", {"total_count": 1, "check_runs": [run]})
    forge.put(f"{path}/check-suites", {"total_count": 0, "check_suites": []})
    forge.put(f"{path}/status", {"state": "pending", "total_count": 0, "statuses": []})
    rule = {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": required}]}}
    forge.put("repos/acme/shop/rules/branches/main", [rule])
    forge.put("repos/acme/shop/branches/main", {"name": "main", "protected": False})


# All tests passing


async def test_green_checks_and_a_report_of_this_commit_pass(shop: Shop, forge: ForgeServer) -> None:
    world = Deployed(shop, forge=forge.url)
    checks(forge, world.commit, "success")
    world.junit()
    seen = await measured(shop, "tests-passing")
    assert seen.verdict is Verdict.PASS, seen.message


async def test_green_checks_without_a_report_are_a_warning(shop: Shop, forge: ForgeServer) -> None:
    world = Deployed(shop, forge=forge.url)
    checks(forge, world.commit, "success")
    assert (await measured(shop, "tests-passing")).verdict is Verdict.WARN


async def test_tests_that_were_all_skipped_are_not_even_half(shop: Shop, forge: ForgeServer) -> None:
    world = Deployed(shop, forge=forge.url)
    checks(forge, world.commit, "success")
    world.junit(skipped=True)
    seen = await measured(shop, "tests-passing")
    assert seen.verdict is Verdict.FAIL, seen.message


@pytest.mark.parametrize("planted", ["red", "waiting", "never ran", "red report"])
async def test_a_check_that_is_not_green_fails(shop: Shop, forge: ForgeServer, planted: str) -> None:
    world = Deployed(shop, forge=forge.url)
    conclusion = {"red": "failure", "waiting": None}.get(planted, "success")
    checks(forge, world.commit, conclusion, required="mypy" if planted == "never ran" else "pytest")
    world.junit(failed=1 if planted == "red report" else 0)
    seen = await measured(shop, "tests-passing")
    assert seen.verdict is Verdict.FAIL, seen.message


async def test_a_report_of_another_commit_does_not_pass(shop: Shop, forge: ForgeServer) -> None:
    world = Deployed(shop, forge=forge.url)
    checks(forge, world.commit, "success")
    world.junit(commit="b" * 40)
    assert (await measured(shop, "tests-passing")).verdict is Verdict.UNKNOWN


async def test_without_a_token_nobody_waits_and_the_message_names_it(shop: Shop, forge: ForgeServer) -> None:
    Deployed(shop, forge=forge.url)
    del shop.environ["GITHUB_TOKEN"]
    async with captain(shop, "1.4.0") as engine:
        await engine.measure("tests-passing")
        seen = found(engine, "tests-passing")
    assert seen.verdict is Verdict.UNKNOWN and "GITHUB_TOKEN is not set" in seen.message
    assert not seen.message.startswith("not true within"), "what cannot come is not waited for"
    assert forge.asked == []


async def test_what_a_person_signed_blind_does_not_cover_what_is_measured_later(shop: Shop, forge: ForgeServer) -> None:
    world = Deployed(shop, forge=forge.url)
    world.junit()
    async with captain(shop, "1.4.0") as engine:
        forge.refuse("*", "401 Unauthorized")
        await engine.measure("tests-passing")
        assert found(engine, "tests-passing").verdict is Verdict.UNKNOWN
        await engine.sign("tests-passing", "approve", "looked at it", EVIDENCE)
        assert (found(engine, "tests-passing").verdict, found(engine, "tests-passing").counts) == (Verdict.PASS, True)
        forge._refusals.clear()
        checks(forge, world.commit, "failure")
        await engine.measure("tests-passing")
        seen = found(engine, "tests-passing")
        assert (seen.verdict, seen.counts) == (Verdict.FAIL, False), "the forge is believed as soon as it answers"


# Security scan clean


async def test_clean_scans_of_these_images_and_lockfiles_pass(shop: Shop) -> None:
    Deployed(shop).scanned()
    seen = await measured(shop, "security-scan-clean")
    assert seen.verdict is Verdict.PASS, seen.message


async def test_a_system_past_its_end_of_life_fails_however_clean_and_cannot_be_signed_away(shop: Shop) -> None:
    Deployed(shop).scanned()
    path = shop.root / "reports/trivy.json"
    report = json.loads(path.read_text())
    report["Metadata"]["OS"] = {"Family": "debian", "Name": "9.13", "EOSL": True}
    report["Results"].append({"Target": "debian", "Class": "os-pkgs", "Type": "debian"})
    path.write_text(json.dumps(report))
    (shop.root / "reports/trivy-frontend.json").unlink()
    async with captain(shop, "1.4.0") as engine:
        await engine.measure("security-scan-clean")
        assert found(engine, "security-scan-clean").verdict is Verdict.FAIL
        await engine.sign("security-scan-clean", "approve", "it is fine", EVIDENCE)
        seen = found(engine, "security-scan-clean")
        assert (seen.verdict, seen.counts) == (Verdict.FAIL, False)


async def test_a_hole_in_one_image_fails_and_cannot_be_signed_away(shop: Shop) -> None:
    world = Deployed(shop)
    world.scanned()
    world.trivy("trivy.json", "backend", HOLE)
    (shop.root / "reports/trivy-frontend.json").unlink()
    async with captain(shop, "1.4.0") as engine:
        await engine.measure("security-scan-clean")
        assert found(engine, "security-scan-clean").verdict is Verdict.FAIL
        await engine.sign("security-scan-clean", "approve", "it is fine", EVIDENCE)
        seen = found(engine, "security-scan-clean")
        assert (seen.verdict, seen.counts) == (Verdict.FAIL, False)


async def test_a_high_finding_without_a_fix_is_a_warning(shop: Shop) -> None:
    world = Deployed(shop)
    world.scanned()
    world.trivy("trivy.json", "backend", {"VulnerabilityID": "CVE-2026-2", "PkgName": "zlib", "Severity": "HIGH"})
    assert (await measured(shop, "security-scan-clean")).verdict is Verdict.WARN


@pytest.mark.parametrize(
    "planted", ["other image", "old", "other lockfile", "blind npm", "no report", "nothing scanned"]
)
async def test_a_scan_that_is_not_of_this_release_is_unknown(shop: Shop, planted: str) -> None:
    world = Deployed(shop)
    world.scanned()
    reports = shop.root / "reports"
    if planted == "other image":
        world.trivy("trivy.json", "backend", of=IMAGES["frontend"])
    elif planted == "old":
        aged(reports / "pip-audit.json", 3 * 86400)
    elif planted == "other lockfile":
        (shop.root / "backend/requirements.txt").write_text("django==4.0\n")
    elif planted == "blind npm":
        world.report("npm-canary.json", json.loads((reports / "npm-audit.json").read_text()))
    elif planted == "no report":
        (reports / "trivy-frontend.json").unlink()
    else:
        world.report("trivy.json", {"SchemaVersion": 2, "ArtifactName": IMAGES["backend"]})
    assert (await measured(shop, "security-scan-clean")).verdict is Verdict.UNKNOWN


# No uncommitted changes


async def test_a_clean_tree_that_is_pushed_passes(shop: Shop) -> None:
    Deployed(shop).push()
    seen = await measured(shop, "no-uncommitted-changes")
    assert seen.verdict is Verdict.PASS, seen.message


@pytest.mark.parametrize("planted", ["untracked", "dirty", "unpushed", "hidden"])
async def test_a_tree_that_is_not_what_was_reviewed_fails(shop: Shop, planted: str) -> None:
    world = Deployed(shop)
    world.push()
    if planted == "untracked":
        world.repo.write("new.py")
    elif planted == "unpushed":
        world.repo.commit("more.py")
    else:
        if planted == "hidden":
            world.repo.git("update-index", "--assume-unchanged", "shop.py")
        world.repo.write("shop.py", "print(2)\n")
    assert (await measured(shop, "no-uncommitted-changes")).verdict is Verdict.FAIL


async def test_where_nothing_is_pushed_the_work_tree_counts_once_the_list_says_so(shop: Shop) -> None:
    world = Deployed(shop)
    assert (await measured(shop, "no-uncommitted-changes")).verdict is Verdict.UNKNOWN
    path = shop.root / "checklists/deploy.yaml"
    path.write_text(path.read_text().replace("params: {", "params: { pushed: 'false',"))
    world.repo.git("commit", "--quiet", "--all", "--message", "nobody pushes")
    async with captain(shop, "1.4.1") as engine:
        await engine.measure("no-uncommitted-changes")
        assert found(engine, "no-uncommitted-changes").verdict is Verdict.PASS


# Database backups verified


async def test_a_fresh_dump_that_is_whole_passes(shop: Shop) -> None:
    Deployed(shop).backup()
    seen = await measured(shop, "backups-verified")
    assert seen.verdict is Verdict.PASS, seen.message


@pytest.mark.parametrize("planted", ["cut", "old", "shrunk"])
async def test_a_dump_that_cannot_save_you_fails(shop: Shop, planted: str) -> None:
    world = Deployed(shop)
    dump = world.backup().read_text()
    if planted == "cut":
        world.backup(text=dump[:-40])
    elif planted == "old":
        world.backup(age=7200)
    else:
        for at in range(4):
            world.backup(f"earlier-{at}.dump", dump.replace("CREATE", "-- " + "x" * 4000 + "\nCREATE"), 3600 * (at + 2))
    assert (await measured(shop, "backups-verified")).verdict is Verdict.FAIL


async def test_no_folder_of_backups_is_unknown_and_named(shop: Shop) -> None:
    Deployed(shop)
    seen = await measured(shop, "backups-verified")
    assert seen.verdict is Verdict.UNKNOWN and "backups" in seen.message


# What runs


async def test_the_release_answers_for_as_long_as_asked(shop: Shop) -> None:
    Deployed(shop)
    seen = await measured(shop, "health-checks-passing")
    assert seen.verdict is Verdict.PASS, seen.message


@pytest.mark.parametrize("planted", ["ill", "another version"])
async def test_an_ill_service_or_the_old_version_fails(shop: Shop, planted: str) -> None:
    Deployed(shop)
    if planted == "ill":
        shop.health = 503
    else:
        (shop.root / "current").write_text("1.3.0")
    assert (await measured(shop, "health-checks-passing")).verdict is Verdict.FAIL


async def test_metrics_that_nobody_serves_fail_whatever_is_signed(shop: Shop) -> None:
    Deployed(shop)
    async with captain(shop, "1.4.0") as engine:
        await engine.measure("metrics-collecting")
        assert found(engine, "metrics-collecting").verdict is Verdict.FAIL
        await engine.sign("metrics-collecting", "approve", "it is fine", EVIDENCE)
        assert found(engine, "metrics-collecting").counts is False


UNREACHED = {
    "tests-passing": "connection refused",
    "security-scan-clean": "has the job that writes it run?",
    "backups-verified": "no such file or directory",
    "rollback-plan-tested": "no rehearsal of rollback-plan-tested in staging yet",
    "rollback-on-failure": "is the engine running",
    "no-error-spikes": "is Prometheus up",
}


@pytest.mark.parametrize("step", UNREACHED)
async def test_what_cannot_be_measured_here_is_unknown_says_why_and_can_be_signed(shop: Shop, step: str) -> None:
    Deployed(shop).junit()
    async with captain(shop, "1.4.0") as engine:
        await engine.measure(step)
        seen = found(engine, step)
        assert seen.verdict is Verdict.UNKNOWN and not seen.counts
        assert UNREACHED[step] in seen.message
        await engine.sign(step, "approve", "seen elsewhere", EVIDENCE)
        seen = found(engine, step)
        assert (seen.verdict, seen.counts) == (Verdict.PASS, True), seen.message


async def test_nothing_passes_in_an_empty_repository(shop: Shop) -> None:
    world = Deployed(shop)
    world.repo.git("rm", "--quiet", "-r", "--cached", ".")
    shop.health = 404
    async with captain(shop, "9.9.9") as engine:
        for _, step in engine.target.checklist.steps():
            if step.asks:
                await engine.measure(step.id)
            assert not found(engine, step.id).verdict.good, step.id
