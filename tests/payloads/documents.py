"""How each sample document of tests/data/payloads reaches the kind that reads it, and what a step would ask of it.

The verdicts and observations themselves stand in expected.json. `ask` takes the document's bytes, so that spoilt ones
go the same way.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from captain.measurement import Measurement
from tests.payloads import systems
from tests.payloads.world import World

PAYLOADS = Path(__file__).parents[1] / "data" / "payloads"
Ask = Callable[[World, bytes], Awaitable[Measurement]]


@dataclass(frozen=True)
class Document:
    """One entry of expected.json."""

    kind: str
    ask: Ask
    expect: tuple[str, ...] = ()
    """Conditions of the step; none: the kind's own."""
    warn: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    """Observations that captain calls otherwise; what holds a blank is a condition that says the same."""
    product: bool = False
    """Whether it comes from the product itself: what cannot be read is then a failure, not a gap."""
    free: bool = False
    """Whether any beginning of it is a whole document of its own, so that a cut cannot be seen."""


def payload(name: str) -> bytes:
    """A document as it is."""
    return (PAYLOADS / name).read_bytes()


def expected() -> list[dict[str, Any]]:
    """The entries of expected.json."""
    listed: list[dict[str, Any]] = json.loads(payload("expected.json"))
    return listed


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


REPORTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], dict[str, str]]] = {
    "trivy_clean.json": ("trivy", systems.CLEAN, systems.GATE, {}),
    "trivy_findings.json": ("trivy", systems.CLEAN, systems.GATE, {}),
    "trivy_unfixed_high_only.json": ("trivy", systems.CLEAN, systems.GATE, {}),
    "trivy_other_artifact.json": ("trivy", systems.CLEAN, systems.GATE, {}),
    "pip_audit_clean.json": ("pip-audit", ("skipped == 0", "total == 0"), (), {}),
    "pip_audit_vulns.json": ("pip-audit", ("skipped == 0", "total == 0"), (), {}),
    "npm_audit_clean.json": ("npm-audit", ("critical == 0", "high == 0"), (), {}),
    "npm_audit_vulns.json": ("npm-audit", ("critical == 0", "high == 0"), (), {"moderate": "medium"}),
    "npm_audit_endpoint_error_exit1.json": (
        "npm-audit",
        ("critical == 0", "high == 0"),
        (),
        {"error": 'error.contains("405")'},
    ),
    "sarif_findings.json": ("sarif", ("errors == 0",), (), {"error": "errors", "warning": "warnings"}),
    "junit_pass.xml": ("junit", ("tests >= 1", "failed + errors == 0"), (), {}),
    "junit_mixed.xml": ("junit", ("tests >= 1", "failed + errors == 0"), (), {}),
    "junit_no_tests.xml": ("junit", ("tests >= 1", "failed + errors == 0"), (), {}),
    "coverage.json": ("coverage-json", ("percent >= 80.0",), (), {}),
    "coverage_cobertura.xml": ("cobertura", ("percent >= 80.0",), (), {}),
    "k6_handle_summary.json": ("k6", ("size(thresholds_failed) == 0",), (), {}),
    "locust.json": ("locust", ("errors == 0",), (), {}),
    "size_limit.json": ("size-limit", ("failed == 0",), (), {"failed": "failed_names"}),
}
_DOCKER = (
    "matched > 0",
    "root_configured == 0",
    "no_memory_limit == 0 && no_cpu_limit == 0",
    "no_healthcheck == 0 && unhealthy == 0",
    "no_restart_policy == 0",
    "host_network == 0 && docker_sock_mounts == 0",
    "log_unbounded == 0",
)
_FORGE = ("success > 0", "failed_count == 0", "missing_count == 0")
_RUNS = (
    'workflow_state == "active"',
    'newest_age <= duration("30m")',
    'last_conclusion == "success"',
)

DOCUMENTS: dict[str, Document] = {
    **{
        name: Document("report", systems.report(format), expect, warn, named)
        for name, (format, expect, warn, named) in REPORTS.items()
    },
    **{
        f"github_check_runs_{how}.json": Document("ci", systems.check_runs, _FORGE)
        for how in ("green", "failed", "pending", "empty")
    },
    "github_workflow_runs_fresh.json": Document("ci", systems.workflow_runs, _RUNS),
    "github_workflow_runs_stale.json": Document("ci", systems.workflow_runs, _RUNS),
    "github_workflow_disabled_inactivity.json": Document(
        "ci", systems.workflow_state, _RUNS, named={"state": "workflow_state"}
    ),
    "github_rate_limited_403.json": Document("ci", systems.rate_limited, _FORGE, named={"http_status": "raised"}),
    "github_not_found_404.json": Document("ci", systems.not_found, _FORGE, named={"http_status": "raised"}),
    "github_deployment_statuses.json": Document(
        "ci", systems.deployment_statuses, ('deployment_state == "success"',), named={"state": "deployment_state"}
    ),
    "gitlab_pipelines_by_sha.json": Document("ci", systems.pipelines, _FORGE, named={"status": "state"}),
    "gitlab_pipeline_jobs.json": Document("ci", systems.jobs, (*_FORGE, "failed_allowed_count == 0"), _FORGE),
    "docker_inspect_good.json": Document("docker", systems.container, _DOCKER),
    "docker_inspect_bad.json": Document("docker", systems.container, _DOCKER),
    "docker_inspect_unhealthy.json": Document("docker", systems.container, _DOCKER),
    "docker_network_internal.json": Document("docker", systems.network, ("matched > 0", "internal")),
    "docker_image_inspect_secret_env.json": Document("image", systems.image, ("size(env_secret_keys) == 0",)),
    "docker_image_history_secret_arg.json": Document(
        "image", systems.image_history, ("size(history_secret_hits) == 0",)
    ),
    "swarm_service_fresh.json": Document(
        "service",
        systems.service,
        ('failure_action == "rollback"', 'update_order == "start-first"', "updates_failed == 0"),
    ),
    "swarm_service_rollback_completed.json": Document("service", systems.service, ("updates_failed == 0",)),
    "swarm_update_status_sequence.json": Document(
        "service",
        systems.last_update,
        ('update_state == "rollback_completed"', 'rollback <= duration("1m")'),
        named={"final": "update_state"},
    ),
    "ecs_describe_services.json": Document("service", systems.ecs),
    "prom_query_up.json": Document("prometheus", systems.query("up", reduce="max"), ("value >= 1.0",)),
    "prom_query_empty_no_5xx_series.json": Document("prometheus", systems.query(systems.NAIVE), ("value < 0.01",)),
    "prom_query_error_ratio_zero.json": Document("prometheus", systems.query(systems.RATIO), ("value < 0.01",)),
    "prom_query_scalar_nan.json": Document("prometheus", systems.query("scalar(up)"), ("value < 0.01",)),
    "prom_query_bad_data_400.json": Document(
        "prometheus", systems.bad_query, ("value < 0.01",), named={"error": "raised"}
    ),
    "prom_targets_one_down.json": Document("prometheus", systems.targets, ("down == 0", "up > 0")),
    "prom_alerts_firing.json": Document("prometheus", systems.alerts, ("firing_count == 0",), ("critical_count == 0",)),
    "metrics_exposition.txt": Document(
        "metrics",
        systems.exposition,
        ("status == 200", "content_type_ok", "parse_errors == 0", "app_families > 0"),
        # One of the ten has not counted yet, which captain tells apart.
        named={"app_families": "app_families + empty_families == 10"},
        product=True,
        free=True,
    ),
    "health_ok.json": Document(
        "http", systems.page, ("status == 200", 'json.status == "ok"', 'json.version == "1.4.2"'), product=True
    ),
    "circuit_breakers.json": Document(
        "http",
        systems.page,
        ("size(json.providers) == 18", 'json.providers.filter(p, p.state == "open").size() == 0'),
        ("size(json.providers) == 18", 'json.providers.filter(p, p.state == "open").size() <= 1'),
        {
            "providers": "size(json.providers) == 18",
            "open": 'json.providers.filter(p, p.state == "open").size() == 1',
        },
        product=True,
    ),
    "queue_status.json": Document(
        "http",
        systems.page,
        ("json.workers > 0", "size(json.queues) > 0", "json.queues.all(q, json.queues[q].dead == 0)"),
        ("json.workers > 0", "size(json.queues) > 0", "json.queues.all(q, json.queues[q].dead <= 10)"),
        {"dead": "json.queues.default.dead + json.queues.emails.dead == 3"},
        product=True,
    ),
    "s3_list_objects_v2.json": Document(
        "backup",
        systems.bucket,
        ("count > 0", 'newest_age <= duration("26h")', "size_ratio >= 0.5 && size_ratio <= 2.0"),
    ),
    "logs_structured.txt": Document(
        "logs", systems.lines, ("json_ratio >= 0.95", "size(fields_missing) == 0"), free=True
    ),
    "logs_unstructured_with_traceback.txt": Document(
        "logs",
        systems.lines,
        ("json_ratio >= 0.95", "tracebacks == 0"),
        # Six lines are too few for a ratio.
        named={"json_ratio_max": "lines < 50"},
        free=True,
    ),
    **{
        f"git_porcelain_v2_{how}.txt": Document(
            "git", systems.work_tree, ("dirty == 0", "untracked == 0", "ahead == 0", "behind == 0"), free=True
        )
        for how in ("dirty", "clean", "detached")
    },
    "pg_stat_archiver.json+pg_settings.json": Document(
        "sql",
        systems.archiver,
        ('archive_mode == "on"', 'archive_timeout > duration("0s")', 'archive_timeout <= duration("5m")'),
    ),
    "dramatiq_redis_dump.json": Document("queue", systems.queue("dramatiq"), ("dead == 0",), ("dead_recent == 0",)),
    "celery_redis_dump.json": Document(
        "queue",
        systems.queue("celery", queues=("celery", "emails")),
        ("ready <= 100",),
        named={
            "celery.ready": 'queues.exists(q, q.name == "celery" && q.ready == 6)',
            "emails.ready": 'queues.exists(q, q.name == "emails" && q.ready == 1)',
            "unacked": "in_flight",
        },
    ),
    "compose_good.yml": Document(
        "compose",
        systems.compose,
        ("services > 0", "has_version_key == 0", "literal_secrets == 0", "internal_networks >= 1"),
        free=True,
    ),
    "workflow_ci.yml": Document(
        "workflow", systems.workflow, ("found > 0", "soft_failures == 0", "unpinned_actions == 0"), free=True
    ),
    "Dockerfile.multi": Document(
        "dockerfile",
        systems.dockerfile,
        ("stages >= 2 && copy_from_stage >= 1", "has_healthcheck", "!final_user_is_root"),
        free=True,
    ),
    "redis_info_subset.txt": Document(
        "redis", systems.redis_info, ("hit_ratio >= 0.8",), ("connected", "maxmemory > 0", "policy_fits"), free=True
    ),
}
