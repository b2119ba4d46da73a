"""Conditions as teams write them: typed where the kind is known, parsed where a later captain will measure it."""

from __future__ import annotations

import pytest

from captain.condition import CelType, Scope, compile_condition, lint_list

INT, BOOL, STRING = CelType("int"), CelType("bool"), CelType("string")
DURATION, DYN = CelType("duration"), CelType("dyn")

HTTP = {"status": INT, "latency": DURATION, "json": DYN, "headers": CelType("map", STRING), "text": STRING}
COMMAND = {"exit_code": INT, "stdout": STRING, "json": DYN, "value": INT}
GIT = dict.fromkeys(("dirty", "untracked", "hidden_changes", "ahead", "behind"), INT) | {
    "in_branch": BOOL,
    "head_sha": STRING,
}
DOCKER = dict.fromkeys(
    ("matched", "running", "healthy", "unhealthy", "restarting", "restart_count_delta", "root_processes"), INT
) | dict.fromkeys(("root_configured", "no_restart_policy", "restart_count_max"), INT)
LATER = None

STEPS: dict[str, tuple[dict[str, dict[str, CelType] | None], list[str]]] = {
    "tests-passing": (
        {"ci": LATER, "junit": LATER},
        [
            "ci.total > 0",
            "ci.missing_count == 0",
            "junit.commit_match",
            "junit.failed + junit.errors == 0",
            "ci.total > 0 && ci.failed_count == 0 && ci.pending_count == 0 && ci.missing_count == 0",
        ],
    ),
    "security-scan-clean": (
        {"backend": LATER, "frontend": LATER, "pip": LATER},
        ["backend.artifact_match && frontend.artifact_match", "pip.skipped == 0 && pip.total == 0"],
    ),
    "no-uncommitted-changes": (
        {"": GIT},
        [
            "dirty == 0 && untracked == 0 && hidden_changes == 0",
            "ahead == 0 && behind == 0",
            "in_branch",
            "head_sha == release.commit",
        ],
    ),
    "backups-verified": (
        {"": LATER},
        ["valid", 'newest_age <= duration("1h")', "size_ratio >= 0.5 && size_ratio <= 2.0"],
    ),
    "rollback-plan-tested": (
        {"way_back": LATER, "rehearsal": LATER, "schema": LATER},
        [
            "way_back.target_exists",
            "schema.irreversible == 0",
            "rehearsal.age <= days(90) && rehearsal.duration <= params.rto || signed",
            "rehearsal.age > days(90)",
        ],
    ),
    "automated-pipeline": (
        {"": LATER},
        ["services.all(s, s.image_digest == release.digests[s.image_key])", "size(services) == 3"],
    ),
    "zero-downtime": (
        {"": LATER},
        [
            "requests >= 100",
            "longest_gap <= params.max_gap",
            "size(versions) == 2",
            "ratio(failed, requests) <= 0.001",
        ],
    ),
    "health-check-monitoring": (
        {"": DOCKER},
        ["unhealthy == 0 && restarting == 0", "healthy == running", "restart_count_delta == 0"],
    ),
    "rollback-on-failure": (
        {"": LATER},
        ['failure_action == "rollback" || triggers_armed > 0', '!(update_state in ["paused", "rollback_paused"])'],
    ),
    "health-checks-passing": (
        {"shop": HTTP, "api": HTTP},
        [
            'shop.status == 200 && shop.json.status == "ok"',
            'api.status == 200 && api.json.checks.all(c, api.json.checks[c] == "ok") && size(api.json.checks) > 0',
            "same_commit(api.json.commit, release.commit)",
            'shop.latency < duration("500ms")',
        ],
    ),
    "metrics-collecting": (
        {"targets": LATER, "fresh": LATER, "traffic": LATER},
        [
            "targets.up == targets.total && targets.total > 0",
            "timestamp(int(fresh.value)) > deploy.started_at",
            "traffic.value > 0.0",
        ],
    ),
    "performance-baseline": ({"": LATER}, ['ratio <= 1.25 || difference <= duration("20ms")', "ratio <= 1.5"]),
    "infra.non-root": (
        {"live": DOCKER, "back": LATER},
        ["live.root_processes == 0 && live.root_configured == 0", "!back.final_user_is_root"],
    ),
    "infra.auto-restart": (
        {"live": DOCKER, "drill": LATER},
        [
            "live.no_restart_policy == 0 && live.restart_count_max <= 3",
            'drill.ok && drill.recovery <= duration("30s")',
        ],
    ),
    "db.pooling": (
        {"settings": COMMAND, "earlier": LATER, "burst": LATER, "after": LATER, "capacity": LATER},
        [
            "settings.json.conn_max_age == 600",
            "ratio(after.sessions - earlier.sessions, burst.requests) <= 0.2",
            "capacity.capacity_ratio <= 0.8",
            "after.can_see_all",
        ],
    ),
    "db.ssl-mode": (
        {"": LATER},
        ["can_see_all && ssl_on && plain_connections == 0", 'sslmode in ["verify-ca", "verify-full"]'],
    ),
    "db.restore": (
        {"drill": LATER},
        [
            "signed || drill.ok && drill.observed.restored_rows_ratio >= 0.99 && drill.age <= days(90)",
            "!drill.found || drill.age > days(90)",
        ],
    ),
    "sec.tls-external": (
        {"edge": LATER, "headers": HTTP, "outbound": LATER},
        [
            "edge.verified && edge.days_left >= 21",
            "edge.not_after - now > days(21)",
            "size(edge.legacy_accepted) == 0",
            'headers.headers[?"strict-transport-security"].orValue("").contains("max-age=")',
            'outbound.files > 0 && outbound.per_pattern["verify_false"] == 0',
        ],
    ),
    "perf.image-size": (
        {"backend": LATER, "frontend": LATER},
        ["backend.size < params.backend_max", "frontend.size < params.backend_max"],
    ),
    "perf.cache": (
        {"": LATER},
        [
            "canary_ok",
            'policy.startsWith("allkeys-") || policy.startsWith("volatile-")',
            'ping_p95 <= duration("5ms")',
        ],
    ),
    "scal.cache": (
        {"cache": LATER, "shared": COMMAND},
        ["cache.passed", "shared.json.all(r, r == shared.json[0]) && size(shared.json) >= 2"],
    ),
    "dr.rto-rpo": (
        {"doc": LATER, "archiver": LATER, "drill": LATER},
        [
            "doc.found >= 1 && size(doc.headings_missing) == 0",
            'archiver.archive_timeout > duration("0s") && archiver.archive_timeout <= params.rto',
            "!drill.found",
        ],
    ),
    "doc.arch": ({"": LATER}, ["found >= 1", "mentions_ratio >= 0.8 || signed"]),
    "defaults": ({"": HTTP}, ["status < 400"]),
    "command default": ({"": COMMAND}, ["exit_code == 0"]),
    "docker default": ({"": DOCKER}, ["matched > 0 && running == matched && unhealthy == 0 && restarting == 0"]),
    "git default": ({"": GIT}, ["dirty == 0 && untracked == 0"]),
}
PARAMS = {"rto": 'duration("1h")', "max_gap": 'duration("1s")', "backend_max": "500 * MB"}


@pytest.mark.parametrize("step", STEPS)
def test_the_conditions_of_a_real_step_compile_and_do_not_lie(step: str) -> None:
    probes, texts = STEPS[step]
    scope = Scope.of(probes, PARAMS)
    conditions = [compile_condition(text, scope) for text in texts]
    assert lint_list(conditions) == []
    assert all(condition.evaluate({}).value is None or "!" in condition.text for condition in conditions)


def test_a_trigger_of_a_watch_compiles_without_its_kind() -> None:
    compile_condition("availability < 0.99", Scope.of({"": None}))
