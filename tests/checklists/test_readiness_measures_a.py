"""What the shipped review says of the first four categories: of a good repository, a broken one and none at all."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.condition import activation, compile_condition, judge
from captain.loader import load
from captain.measurement import Verdict
from captain.release import Release
from captain.scopes import step_scope
from tests.checklists.reviewed import (
    BACKEND,
    BACKUP,
    COMPOSE,
    DEPLOY,
    FILES,
    SECURITY,
    SETTINGS,
    TESTS,
    Reviewed,
    conditions,
)

CATEGORIES = ("infrastructure", "database", "security", "ci-cd")
WHOLE = ("db.backup-scripts", "sec.dep-scan", "sec.dockerignore", "sec.gitignore-env", "infra.env-secrets")
"""Items that a repository alone can meet."""
HALF = {
    "infra.non-root": ["!back.final_user_is_root && !front.final_user_is_root"],
    "infra.limits": ["file.no_limits == 0"],
    "infra.health": ["file.no_healthcheck == 0 || back.has_healthcheck || front.has_healthcheck"],
    "infra.auto-restart": ["file.no_restart == 0"],
    "infra.volumes": ["file.anonymous_volumes == 0 && file.sock_mounts == 0 && file.host_mounts == 0"],
    "infra.network": ["file.published_data_ports == 0 && file.host_network == 0"],
    "db.pooling": ['settings.per_pattern["conn_max_age"] > 0 || settings.per_pattern["pooler"] > 0'],
    "db.ssl-mode": ['settings.per_pattern["configurable"] > 0'],
    "db.migration-rollback": ["doc.found >= 1 && size(doc.headings_missing) == 0 && doc.short == 0 && doc.todo == 0"],
    "db.no-mysql-options": [
        'settings.per_pattern["options"] == 0 && settings.per_pattern["engine"] == 0',
        'dialect.per_pattern["mysql"] == 0',
    ],
    "sec.multi-stage": [
        "back.stages >= 2 && back.copy_from_stage >= 1",
        "front.stages >= 2 && front.copy_from_stage >= 1",
    ],
    "sec.image-secrets": ["back_file.secrets == 0 && !back_file.copies_dotenv", "!scan.found || scan.secrets == 0"],
    "sec.trivy-ci": [
        "gate.found > 0 && gate.gating && gate.exit_code_set && gate.unpinned_actions == 0",
        'severity.per_pattern["narrow"] == 0',
        'gate.triggers.exists(one, one in ["pull_request", "push"]) && "schedule" in gate.triggers',
        "scan.artifact_match && scan.examined > 0",
    ],
    "sec.tls-external": ['outbound.per_pattern["unverified"] == 0 && outbound.per_pattern["plain_url"] == 0'],
    "ci.tests-on-pr": ["tests.found > 0 && tests.gating"],
    "ci.migration-check": [
        "drift.found > 0 && drift.gating && drift.in_needs_of_deploy",
        "plan.found > 0 && plan.gating && plan.in_needs_of_deploy",
    ],
    "ci.type-check": [
        "job.found > 0 && job.soft_failures == 0 && job.gating",
        'config.per_pattern["ignored"] == 0',
    ],
    "ci.pre-deploy": ["verify.found > 0 && verify.gating && verify.in_needs_of_deploy"],
    "ci.post-deploy": ["after.in_needs_of_deploy", "smoke.found > 0 && smoke.soft_failures == 0"],
    "ci.health-retries": ['script.files > 0 && script.per_pattern["attempts"] > 0'],
}
"""What the repository says of the others, condition by condition."""


@pytest.fixture
def shop(tmp_path: Path) -> Reviewed:
    """A repository with nothing in it, no engine, no database and no forge at hand."""
    return Reviewed(tmp_path / "shop", environ={"DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock"})


def items() -> list[str]:
    sections = load("readiness", "staging", cwd=Path(__file__).parent).checklist.sections
    return [step.id for section in sections if section.id in CATEGORIES for step in section.steps]


def test_the_thirty_items_stand_in_their_categories_under_their_ids() -> None:
    seen = [one.partition(".")[0] for one in items()]
    assert [seen.count(one) for one in ("infra", "db", "sec", "ci")] == [7, 7, 8, 8]


async def test_a_good_repository_meets_all_that_a_repository_can_meet(shop: Reviewed) -> None:
    shop.healthy()
    found = await shop.ask(*WHOLE, *HALF)
    for step in WHOLE:
        assert found[step].data["verdict"] == "pass", found[step].data["message"]
    for step, met in HALF.items():
        said = conditions(found[step])
        assert {one: said[one] for one in met} == dict.fromkeys(met, "pass"), found[step].data["message"]
        assert found[step].data["verdict"] in ("unknown", "warn", "fail")


async def test_of_an_empty_repository_nothing_passes_and_every_unknown_says_what_is_missing(shop: Reviewed) -> None:
    shop.commit()
    found = await shop.ask(*items())
    for step, result in found.items():
        assert result.data["verdict"] in ("fail", "unknown"), step
        assert result.data["message"].strip(), step
        if result.data["verdict"] == "unknown":
            said = result.data["message"]
            assert any(word in said for word in ("no ", "not set", "cannot connect", "yet")), (step, said)


def without(text: str, old: str, new: str = "") -> str:
    assert old in text, "the good file changed"
    return text.replace(old, new)


BROKEN = [
    ("infra.non-root", "backend/Dockerfile", without(BACKEND, "USER appuser", "USER root"), "final_user_is_root"),
    ("infra.non-root", "backend/Dockerfile", without(BACKEND, "USER appuser", "USER 0:0"), "final_user_is_root"),
    ("infra.limits", "compose.yaml", COMPOSE.replace("memory: 256M, ", "", 1), "file.no_limits"),
    (
        "infra.auto-restart",
        "compose.yaml",
        COMPOSE.replace("restart: unless-stopped", "restart: 'no'", 1),
        "no_restart",
    ),
    (
        "infra.volumes",
        "compose.yaml",
        without(COMPOSE, "['cache:/data']", "['/var/run/docker.sock:/var/run/docker.sock']"),
        "sock_mounts",
    ),
    ("infra.volumes", "compose.yaml", without(COMPOSE, "['cache:/data']", "['/data']"), "anonymous_volumes"),
    (
        "infra.network",
        "compose.yaml",
        without(COMPOSE, "image: postgres:15", "image: postgres:15\n    ports: ['5432:5432']"),
        "published_data_ports",
    ),
    (
        "infra.env-secrets",
        "compose.yaml",
        without(COMPOSE, "environment: [SECRET_KEY]", "environment: { SECRET_KEY: pl4nted-in-compose }"),
        "literal_secrets",
    ),
    (
        "infra.env-secrets",
        "compose.yaml",
        without(COMPOSE, "'${DATABASE_URL:?}'", "'${DATABASE_URL:-postgres://shop:pl4nted@db/shop}'"),
        "default_secrets",
    ),
    (
        "infra.env-secrets",
        "compose.yaml",
        without(COMPOSE, "env_file: .env", "env_file: .env.prod"),
        "env_files_missing",
    ),
    ("infra.env-secrets", "backend/shop/keys.py", "AWS = 'AKIAIOSFODNN7EXAMPL3'\n", "search.secrets"),
    ("db.pooling", "backend/shop/settings.py", without(SETTINGS, ", 600", ", 0"), "conn_max_age"),
    (
        "db.ssl-mode",
        "backend/shop/settings.py",
        without(SETTINGS, 'os.environ.get("DB_SSLMODE", "verify-full")', '"prefer"'),
        "configurable",
    ),
    ("db.backup-scripts", "scripts/backup.sh", without(BACKUP, "-euo pipefail", "-u"), "strict"),
    (
        "db.backup-scripts",
        "scripts/backup.sh",
        without(BACKUP, "pg_dump", "PGPASSWORD=pl4nted pg_dump"),
        "inline_password",
    ),
    ("db.backup-scripts", "scripts/backup.sh", BACKUP + "if then\n", "syntax_ok"),
    ("db.backup-scripts", "ops/shop-backup.timer", "[Timer]\n", "scheduled"),
    ("db.migration-rollback", "docs/rollback.md", "# Deploying\n", "headings_missing"),
    (
        "db.no-mysql-options",
        "backend/shop/settings.py",
        without(SETTINGS, '"OPTIONS": {', '"OPTIONS": {"init_command": "SET sql_mode=1", '),
        "options",
    ),
    ("db.no-mysql-options", "backend/shop/migrations/0003.sql", "create table x (id int) ENGINE=InnoDB;\n", "mysql"),
    ("sec.multi-stage", "backend/Dockerfile", "FROM python:3.12\nCOPY . .\nUSER appuser\n", "back.stages"),
    (
        "sec.multi-stage",
        "backend/Dockerfile",
        without(BACKEND, "FROM python:3.12-slim\nCOPY --from=build /wheels /wheels", "FROM build"),
        "copy_from_stage",
    ),
    ("sec.image-secrets", "backend/Dockerfile", BACKEND + "ENV SECRET_KEY=pl4nted-in-image\n", "back_file.secrets"),
    ("sec.named-users", "backend/Dockerfile", without(BACKEND, "USER appuser", "USER nobody"), "back.user_as_expected"),
    (
        "sec.trivy-ci",
        ".github/workflows/security.yml",
        without(SECURITY, "exit-code: '1'", "exit-code: '0'"),
        "gate.gating",
    ),
    (
        "sec.trivy-ci",
        ".github/workflows/security.yml",
        without(SECURITY, "@" + "a" * 40, "@master"),
        "unpinned_actions",
    ),
    ("sec.trivy-ci", ".github/workflows/security.yml", without(SECURITY, "CRITICAL,HIGH", "CRITICAL"), "narrow"),
    (
        "sec.trivy-ci",
        ".github/workflows/security.yml",
        without(SECURITY, ", schedule: [{ cron: '0 3 * * *' }]"),
        "schedule",
    ),
    (
        "sec.dep-scan",
        ".github/workflows/security.yml",
        without(SECURITY, "npm audit", "npm audit || true"),
        "npm_job.gating",
    ),
    ("sec.gitignore-env", ".gitignore", "state/\nreports/\n.env\n", "uncovered_count"),
    ("sec.tls-external", "backend/shop/pay.py", "httpx.get(URL, verify=False)\n", "unverified"),
    ("sec.tls-external", "backend/shop/pay.py", "URL = 'http://api.provider.example.com/v1'\n", "plain_url"),
    (
        "ci.tests-on-pr",
        ".github/workflows/tests.yml",
        without(TESTS, "run: pytest", "run: pytest || true"),
        "tests.gating",
    ),
    ("ci.tests-on-pr", ".github/workflows/tests.yml", without(TESTS, "pull_request: {}, "), "tests.found"),
    (
        "ci.migration-check",
        ".github/workflows/deploy.yml",
        without(DEPLOY, "makemigrations --check", "makemigrations"),
        "drift.found",
    ),
    (
        "ci.migration-check",
        ".github/workflows/deploy.yml",
        without(DEPLOY, "    needs: verify\n"),
        "in_needs_of_deploy",
    ),
    ("ci.type-check", ".github/workflows/tests.yml", without(TESTS, "mypy .", "mypy . || true"), "job.soft_failures"),
    (
        "ci.type-check",
        "frontend/next.config.ts",
        "export default { typescript: { ignoreBuildErrors: true } };\n",
        "ignored",
    ),
    ("ci.pre-deploy", ".github/workflows/deploy.yml", without(DEPLOY, "    needs: verify\n"), "in_needs_of_deploy"),
    (
        "ci.post-deploy",
        ".github/workflows/deploy.yml",
        without(DEPLOY, "    needs: deploy\n"),
        "after.in_needs_of_deploy",
    ),
    (
        "ci.post-deploy",
        ".github/workflows/deploy.yml",
        without(DEPLOY, "curl --fail", "curl --fail || true #"),
        "soft_failures",
    ),
    (
        "ci.migration-check",
        ".github/workflows/deploy.yml",
        without(DEPLOY, "migrate --plan", "migrate --plan || true"),
        "plan.gating",
    ),
    (
        "ci.post-deploy",
        ".github/workflows/deploy.yml",
        without(DEPLOY, "curl --fail", "echo").replace("- run: pytest", "- run: curl --fail https://get.example.com"),
        "smoke.found",
    ),
    ("db.migration-rollback", "docs/rollback.md", "# Rollback\n\n## Rollback of migrations\n", "doc.short"),
    ("ci.health-retries", ".github/workflows/deploy.yml", without(DEPLOY, "--retry 3"), "attempts"),
    (
        "ci.health-retries",
        ".github/workflows/deploy.yml",
        without(DEPLOY, "--retry 3") + "        # --retry 3\n",
        "attempts",
    ),
]


@pytest.mark.parametrize(("step", "name", "text", "reason"), BROKEN, ids=[f"{one[0]}-{one[3]}" for one in BROKEN])
async def test_what_is_planted_in_a_good_repository_fails_its_item_for_that_reason(
    shop: Reviewed, step: str, name: str, text: str, reason: str
) -> None:
    shop.healthy()
    assert FILES.get(name) != text
    shop.write(name, text)
    shop.commit()
    shop.reports()
    found = (await shop.ask(step))[step]
    assert found.data["verdict"] == "fail", found.data["message"]
    unmet = [one for one, verdict in conditions(found).items() if verdict == "fail"]
    assert any(reason in one for one in unmet), (unmet, found.data["message"])
    assert "pl4nted" not in json.dumps(found.data)


async def test_names_that_are_not_there_only_warn_and_a_file_that_would_be_sent_fails(shop: Reviewed) -> None:
    shop.healthy()
    shop.write("backend/.dockerignore", ".env\n")
    assert (await shop.ask("sec.dockerignore"))["sec.dockerignore"].data["verdict"] == "warn"
    shop.write("backend/shop/.env", "SECRET_KEY=pl4nted\n")
    found = (await shop.ask("sec.dockerignore"))["sec.dockerignore"]
    assert found.data["verdict"] == "fail"
    assert "back.present_uncovered_count = 1" in found.data["message"]


async def test_an_ignored_file_that_git_has_all_the_same_fails(shop: Reviewed) -> None:
    shop.healthy()
    shop.repo.git("add", "--force", ".env")
    shop.commit()
    shop.reports()
    found = await shop.ask("sec.gitignore-env", "infra.env-secrets")
    assert {one.data["verdict"] for one in found.values()} == {"fail"}
    assert "ignore.tracked_count" in found["sec.gitignore-env"].data["message"]


async def test_a_secret_of_the_past_waits_for_somebody_who_replaced_it(shop: Reviewed) -> None:
    shop.healthy()
    shop.repo.git("add", "--force", ".env")
    shop.commit()
    shop.repo.git("rm", "--quiet", "--cached", ".env")
    shop.commit()
    assert (await shop.ask("sec.gitignore-env"))["sec.gitignore-env"].data["verdict"] == "warn"
    status = await shop.status("sec.gitignore-env")
    assert (status.state, status.counts) == ("waiting", False)
    await shop.sign("sec.gitignore-env", "https://tickets.example.com/1")
    status = await shop.status("sec.gitignore-env")
    assert (status.verdict.value, status.counts) == ("fail", False), "who signed did not say how many were replaced"
    shop.params = {**shop.params, "rotated_secrets": "1"}
    await shop.ask("sec.gitignore-env")
    await shop.sign("sec.gitignore-env", "https://tickets.example.com/1")
    assert (await shop.ask("sec.gitignore-env"))["sec.gitignore-env"].data["verdict"] == "warn"
    assert (await shop.status("sec.gitignore-env")).counts


async def test_without_the_scanners_report_captains_own_search_is_half_of_it(shop: Reviewed) -> None:
    shop.healthy()
    (shop.root / "reports/trivy-fs.json").unlink()
    assert (await shop.ask("infra.env-secrets"))["infra.env-secrets"].data["verdict"] == "warn"
    shop.reports()
    shop.commit()
    found = (await shop.ask("infra.env-secrets"))["infra.env-secrets"]
    assert found.data["verdict"] == "unknown", "the report is about the commit before"


async def test_a_scan_of_other_packages_or_without_a_feed_clears_nothing(shop: Reviewed) -> None:
    shop.healthy()
    shop.write("backend/requirements.txt", "django==1.0\n")
    assert (await shop.ask("sec.dep-scan"))["sec.dep-scan"].data["verdict"] == "unknown"
    shop.reports()
    assert (await shop.ask("sec.dep-scan"))["sec.dep-scan"].data["verdict"] == "pass"
    (shop.root / "reports/npm-canary.json").unlink()
    assert (await shop.ask("sec.dep-scan"))["sec.dep-scan"].data["verdict"] == "unknown"


async def test_a_restore_is_a_drill_of_the_last_ninety_days_or_somebodys_word_with_its_log(shop: Reviewed) -> None:
    shop.healthy()
    found = (await shop.ask("db.restore"))["db.restore"]
    assert (found.data["verdict"], "no drill of drill.restore in staging yet" in found.data["message"]) == (
        "unknown",
        True,
    )
    await shop.sign("db.restore", "https://files.example.com/restore.log")
    assert (await shop.ask("db.restore"))["db.restore"].data["verdict"] == "pass"
    assert (await shop.status("db.restore")).counts


async def test_what_no_captain_can_watch_yet_waits_for_evidence(shop: Reviewed) -> None:
    steps = load("readiness", "staging", cwd=Path(__file__).parent).checklist.steps()
    for _, step in steps:
        for rule in step.sign_off:
            assert rule.evidence == "required", step.id
            # What is decided about this commit alone ends with it.
            assert rule.valid_for is not None or step.id in ("rec.4", "gate.deploy-now"), step.id
        assert step.manual is None, f"{step.id} is a bare tick"


DOC = {"found": 1, "headings_missing": [], "short": 0, "todo": 0}
SEEN = {"irreversible": 0, "model_drift": 0, "unapplied": 0, "crashed": False}


@pytest.mark.parametrize(
    ("live", "undone", "checked"),
    [
        ({"observed": SEEN}, Verdict.PASS, Verdict.PASS),
        ({"observed": {**SEEN, "irreversible": 1}}, Verdict.FAIL, Verdict.PASS),
        ({"observed": {**SEEN, "model_drift": 1}}, Verdict.PASS, Verdict.FAIL),
        ({"observed": {**SEEN, "unapplied": 1}}, Verdict.PASS, Verdict.FAIL),
        ({"observed": SEEN, "commit": "b" * 40}, Verdict.UNKNOWN, Verdict.UNKNOWN),
        ({"observed": SEEN, "age": timedelta(days=2)}, Verdict.PASS, Verdict.UNKNOWN),
        # The project did not load: what its files say is half of it, and of the database nothing is known.
        ({"observed": {"crashed": True}}, Verdict.WARN, Verdict.UNKNOWN),
        ({}, Verdict.UNKNOWN, Verdict.UNKNOWN),
    ],
)
def test_what_the_projects_own_loader_said_is_read_from_the_log(
    live: dict[str, Any], undone: Verdict, checked: Verdict
) -> None:
    given = {"commit": "a" * 40, "age": timedelta(hours=1), **live} if live else {}
    step = {"found": 1, "gating": True, "in_needs_of_deploy": True}
    assert judged("db.migration-rollback", doc=DOC, live=given, files={"per_pattern": {"one_way": 0}}) is undone
    assert judged("ci.migration-check", drift=step, plan=step, live=given) is checked


def judged(name: str, **observed: dict[str, Any]) -> Verdict:
    """The verdict of a shipped step where its probes saw this."""
    target = load("readiness", "staging", cwd=Path(__file__).parent)
    step = target.step(name)
    assert step is not None
    scope = step_scope(target, step, step.asks)
    values = activation(observed, release=Release(commit="a" * 40), environment="staging")
    expect, warn = ([compile_condition(text, scope) for text in texts] for texts in (step.expect, step.warn))
    return judge(expect, warn, values).verdict
