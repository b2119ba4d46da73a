"""The additions and remaining items of the shipped review: in order, spoilt, and in an empty repository."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from captain.__main__ import main
from tests.git_repo import Repo

SERVICE = """\
service: shop
secrets: [DATABASE_URL, REDIS_URL, GITHUB_TOKEN, SCRATCH_DATABASE_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY]
environments: { staging: {} }
"""
COMPOSE = "services:\n  worker:\n    image: shop\n    healthcheck: { test: [CMD, scripts/worker-health] }\n"
BREAKER = 'STATES = ("open", "half_open", "closed")\n'
SCRIPT = "#!/bin/sh\nexit 0\n"
WORKFLOW = """\
on: { schedule: [{ cron: '0 3 * * *' }], pull_request: {} }
permissions: { pull-requests: write }
jobs:
  scan: { runs-on: ubuntu-latest, steps: [{ run: 'trivy image --exit-code 1 shop' }] }
"""
LOCKFILES = {"backend/requirements.txt": "django==5.2\n", "frontend/package-lock.json": "{}\n"}
NONE = {"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0, "total": 0}
NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {},
    "metadata": {"vulnerabilities": NONE, "dependencies": {"total": 7}},
}
PIP = {"dependencies": [{"name": "django", "version": "5.2", "vulns": []}], "fixes": []}


class Repository:
    """A repository in which the static halves of the additions are in order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repo = Repo(root)
        files = {"compose.yaml": COMPOSE, "backend/breaker.py": BREAKER, "scripts/worker-health": SCRIPT, **LOCKFILES}
        for name, text in {**files, ".github/workflows/security.yml": WORKFLOW, ".gitignore": "reports/\n"}.items():
            self.repo.write(name, text)
        (root / "scripts/worker-health").chmod(0o755)
        self.commit()
        self.reports()

    def commit(self) -> str:
        """Commit everything there is."""
        self.repo.git("add", "--all")
        self.repo.git("commit", "--quiet", "--allow-empty", "--message", "as it is")
        return self.repo.git("rev-parse", "HEAD")

    def reports(self, *, p95: float = 120.0) -> None:
        """What CI leaves: an audit of each lockfile, tests of the breaker, a run of k6."""
        self.repo.write("reports/pip-audit.json", json.dumps(PIP))
        self.repo.write("reports/npm-audit.json", json.dumps(NPM))
        summed = {**{name: self.root / name for name in LOCKFILES}}
        summed |= {name: self.root / "reports" / name for name in ("pip-audit.json", "npm-audit.json")}
        lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in summed.items())
        self.repo.write("reports/SHA256SUMS", "".join(lines))
        commit = self.repo.git("rev-parse", "HEAD")
        cases = "".join(f'<testcase classname="tests.circuit_breaker" name="t{at}"/>' for at in range(5))
        named = f'<properties><property name="git.sha" value="{commit}"/></properties>'
        self.repo.write("reports/junit.xml", f'<testsuite name="s" tests="5">{named}{cases}</testsuite>')
        k6 = json.loads((Path(__file__).parents[1] / "data/payloads/k6_handle_summary.json").read_text())
        k6["metrics"]["http_req_duration"]["values"] |= {"p(95)": p95}
        k6["metrics"]["http_req_failed"]["values"] |= {"rate": 0.0}
        for metric in k6["metrics"].values():
            for threshold in metric.get("thresholds", {}).values():
                threshold["ok"] = True
        self.repo.write("reports/k6.json", json.dumps(k6))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "captain.yaml").write_text(SERVICE)
    monkeypatch.chdir(root)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    return root


def verdicts(capsys: pytest.CaptureFixture[str], *steps: str) -> dict[str, str]:
    """What a check of these steps comes to; a steps' reason is shown where an assertion fails."""
    capsys.readouterr()
    chosen = [word for step in steps for word in ("--step", step)]
    main(["--no-input", "check", "readiness", "-e", "staging", *chosen, "--no-record", "--format", "json"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    found = {step["id"]: step for section in told["sections"] for step in section["steps"]}
    for step in found.values():
        print(step["id"], step["verdict"], step["message"])
    return {name: step["verdict"] for name, step in found.items()}


ORDER = {
    "add.infra.no-version-key": "pass",
    "add.cb.pattern": "pass",
    "add.worker.script": "warn",
    "add.sec.dep-vuln": "pass",
    "gap.3": "pass",
    "rec.3": "warn",
}


def test_what_is_in_order_passes_and_an_untried_script_is_half(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Repository(root)
    assert verdicts(capsys, *ORDER) == ORDER


@pytest.mark.parametrize(
    ("step", "file", "text", "verdict"),
    [
        ("add.infra.no-version-key", "compose.yaml", "version: '3'\n" + COMPOSE, "warn"),
        ("add.infra.no-version-key", "compose.yaml", "services: [", "unknown"),
        ("add.sec.dep-vuln", "tools/poetry.lock", "x\n", "fail"),
        ("add.sec.dep-vuln", "backend/requirements.txt", "django==4.0\n", "fail"),
        ("add.cb.pattern", "backend/breaker.py", "STATES = ('open', 'closed')\n", "fail"),
    ],
)
def test_what_is_planted_is_found(
    root: Path, capsys: pytest.CaptureFixture[str], step: str, file: str, text: str, verdict: str
) -> None:
    made = Repository(root)
    made.repo.write(file, text)
    made.repo.git("add", "--all")
    assert verdicts(capsys, step) == {step: verdict}


def test_a_script_that_cannot_be_started_fails(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Repository(root)
    (root / "scripts/worker-health").chmod(0o644)
    made.commit()
    assert verdicts(capsys, "add.worker.script") == {"add.worker.script": "fail"}


def test_a_load_that_was_too_slow_leaves_the_gap_open(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Repository(root).reports(p95=900.0)
    assert verdicts(capsys, "gap.3")["gap.3"] != "pass"


def test_tests_that_were_skipped_prove_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Repository(root)
    file = root / "reports/junit.xml"
    file.write_text(re.sub(r'(name="t\d")/>', r"\1><skipped/></testcase>", file.read_text()))
    assert "<skipped/>" in file.read_text()
    assert verdicts(capsys, "add.cb.pattern") == {"add.cb.pattern": "fail"}


def test_tests_of_another_commit_prove_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Repository(root).commit()
    assert verdicts(capsys, "add.cb.pattern") == {"add.cb.pattern": "unknown"}


def test_nothing_of_it_passes_in_an_empty_repository(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Repo(root).git("commit", "--quiet", "--allow-empty", "--message", "nothing")
    from captain.loader import load

    checklist = load("readiness", "staging", cwd=root).checklist
    wanted = ("additions", "gaps", "recommendations", "experiments")
    steps = [step.id for section, step in checklist.steps() if section.id in wanted]
    assert len(steps) >= 18 + 3 + 5
    assert {"pass", "warn"} & {*verdicts(capsys, *steps).values()} == set()
