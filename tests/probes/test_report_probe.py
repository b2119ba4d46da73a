"""What the report probe says of the documents of real tools, and what it never takes for clean."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.condition import Scope, activation, compile_condition, judge, observes
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.report import ReportProbe
from captain.systems.reports import reports
from tests.probe_context import probe_context
from tests.requirements import need

PAYLOADS = Path(__file__).parents[1] / "data" / "payloads"
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
IMAGE = "registry.example/backend:1.4.2"
DIGEST = "registry.example/backend@sha256:" + "cd" * 32
IMAGE_ID = "sha256:" + "ab" * 32
COMMIT = "4f1c0b7e9a2d4c55b1e0a6d3c2f98b7a61540e21"
CLEAN = ("critical == 0", "high == 0", "secrets == 0")
GATE = ("critical == 0", "fixable_high == 0", "secrets == 0")
CANARY = {"id": "minimist", "path": "canary.json"}


class Then:
    """A clock that stands."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return 0.0


def put(root: Path, name: str, data: bytes | str, at: datetime = NOW - timedelta(minutes=20)) -> Path:
    """A file of that moment."""
    path = root / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


async def ask(root: Path, *, now: datetime = NOW, max_age: timedelta | None = None, **keys: Any) -> Measurement:
    keys = {"path": "report", **keys} if "url" not in keys else keys
    context = replace(probe_context(root, 10), clock=Then(now), max_age=max_age)
    return await ReportProbe(**keys).measure(context)


async def of(root: Path, data: bytes | str, format: str, **keys: Any) -> Measurement:
    put(root, "report", data)
    return await ask(root, format=format, **keys)


def verdict(seen: Measurement, expect: Sequence[str] = (), warn: Sequence[str] = ()) -> str:
    """As the engine judges it."""
    scope = Scope.of({"": {name: one.type for name, one in observes(ReportProbe.Observes).items()}}, {}, ())
    assert set(seen.observed) <= set(ReportProbe.Observes.__annotations__), "only declared names are observed"
    assert None not in seen.observed.values()
    hard, soft = ([compile_condition(text, scope) for text in some] for some in (expect or _OWN, warn))
    return judge(hard, soft, activation({"": seen.observed})).verdict.value


_OWN = ReportProbe.default_expect


def payload(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


EXPECTED: list[tuple[str, str, str, Sequence[str], Sequence[str], dict[str, Any]]] = [
    ("trivy_clean.json", "trivy", "pass", CLEAN, GATE, {"critical": 0, "high": 0, "fixable_high": 0, "secrets": 0}),
    ("trivy_findings.json", "trivy", "fail", CLEAN, GATE, {"critical": 1, "high": 2, "fixable_high": 1, "low": 1,
      "fixable_critical": 1}),
    ("trivy_unfixed_high_only.json", "trivy", "warn", CLEAN, GATE, {"high": 1, "fixable_high": 0}),
    ("trivy_other_artifact.json", "trivy", "unknown", CLEAN, GATE, {"artifact_match": False}),
    ("pip_audit_clean.json", "pip-audit", "pass", ["skipped == 0", "total == 0"], [], {"total": 0, "skipped": 0}),
    ("pip_audit_vulns.json", "pip-audit", "fail", ["skipped == 0", "total == 0"], [],
     {"total": 2, "fixable": 1, "skipped": 0}),
    ("npm_audit_clean.json", "npm-audit", "pass", ["critical == 0", "high == 0"], [],
     {"total": 0, "critical": 0, "high": 0, "canary_found": True}),
    ("npm_audit_vulns.json", "npm-audit", "fail", ["critical == 0", "high == 0"], [],
     {"total": 2, "critical": 1, "medium": 1}),
    ("npm_audit_endpoint_error_exit1.json", "npm-audit", "unknown", ["critical == 0", "high == 0"], [], {}),
    ("sarif_findings.json", "sarif", "fail", ["errors == 0"], [],
     {"errors": 1, "warnings": 1, "suppressed": 1, "max_security_severity": 8.1, "execution_successful": True}),
    ("junit_pass.xml", "junit", "pass", ["tests >= 1", "failed + errors == 0"], [],
     {"tests": 3, "passed": 2, "failed": 0, "errors": 0, "skipped": 1}),
    ("junit_mixed.xml", "junit", "fail", ["tests >= 1", "failed + errors == 0"], [],
     {"tests": 5, "passed": 1, "failed": 1, "errors": 1, "skipped": 2}),
    ("junit_no_tests.xml", "junit", "fail", ["tests >= 1"], [], {"tests": 0}),
    ("coverage.json", "coverage-json", "pass", ["percent >= 80.0"], [], {"percent": 100.0}),
    ("coverage_cobertura.xml", "cobertura", "pass", ["percent >= 80.0"], [], {"percent": 100.0}),
    ("k6_handle_summary.json", "k6", "fail", ["size(thresholds_failed) == 0"], [],
     {"p95": timedelta(milliseconds=215.9), "thresholds_failed": ["p(95)<200"], "requests": 180}),
    ("locust.json", "locust", "fail", ["errors == 0"], [], {"requests": 233, "errors": 37}),
    ("size_limit.json", "size-limit", "fail", ["failed == 0"], [], {"failed_names": ["first load /"]}),
]  # fmt: skip


@pytest.mark.parametrize(("file", "format", "expected", "expect", "warn", "seen"), EXPECTED)
async def test_every_document_gets_the_verdict_it_deserves(
    tmp_path: Path, file: str, format: str, expected: str, expect: list[str], warn: list[str], seen: dict[str, Any]
) -> None:
    keys: dict[str, Any] = {"artifact": IMAGE} if format == "trivy" else {}
    if format == "npm-audit":
        put(tmp_path, "canary.json", payload("npm_audit_vulns.json"))
        keys = {"canary": CANARY}
    found = await of(tmp_path, payload(file), format, **keys)
    assert {name: found.observed.get(name) for name in seen} == seen
    assert verdict(found, expect, warn) == expected
    # The kind's own conditions are never milder.
    own = verdict(found)
    assert own == expected or own in ("fail", "unknown")


@pytest.mark.parametrize(("file", "format"), [(one[0], one[1]) for one in EXPECTED])
async def test_no_document_passes_once_it_is_old_empty_cut_off_or_something_else(
    tmp_path: Path, file: str, format: str
) -> None:
    whole = payload(file)
    conditions = next(one[3] for one in EXPECTED if one[0] == file)
    put(tmp_path, "canary.json", payload("npm_audit_vulns.json"))
    keys: dict[str, Any] = {"format": format, "canary": CANARY} if format == "npm-audit" else {"format": format}
    for mutated in (b"", b"  \n", b"{}", b"[]", b"null", b"7", b"<x/>", whole[: len(whole) // 2], whole[:-3]):
        put(tmp_path, "report", mutated)
        try:
            seen = await ask(tmp_path, **keys)
        except ProbeError as error:
            assert error.fault == "unclear" and error.hint
            continue
        assert verdict(seen) == verdict(seen, conditions) == "unknown", mutated
    put(tmp_path, "report", whole)
    later = NOW + timedelta(days=2)
    old = await ask(tmp_path, **keys, now=later)
    assert verdict(old) == verdict(old, conditions) == "unknown"
    assert any("nothing of it is counted: it is" in note for note in old.notes)
    future = NOW - timedelta(days=30)
    early = await ask(tmp_path, **keys, now=future)
    assert verdict(early, conditions) == "unknown" and "age" not in early.observed
    for other in reports.names():
        if other == format:
            continue
        try:
            seen = await ask(tmp_path, format=other, canary=CANARY if other == "npm-audit" else None)
        except ProbeError as error:
            assert error.fault == "unclear"
        else:
            assert verdict(seen) != "pass", other


async def test_the_age_that_counts_is_the_steps(tmp_path: Path) -> None:
    put(tmp_path, "report", payload("locust.json"))
    month: dict[str, Any] = {"format": "locust", "now": NOW + timedelta(days=20)}
    assert verdict(await ask(tmp_path, **month), ["errors == 37"]) == "unknown"
    seen = await ask(tmp_path, **month, max_age=timedelta(days=30))
    assert verdict(seen, ["errors == 37"]) == "pass"


async def test_a_report_touched_today_is_as_old_as_it_says(tmp_path: Path) -> None:
    later = NOW + timedelta(days=3)
    put(tmp_path, "report", payload("trivy_clean.json"), later)
    seen = await ask(tmp_path, format="trivy", now=later)
    assert seen.observed["age"] > timedelta(days=3)  # type: ignore[operator]
    assert verdict(seen, CLEAN) == "unknown"


async def test_a_missing_report_is_an_answer_and_no_pass(tmp_path: Path) -> None:
    seen = await ask(tmp_path, format="trivy")
    assert seen.observed == {"found": False}
    assert verdict(seen) == verdict(seen, CLEAN) == "unknown"
    assert verdict(seen, CLEAN, ["!found"]) == "warn"


@pytest.mark.parametrize(
    "wanted", [IMAGE, DIGEST, IMAGE_ID, "sha256:" + "cd" * 32, "mirror.local/b@sha256:" + "cd" * 32]
)
async def test_a_report_of_the_image_that_is_deployed_counts(tmp_path: Path, wanted: str) -> None:
    seen = await of(tmp_path, payload("trivy_clean.json"), "trivy", artifact=wanted)
    assert seen.observed["artifact_match"] is True
    assert verdict(seen) == "pass"


@pytest.mark.parametrize(
    "wanted",
    ["registry.example/backend:1.4.3", "backend:1.4.2", "sha256:" + "99" * 32, "."],
)
async def test_a_report_of_another_image_counts_nothing(tmp_path: Path, wanted: str) -> None:
    seen = await of(tmp_path, payload("trivy_findings.json"), "trivy", artifact=wanted)
    assert seen.observed["artifact_match"] is False
    assert not {"critical", "total", "secrets", "problems", "examined"} & {*seen.observed}
    assert any(note.startswith("nothing of it is counted: the report is of") for note in seen.notes)


async def test_an_image_that_was_never_pushed_cannot_be_told_from_a_digest_of_a_registry(tmp_path: Path) -> None:
    report = json.loads(payload("trivy_clean.json"))
    del report["Metadata"]["RepoDigests"]
    seen = await of(tmp_path, json.dumps(report), "trivy", artifact=DIGEST)
    assert "artifact_match" not in seen.observed
    assert verdict(seen) == "unknown" == verdict(seen, ["artifact_match"])


async def test_a_report_that_names_no_commit_proves_none(tmp_path: Path) -> None:
    seen = await of(tmp_path, payload("pip_audit_clean.json"), "pip-audit", commit=COMMIT)
    assert verdict(seen) == verdict(seen, ["commit_match"]) == "unknown"
    assert verdict(seen, ["total == 0"]) == "pass", "who does not ask for it is not held up"
    seen = await of(tmp_path, payload("pip_audit_vulns.json"), "pip-audit", commit=COMMIT)
    assert verdict(seen) == "fail", "what was found is not hidden by what is not said"
    seen = await of(tmp_path, payload("junit_pass.xml"), "junit", commit=COMMIT[:12])
    assert verdict(seen, [*_OWN, "commit_match"]) == "pass"
    seen = await of(tmp_path, payload("junit_pass.xml"), "junit", commit="deadbeef")
    assert seen.observed["commit_match"] is False
    assert verdict(seen) == verdict(seen, ["failed == 0"]) == "unknown"


async def test_trivy_and_sarif_name_a_commit(tmp_path: Path) -> None:
    report = json.loads(payload("trivy_clean.json"))
    report["Metadata"]["ImageConfig"] = {"config": {"Labels": {"org.opencontainers.image.revision": COMMIT}}}
    seen = await of(tmp_path, json.dumps(report), "trivy", commit=COMMIT)
    assert seen.observed["commit_match"] is True
    sarif = json.loads(payload("sarif_findings.json"))
    sarif["runs"][0]["versionControlProvenance"] = [{"revisionId": COMMIT}]
    sarif["runs"][0]["results"] = []
    seen = await of(tmp_path, json.dumps(sarif), "sarif", commit=COMMIT)
    assert verdict(seen, [*_OWN, "commit_match"]) == "pass"


async def test_a_scan_counts_for_the_lockfile_that_was_scanned(tmp_path: Path) -> None:
    report, lock = payload("pip_audit_clean.json"), b"django==5.2.19\n"
    keys: dict[str, Any] = {"format": "pip-audit", "lockfile": "requirements.txt", "sums": "scan.sums"}
    put(tmp_path, "report", report)
    put(tmp_path, "requirements.txt", lock)
    lines = [f"{sha256(lock).hexdigest()}  requirements.txt\n", f"{sha256(report).hexdigest()}  reports/report\n"]
    put(tmp_path, "scan.sums", "".join(lines))
    assert verdict(await ask(tmp_path, **keys), [*_OWN, "lockfile_match"]) == "pass"
    put(tmp_path, "scan.sums", lines[0])
    unproven = await ask(tmp_path, **keys)
    assert verdict(unproven) == verdict(unproven, ["lockfile_match"]) == "unknown"
    assert any("sha256sum requirements.txt report" in note for note in unproven.notes)
    put(tmp_path, "scan.sums", "".join(lines))
    put(tmp_path, "requirements.txt", lock + b"oldlib==0.9\n")
    changed = await ask(tmp_path, **keys)
    assert changed.observed["lockfile_match"] is False
    assert verdict(changed, ["total == 0"]) == "unknown"


async def test_f25_a_skipped_package_is_not_clean(tmp_path: Path) -> None:
    report = json.loads(payload("pip_audit_clean.json"))
    report["dependencies"].append({"name": "ours", "skip_reason": "Dependency not found on PyPI"})
    seen = await of(tmp_path, json.dumps(report), "pip-audit")
    assert seen.observed["skipped"] == 1 and seen.observed["examined"] == 2
    assert verdict(seen) == verdict(seen, ["total == 0"]) == "unknown"
    assert verdict(seen, ["skipped == 0"]) == "fail"
    report["dependencies"][0]["vulns"] = [{"id": "PYSEC-1", "fix_versions": [], "aliases": []}]
    assert verdict(await of(tmp_path, json.dumps(report), "pip-audit")) == "fail", "a defect is one beside a gap too"
    only = {"dependencies": [{"name": "ours", "skip_reason": "not found"}], "fixes": []}
    assert verdict(await of(tmp_path, json.dumps(only), "pip-audit")) == "unknown"
    assert verdict(await of(tmp_path, '{"dependencies": [], "fixes": []}', "pip-audit"), ["total == 0"]) == "unknown"


async def test_f26_an_audit_that_did_not_run_says_so(tmp_path: Path) -> None:
    seen = await of(tmp_path, payload("npm_audit_endpoint_error_exit1.json"), "npm-audit")
    assert "405" in str(seen.observed["error"])
    assert seen.notes[0].startswith("the audit did not run: 405")
    assert verdict(seen) == "unknown"


async def test_f26_a_registry_without_advisories_is_not_clean(tmp_path: Path) -> None:
    clean = payload("npm_audit_clean.json")
    alone = await of(tmp_path, clean, "npm-audit")
    assert verdict(alone) == verdict(alone, ["critical == 0", "high == 0"]) == "unknown"
    assert any("give a canary" in note for note in alone.notes)
    put(tmp_path, "canary.json", clean)
    blind = await of(tmp_path, clean, "npm-audit", canary=CANARY)
    assert blind.observed["canary_found"] is False
    assert verdict(blind) == verdict(blind, ["high == 0"]) == "unknown"
    put(tmp_path, "canary.json", payload("npm_audit_vulns.json"), NOW - timedelta(days=3))
    stale = await of(tmp_path, clean, "npm-audit", canary=CANARY)
    assert "canary_found" not in stale.observed and verdict(stale) == "unknown"
    put(tmp_path, "canary.json", payload("npm_audit_vulns.json"))
    assert verdict(await of(tmp_path, clean, "npm-audit", canary=CANARY)) == "pass"
    none = json.loads(clean)
    none["metadata"]["dependencies"]["total"] = 0
    assert verdict(await of(tmp_path, json.dumps(none), "npm-audit", canary=CANARY), ["high == 0"]) == "unknown"


async def test_a_canary_in_the_report_itself_is_not_counted(tmp_path: Path) -> None:
    seen = await of(tmp_path, payload("pip_audit_vulns.json"), "pip-audit", canary={"id": "CVE-2099-28493"})
    assert (seen.observed["canary_found"], seen.observed["total"], seen.observed["fixable"]) == (True, 1, 0)


async def test_the_canary_of_another_report_hides_nothing_in_this_one(tmp_path: Path) -> None:
    put(tmp_path, "canary.json", payload("npm_audit_vulns.json"))
    seen = await of(tmp_path, payload("npm_audit_vulns.json"), "npm-audit", canary=CANARY)
    assert (seen.observed["critical"], verdict(seen)) == (1, "fail")


async def test_many_findings_and_waivers_are_counted_in_time(tmp_path: Path) -> None:
    vulns = [{"id": f"PYSEC-{number}", "fix_versions": [], "aliases": []} for number in range(40_000)]
    report = {"dependencies": [{"name": "a", "version": "1", "vulns": vulns}], "fixes": []}
    ignore = [waiver(f"PYSEC-{number}", "2026-12-31") for number in range(2000)]
    began = time.monotonic()
    seen = await of(tmp_path, json.dumps(report), "pip-audit", ignore=ignore)
    assert time.monotonic() - began < 5
    assert (seen.observed["waived"], seen.observed["total"]) == (2000, 38_000)


async def test_f26_with_npm_itself(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    need("npm", None if npm else "npm is not installed")
    from tests.http_server import Servers

    servers = Servers()
    try:
        server = servers.answer(
            b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\nAllow: GET,HEAD\r\n\r\n"
        )
        project = tmp_path / "project"
        project.mkdir()
        (project / "package.json").write_text('{"name": "p", "version": "1.0.0", "dependencies": {"ms": "2.0.0"}}')
        package = {"version": "2.0.0", "resolved": f"{server.url}/ms/-/ms-2.0.0.tgz"}
        lock = {"name": "p", "version": "1.0.0", "lockfileVersion": 3, "requires": True}
        packages = {"": {"name": "p", "version": "1.0.0", "dependencies": {"ms": "2.0.0"}}, "node_modules/ms": package}
        (project / "package-lock.json").write_text(json.dumps({**lock, "packages": packages}))
        done = subprocess.run(
            [str(npm), "audit", "--json", "--registry", server.url, "--fetch-retries=0"],
            cwd=project,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            timeout=60,
            check=False,
        )
    finally:
        servers.close()
    assert done.returncode == 1
    (tmp_path / "report").write_bytes(done.stdout)
    seen = await ask(tmp_path, format="npm-audit", now=datetime.now(UTC))
    assert "405" in str(seen.observed["error"])
    assert verdict(seen) == "unknown"


async def test_f27_with_pytest_itself(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\ndef test_a(): pass\n@pytest.mark.xfail\ndef test_b(): assert 0\n"
        "@pytest.mark.skip\ndef test_c(): pass\n"
    )
    (tmp_path / "test_none.py").write_text("")
    found = {}
    for name in ("some", "none"):
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
        done = subprocess.run(
            [*argv, f"--rootdir={tmp_path}", f"--junitxml={tmp_path / name}.xml", str(tmp_path / f"test_{name}.py")],
            cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
        found[name] = (done.returncode, await ask(tmp_path, format="junit", path=f"{name}.xml", now=datetime.now(UTC)))
    code, some = found["some"]
    assert code == 0
    assert [some.observed[name] for name in ("tests", "passed", "skipped", "failed", "errors")] == [3, 1, 2, 0, 0]
    assert verdict(some) == "pass"
    code, none = found["none"]
    assert code == 5 and none.observed["tests"] == 0
    assert verdict(none) == "fail"


def k6_export(report: dict[str, Any]) -> dict[str, Any]:
    """What --summary-export writes of the same run: values flat, thresholds inverted."""
    metrics = {}
    for name, one in report["metrics"].items():
        values = {("value" if key == "rate" and one["type"] == "rate" else key): v for key, v in one["values"].items()}
        crossed = {key: not said["ok"] for key, said in one.get("thresholds", {}).items()}
        metrics[name] = values | ({"thresholds": crossed} if crossed else {})
    return {"root_group": report["root_group"], "metrics": metrics}


async def test_f28_both_summaries_of_k6_say_the_same_and_none_is_read_as_the_other(tmp_path: Path) -> None:
    summary = json.loads(payload("k6_handle_summary.json"))
    one = await of(tmp_path, json.dumps(summary), "k6")
    other = await of(tmp_path, json.dumps(k6_export(summary)), "k6-export")
    same = ("thresholds_failed", "p50", "p90", "p95", "slowest", "requests", "rps", "error_ratio", "problems")
    assert [one.observed[name] for name in same] == [other.observed[name] for name in same]
    assert one.observed["error_ratio"] == 0.0111 and one.observed["duration"] == timedelta(seconds=41.2)
    with pytest.raises(ProbeError, match="format: k6-export"):
        await of(tmp_path, json.dumps(k6_export(summary)), "k6")
    with pytest.raises(ProbeError, match="format: k6"):
        await of(tmp_path, json.dumps(summary), "k6-export")
    summary["metrics"]["http_reqs"]["values"]["count"] = 0
    assert verdict(await of(tmp_path, json.dumps(summary), "k6"), ["size(thresholds_failed) < 9"]) == "unknown"


async def test_a_threshold_that_held_over_no_sample_held_nothing(tmp_path: Path) -> None:
    summary = json.loads(payload("k6_handle_summary.json"))
    del summary["metrics"]["http_req_duration"]["thresholds"]
    assert verdict(await of(tmp_path, json.dumps(summary), "k6")) == "pass"
    checks = {"passes": 0, "fails": 0, "rate": 0}
    summary["metrics"]["checks"] = {"type": "rate", "values": checks, "thresholds": {"rate>=0.9": {"ok": True}}}
    for report, format in ((summary, "k6"), (k6_export(summary), "k6-export")):
        seen = await of(tmp_path, json.dumps(report), format)
        assert verdict(seen) == verdict(seen, ["size(thresholds_failed) == 0"]) == "unknown"
        assert any("held over no sample" in note for note in seen.notes)
    summary["metrics"].pop("checks")
    del summary["metrics"]["http_req_failed"]["thresholds"]
    bare = await of(tmp_path, json.dumps(summary), "k6")
    assert verdict(bare) == "unknown", "a load without thresholds and checks has no rule"


async def test_f29_locust_is_summed_and_its_percentiles_worked_out(tmp_path: Path) -> None:
    seen = (await of(tmp_path, payload("locust.json"), "locust")).observed
    assert (seen["requests"], seen["errors"], seen["error_ratio"]) == (233, 37, 37 / 233)
    assert (seen["p50"], seen["p95"]) == (timedelta(milliseconds=12), timedelta(milliseconds=21))
    assert seen["slowest"] == timedelta(milliseconds=54.9398419998397)
    good = await of(tmp_path, payload("locust.json"), "locust", filter="^GET /api")
    assert (good.observed["requests"], good.observed["errors"]) == (196, 0)
    assert verdict(good) == "pass"
    nothing = await of(tmp_path, payload("locust.json"), "locust", filter="^POST")
    assert verdict(nothing) == verdict(nothing, ["errors == 0"]) == "unknown"


async def test_locust_csv_counts_its_last_row_and_nothing_without_it(tmp_path: Path) -> None:
    head = "Type,Name,Request Count,Failure Count,Max Response Time,Requests/s,50%,90%,95%,99%\n"
    row = "GET,/api,196,0,54.9,56.1,13,21,22,27\n"
    total = ",Aggregated,233,37,54.9,66.1,12,20,21,27\n"
    seen = await of(tmp_path, head + row + total, "locust-csv")
    assert (seen.observed["requests"], seen.observed["errors"], seen.observed["p95"]) == (
        233,
        37,
        timedelta(milliseconds=21),
    )
    assert verdict(seen) == "fail"
    with pytest.raises(ProbeError, match="no row Aggregated"):
        await of(tmp_path, head + row, "locust-csv")
    assert verdict(await of(tmp_path, head + ",Aggregated,0,0,0,0,N/A,N/A,N/A,N/A\n", "locust-csv")) == "unknown"


ROUTES = [
    {"route": "/", "firstLoadUncompressedJsBytes": 300_000, "firstLoadChunkPaths": [".next/static/chunks/a.js"]},
    {"route": "/buy", "firstLoadUncompressedJsBytes": 410_000,
     "firstLoadChunkPaths": [".next/static/chunks/a.js", ".next/static/chunks/b.js"]},
]  # fmt: skip


async def test_f33_routes_and_lazy_parts_of_a_next_build(tmp_path: Path) -> None:
    stats = json.dumps(ROUTES)
    seen = await of(tmp_path, stats, "next-stats")
    assert (seen.observed["routes"], seen.observed["distinct_chunk_sets"]) == (2, 2)
    assert seen.observed["max_first_load"] == 410_000
    assert verdict(seen) == "unknown", "a build has no budget of its own"
    assert verdict(await of(tmp_path, "[]", "next-stats"), ["routes >= 0"]) == "unknown"
    manifest = payload("next_react_loadable_manifest.turbopack.json")
    alone = await of(tmp_path, manifest, "next-loadable")
    assert alone.observed["loadable_entries"] == 1
    assert verdict(alone, ["lazy_entries >= 1"]) == "unknown"
    put(tmp_path, "stats.json", stats)
    lazy = await of(tmp_path, manifest, "next-loadable", first_load="stats.json")
    assert verdict(lazy, [*_OWN, "lazy_entries >= 1"]) == "pass"
    put(tmp_path, "stats.json", stats.replace("b.js", "2ml1f1_snusbj.js"))
    eager = await of(tmp_path, manifest, "next-loadable", first_load="stats.json")
    assert verdict(eager, ["lazy_entries >= 1"]) == "fail" == verdict(eager)
    assert verdict(await of(tmp_path, "{}", "next-loadable", first_load="stats.json"), ["lazy_entries >= 1"]) == "fail"


def waiver(name: str, until: str) -> dict[str, str]:
    return {"id": name, "reason": "not reachable", "until": until}


async def test_a_finding_is_waived_until_its_day_is_over(tmp_path: Path) -> None:
    ignore = [waiver("cve-2099-28493", "2026-11-24"), waiver("GHSA-aaaa-bbbb-cccc", "2026-11-24")]
    ignore.append(waiver("CVE-1", "2026-11-24"))
    keys: dict[str, Any] = {"format": "pip-audit", "ignore": ignore}
    put(tmp_path, "report", payload("pip_audit_vulns.json"), NOW + timedelta(days=1))
    seen = await ask(tmp_path, **keys, now=NOW + timedelta(days=1))
    assert (seen.observed["total"], seen.observed["waived"]) == (0, 2)
    assert verdict(seen) == "pass"
    assert "ignore names CVE-1, which is not in the report" in seen.notes
    put(tmp_path, "report", payload("pip_audit_vulns.json"), NOW + timedelta(days=3))
    over = await ask(tmp_path, **keys, now=NOW + timedelta(days=3))
    assert (over.observed["total"], over.observed["waived"]) == (2, 0)
    assert verdict(over) == "fail"
    assert "cve-2099-28493 counts again: it was ignored until 2026-11-24" in over.notes


async def test_a_package_of_npm_is_waived_with_all_that_makes_it_vulnerable(tmp_path: Path) -> None:
    seen = await of(tmp_path, payload("npm_audit_vulns.json"), "npm-audit",
                    ignore=[waiver("GHSA-xxxx-xxxx-xxxx", "2026-12-31")])  # fmt: skip
    assert (seen.observed["total"], seen.observed["critical"], seen.observed["waived"]) == (0, 0, 2)
    report = json.loads(payload("npm_audit_vulns.json"))
    report["vulnerabilities"]["mkdirp"]["via"].append({"source": 7, "url": "https://github.com/advisories/GHSA-b"})
    seen = await of(tmp_path, json.dumps(report), "npm-audit", ignore=[waiver("GHSA-xxxx-xxxx-xxxx", "2026-12-31")])
    assert (seen.observed["total"], seen.observed["medium"]) == (1, 1)


async def test_an_npm_report_whose_counts_disagree_is_not_whole(tmp_path: Path) -> None:
    report = json.loads(payload("npm_audit_vulns.json"))
    del report["vulnerabilities"]["minimist"]
    seen = await of(tmp_path, json.dumps(report), "npm-audit")
    assert verdict(seen, ["critical == 0"]) == "unknown"


async def test_trivy_that_scanned_nothing_is_not_clean(tmp_path: Path) -> None:
    for nothing in ("null", "[]"):
        report = json.loads(payload("trivy_clean.json"))
        report["Results"] = json.loads(nothing)
        seen = await of(tmp_path, json.dumps(report), "trivy", artifact=IMAGE)
        assert verdict(seen) == verdict(seen, CLEAN) == "unknown"
        assert "nothing was scanned" in str(seen.observed["error"])
    del report["Results"]
    assert verdict(await of(tmp_path, json.dumps(report), "trivy"), CLEAN) == "unknown"
    report["Results"] = [{"Target": "Dockerfile", "Class": "config", "Misconfigurations": None}]
    only = await of(tmp_path, json.dumps(report), "trivy")
    assert verdict(only, ["critical == 0"]) == "unknown", "no packages were looked up"
    assert verdict(only, ["misconfig_high == 0"]) == "pass"


async def test_trivy_that_left_out_the_systems_packages_is_not_clean(tmp_path: Path) -> None:
    report = json.loads(payload("trivy_clean.json"))
    del report["Results"][0]
    seen = await of(tmp_path, json.dumps(report), "trivy")
    assert verdict(seen) == verdict(seen, CLEAN) == "unknown"
    del report["Metadata"]["OS"]
    assert verdict(await of(tmp_path, json.dumps(report), "trivy"), CLEAN) == "pass", "an image without a system"


async def test_trivy_counts_secrets_and_misconfigurations_and_shows_no_secret(tmp_path: Path) -> None:
    report = json.loads(payload("trivy_clean.json"))
    match = "AKIA-planted-hunter22"
    secret = {
        "RuleID": "aws-access-key-id",
        "Severity": "CRITICAL",
        "StartLine": 3,
        "Match": match,
        "Code": {"x": match},
    }
    failed = {"ID": "DS002", "Severity": "HIGH", "Status": "FAIL"}
    report["Results"] += [
        {"Target": "/app/.env", "Class": "secret", "Secrets": [secret]},
        {"Target": "Dockerfile", "Class": "config", "Misconfigurations": [failed, {**failed, "Status": "PASS"}]},
    ]
    report["Metadata"]["OS"]["EOSL"] = True
    seen = await of(tmp_path, json.dumps(report), "trivy")
    names = ("secrets", "misconfig_high", "os_eosl", "critical", "total", "problems")
    assert [seen.observed[name] for name in names] == [1, 1, True, 0, 0, 3]
    assert match not in repr(seen) and "/app/.env:3" in str(seen.body)


@pytest.mark.parametrize(
    "run",
    [
        {"invocations": [{"executionSuccessful": False}]},
        {"invocations": [{}]},
        {"invocations": [{"executionSuccessful": True,
                          "toolExecutionNotifications": [{"level": "error", "message": {"text": "cannot parse"}}]}]},
        {"results": None},
    ],
)  # fmt: skip
async def test_a_sarif_of_a_tool_that_did_not_do_its_work_counts_nothing(tmp_path: Path, run: dict[str, Any]) -> None:
    report = json.loads(payload("sarif_findings.json"))
    report["runs"][0] |= {"results": []} | run
    seen = await of(tmp_path, json.dumps(report), "sarif")
    assert verdict(seen) == verdict(seen, ["errors == 0", "total == 0"]) == "unknown"
    assert seen.observed["error"]
    report["runs"] = []
    assert verdict(await of(tmp_path, json.dumps(report), "sarif"), ["errors == 0"]) == "unknown"


async def test_levels_and_severities_of_sarif_come_from_its_rules(tmp_path: Path) -> None:
    rules = [
        {"id": "A", "defaultConfiguration": {"level": "note"}},
        {"id": "B", "properties": {"security-severity": "9.8"}},
        {"id": "C", "defaultConfiguration": {"level": "error"}},
    ]
    results: list[dict[str, Any]] = [
        {"ruleId": "A"},
        {"ruleIndex": 1},
        {"ruleId": "C/sub"},
        {"ruleId": "C", "kind": "pass"},
        {"ruleId": "C", "baselineState": "absent"},
        {"ruleId": "C", "suppressions": [{"status": "underReview"}]},
    ]
    driver = {"name": "T", "rules": rules}
    report = {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    seen = (await of(tmp_path, json.dumps(report), "sarif")).observed
    assert (seen["total"], seen["errors"], seen["warnings"], seen["critical"], seen["problems"]) == (4, 2, 1, 1, 3)
    assert "high" not in seen, "what has no severity may be high"
    assert "execution_successful" not in seen


SUITE = '<testsuite tests="{n}" failures="{f}" errors="0">{cases}</testsuite>'


async def test_test_cases_are_counted_and_attributes_not_believed(tmp_path: Path) -> None:
    case = '<testcase classname="a" name="b"/>'
    lied = await of(tmp_path, SUITE.format(n=9, f=0, cases=case), "junit")
    assert lied.observed["tests"] == 1 and any("count 9 tests" in note for note in lied.notes)
    hidden = await of(tmp_path, SUITE.format(n=1, f=3, cases=case), "junit")
    assert verdict(hidden) == verdict(hidden, ["failed + errors == 0"]) == "unknown"
    failed = '<testcase name="c"><failure/></testcase>'
    inner = f"<testsuites><testsuite><testsuite>{case}{failed}</testsuite></testsuite></testsuites>"
    assert (await of(tmp_path, inner, "junit")).observed["failed_names"] == ["c"]
    broken = f"<testsuites><testsuite><error>no setup</error>{case}</testsuite></testsuites>"
    assert verdict(await of(tmp_path, broken, "junit")) == "fail"
    skipped = '<testsuite><testcase name="a"><skipped/></testcase></testsuite>'
    assert verdict(await of(tmp_path, skipped, "junit")) == "fail", "nothing was run"


async def test_only_tests_that_are_meant_count(tmp_path: Path) -> None:
    seen = await of(tmp_path, payload("junit_pass.xml"), "junit", filter="circuit")
    assert seen.observed["tests"] == 1 and verdict(seen) == "pass"
    assert verdict(await of(tmp_path, payload("junit_pass.xml"), "junit", filter="nothing_of_it")) == "fail"


async def test_all_parts_of_a_test_run_count(tmp_path: Path) -> None:
    put(tmp_path, "junit-1.xml", payload("junit_mixed.xml"), NOW - timedelta(minutes=15))
    put(tmp_path, "junit-2.xml", payload("junit_pass.xml"))
    put(
        tmp_path,
        "junit-0.xml",
        payload("junit_mixed.xml").replace(b"2026-11-23", b"2026-11-20"),
        NOW - timedelta(days=3),
    )
    seen = await ask(tmp_path, format="junit", path="junit-*.xml")
    assert (seen.observed["files"], seen.observed["tests"], seen.observed["failed"]) == (2, 8, 1)
    assert verdict(seen) == "fail" and "sha256" not in seen.observed
    assert any("1 of 3 files are too old" in note for note in seen.notes)
    bound = await ask(tmp_path, format="junit", path="junit-*.xml", commit=COMMIT)
    assert verdict(bound) == "fail" and "commit_match" not in bound.observed


async def test_of_other_formats_the_newest_counts_and_that_is_said(tmp_path: Path) -> None:
    put(tmp_path, "trivy-1.json", payload("trivy_findings.json"), NOW - timedelta(hours=1))
    put(tmp_path, "trivy-2.json", payload("trivy_clean.json"))
    seen = await ask(tmp_path, format="trivy", path="trivy-*.json")
    assert verdict(seen) == "pass"
    assert "2 files are meant, the newest was read: trivy-2.json" in seen.notes


async def test_coverage_of_nothing_is_none_and_has_no_threshold_of_its_own(tmp_path: Path) -> None:
    assert verdict(await of(tmp_path, payload("coverage.json"), "coverage-json")) == "unknown"
    report = json.loads(payload("coverage.json"))
    report["totals"] |= {"num_statements": 0}
    nothing = await of(tmp_path, json.dumps(report), "coverage-json")
    assert verdict(nothing, ["percent >= 80.0"]) == "unknown"
    xml = payload("coverage_cobertura.xml").replace(b'hits="1"', b"")
    assert verdict(await of(tmp_path, xml, "cobertura"), ["percent >= 80.0"]) == "unknown"
    nan = payload("coverage_cobertura.xml").replace(b'line-rate="1"', b'line-rate="nan"')
    with pytest.raises(ProbeError, match="line-rate"):
        await of(tmp_path, nan, "cobertura")


async def test_a_bundle_without_a_limit_is_held_to_none(tmp_path: Path) -> None:
    assert verdict(await of(tmp_path, '[{"name": "a", "size": 5}]', "size-limit")) == "unknown"
    assert verdict(await of(tmp_path, '{"error": "webpack broke"}', "size-limit")) == "unknown"
    good = '[{"name": "a", "size": 5, "sizeLimit": 9, "passed": true}]'
    seen = await of(tmp_path, good, "size-limit")
    assert verdict(seen) == "pass" and seen.observed["max_size"] == 5


@pytest.mark.parametrize(
    "keys",
    [
        {"format": "trivvy", "path": "x"},
        {"format": "trivy"},
        {"format": "trivy", "path": "x", "url": "http://h/x"},
        {"format": "trivy", "path": "x", "headers": {"A": "b"}},
        {"format": "trivy", "path": "x", "filter": "a"},
        {"format": "trivy", "path": "x", "commit": "main"},
        {"format": "trivy", "path": "x", "artifact": ""},
        {"format": "junit", "path": "x", "filter": "(a+)+$"},
        {"format": "pip-audit", "path": "x", "lockfile": "y"},
        {"format": "pip-audit", "path": "x", "ignore": [{"id": "A", "reason": "", "until": "2026-12-31"}]},
        {"format": "pip-audit", "path": "x", "ignore": [{"id": "A", "reason": "r", "until": "soon"}]},
        {"format": "trivy", "path": "x", "first_load": "y"},
        {"format": "trivy", "path": "x", "max_age": "24h"},
    ],
)
def test_what_makes_no_sense_is_refused_when_the_file_is_loaded(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ReportProbe(**keys)
