"""What the shipped review says of observations that are easily taken for something else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.condition import activation, compile_condition, judge
from captain.loader import load
from captain.scopes import step_scope
from tests.checklists.reviewing import SHIPPED

Observed = Mapping[str, Mapping[str, Any]]
DAY = timedelta(days=1)


def verdict(step_id: str, observed: Observed, params: str = "", *, cwd: Path) -> str:
    """What a step comes to that observed this."""
    if params:
        names = "DATABASE_URL, SCRATCH_DATABASE_URL, REDIS_URL, GITHUB_TOKEN, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
        own = f"service: shop\nsecrets: [{names}]\nenvironments: {{ staging: {{ params: {{ {params} }} }} }}\n"
        (cwd / "captain.yaml").write_text(own)
    target = load(str(SHIPPED), "staging", cwd=cwd)
    step = target.step(step_id)
    assert step is not None
    scope = step_scope(target, step)
    expect, warn = ([compile_condition(text, scope) for text in texts] for texts in (step.expect, step.warn))
    return judge(expect, warn, activation(observed)).verdict.value


NO_FILES = {"script": {"files": 0}, "live": {"no_healthcheck": 0, "health_retries_min": 3}, "schedule": {"files": 0}}


@pytest.mark.parametrize("step", ["db.backup-scripts", "ci.rollback", "ci.health-retries", "ci.zero-downtime"])
def test_a_script_that_is_not_there_is_missing_and_not_unknown(tmp_path: Path, step: str) -> None:
    assert verdict(step, NO_FILES, cwd=tmp_path) == "fail"


def test_one_bundle_for_all_pages_fails_where_no_page_was_named(tmp_path: Path) -> None:
    built = {"routes": 3, "distinct_chunk_sets": 1, "max_first_load": 100}
    assert verdict("perf.code-split", {"build": built}, cwd=tmp_path) == "fail"
    assert verdict("perf.code-split", {"build": {**built, "distinct_chunk_sets": 2}}, cwd=tmp_path) == "pass"
    assert verdict("perf.code-split", {}, cwd=tmp_path) == "unknown"
    named = "page_a_url: '\"http://127.0.0.1:1/\"'"
    assert verdict("perf.code-split", {"build": built}, named, cwd=tmp_path) == "unknown"


def connections(exported: float, here: int) -> Observed:
    alert = {"rules_missing": [], "rules_unhealthy": 0}
    return {"exported": {"value": exported}, "counted": {"used_here": here}, "alert": alert}


def test_a_gauge_of_connections_that_stands_at_zero_is_broken_however_few_there_are(tmp_path: Path) -> None:
    assert verdict("mon.db-conns", connections(0.0, 2), cwd=tmp_path) == "fail"
    assert verdict("mon.db-conns", connections(1.0, 2), cwd=tmp_path) == "pass"
    assert verdict("mon.db-conns", connections(0.0, 0), cwd=tmp_path) == "pass"


def recovery(**drill: Any) -> Observed:
    return {
        "doc": {"found": 1, "headings_missing": [], "short": 0, "todo": 0},
        "stated": {"per_pattern": {"rto": 1, "rpo": 1}},
        "archiver": {"archiving_configured": False, "replicas": 0},
        "dumps": {"newest_age": timedelta(minutes=1)},
        "drill": drill,
    }


def test_a_restore_of_last_year_proves_no_time_to_recover(tmp_path: Path) -> None:
    done = {"found": True, "ok": True, "duration": timedelta(minutes=5), "observed": {}}
    assert verdict("dr.rto-rpo", recovery(**done, age=DAY), cwd=tmp_path) == "pass"
    assert verdict("dr.rto-rpo", recovery(**done, age=200 * DAY), cwd=tmp_path) == "warn"
    assert verdict("dr.rto-rpo", recovery(**{**done, "ok": False}, age=DAY), cwd=tmp_path) == "fail"
    assert verdict("dr.rto-rpo", recovery(**{**done, "duration": 2 * DAY}, age=DAY), cwd=tmp_path) == "fail"
    assert verdict("dr.rto-rpo", recovery(found=False), cwd=tmp_path) == "warn"


def test_metrics_that_went_since_the_last_deployment_are_missed(tmp_path: Path) -> None:
    def counted(now: int, **released: Any) -> str:
        page = {"status": 200, "parse_errors": 0, "app_families": now}
        return verdict("add.infra.metric-count", {"page": page, "released": released}, cwd=tmp_path)

    then: dict[str, Any] = {"found": True, "observed": {"page": {"app_families": 30}}}
    assert counted(30, **then) == "pass"
    assert counted(29, **then) == "fail"
    assert counted(23, found=False) == "pass"
    assert counted(23, found=True, observed={}) == "pass", "nothing was seen that it could be compared with"
    assert counted(22, found=False) == "fail"


COUNTING = {"endpoint_labels": 3, "max_cardinality": 9, "raw_ids": 0}
CACHING = {"maxmemory": 100, "policy_fits": True, "used_ratio": 0.1, "rejected_connections": 0}
ALERTING = {"rules_missing": [], "rules_unhealthy": 0}
TRIED: dict[str, tuple[Observed, str, Mapping[str, Any], Mapping[str, Any]]] = {
    "mon.per-endpoint": ({"endpoint": COUNTING}, "counted", {"delta_observed": 5.0}, {"delta_observed": 0.0}),
    "mon.tasks": (
        {"families": {"missing": []}, "depth": {"value": 1.0}, "waiting": {"ready": 1}, "alert": ALERTING},
        "canary",
        {"canary_ok": True, "canary": timedelta(seconds=1)},
        {"canary_ok": False},
    ),
    "perf.cache": (
        {
            "redis": {**CACHING, "ping_p95": timedelta(milliseconds=1)},
            "settings": {"per_pattern": {"redis": 1, "local": 0}},
        },
        "canary",
        {"canary_ok": True},
        {"canary_ok": False},
    ),
    "scal.cache": (
        {"cache": {"passed": True, "redis.run_id": "a"}},
        "inside",
        {"exit_code": 0, "stdout": "a"},
        {"exit_code": 0, "stdout": "b"},
    ),
    "scal.queue": (
        {
            "tasks": {"ready": 0, "overdue": 0, "dead_recent": 0},
            "broker": {"policy_fits": True},
            "workers": {"running": 1, "unhealthy": 0, "restarting": 0},
        },
        "canary",
        {"canary_ok": True, "canary": timedelta(seconds=1)},
        {"canary_ok": False},
    ),
}


@pytest.mark.parametrize("step", TRIED)
def test_what_was_tried_and_went_wrong_is_no_half(tmp_path: Path, step: str) -> None:
    others, name, good, bad = TRIED[step]
    assert verdict(step, {**others, name: {"tried": True, **good}}, cwd=tmp_path) == "pass"
    assert verdict(step, {**others, name: {"tried": True, **bad}}, cwd=tmp_path) == "fail"
    assert verdict(step, {**others, name: {"tried": False}}, cwd=tmp_path) == "warn"


def replicas(*running: int) -> Observed:
    return {
        "files": {"services": 3, "fixed_container_names": 0, "fixed_host_ports": 0},
        "running": {
            "replicas_running": sum(running),
            "replicas_desired": sum(running),
            "services": [{"running": one} for one in running],
        },
    }


def test_a_swarm_that_runs_one_of_each_does_not_scale(tmp_path: Path) -> None:
    swarm = "orchestrator: '\"swarm\"'"
    assert verdict("scal.horizontal", replicas(2, 2), swarm, cwd=tmp_path) == "pass"
    assert verdict("scal.horizontal", replicas(1, 1), swarm, cwd=tmp_path) == "fail"
    assert verdict("scal.horizontal", {**replicas(1), "running": {}}, swarm, cwd=tmp_path) == "unknown"


COMMENTED = {
    "db.pooling": "# CONN_MAX_AGE = 600, with pgbouncer",
    "db.ssl-mode": "# sslmode from os.environ['DB_SSLMODE'], see dj_database_url",
    "log.levels": "# take it from os.environ['LOG_LEVEL']",
    "perf.cache": "# BACKEND = django.core.cache.backends.redis.RedisCache",
    "scal.lb": "# set SECURE_PROXY_SSL_HEADER and forwarded_allow_ips",
}


@pytest.mark.parametrize("step_id", COMMENTED)
def test_a_comment_is_no_setting(tmp_path: Path, step_id: str) -> None:
    step = load(str(SHIPPED), "staging", cwd=tmp_path).step(step_id)
    assert step is not None
    asked = next(ask for ask in step.asks.values() if ask.kind == "source")  # type: ignore[union-attr]
    sought = [str(one["regex"]).replace("${{ params.conn_max_age }}", "600") for one in asked.params["patterns"]]  # type: ignore[union-attr]
    comment, setting = COMMENTED[step_id], COMMENTED[step_id].removeprefix("# ")
    assert not any(re.search(regex, comment, re.MULTILINE) for regex in sought)
    assert any(re.search(regex, setting, re.MULTILINE) for regex in sought)


def test_what_is_tried_is_what_the_params_name(tmp_path: Path) -> None:
    target = load(str(SHIPPED), "staging", cwd=tmp_path)
    wanted = {
        "try.task": ("params.task_canary ", "params.task_canary_key"),
        "try.worker-script": ("params.worker_check ",),
        "add.mon.error-by-endpoint": ("params.status_label", "params.endpoint_label"),
    }
    for name, params in wanted.items():
        step = target.step(name)
        assert step is not None
        assert all(one in str(step.asks) for one in params), name


def test_both_lists_take_the_same_files_of_a_scan_for_proof(tmp_path: Path) -> None:
    for name in ("npm_canary", "npm_canary_report", "scan_sums", "pip_lockfile", "npm_lockfile"):
        told = [load(str(SHIPPED.with_name(f"{one}.yaml")), "staging", cwd=tmp_path) for one in ("deploy", "readiness")]
        asked = [
            next(dict(step.params)[name] for _, step in one.checklist.steps() if name in step.params) for one in told
        ]
        assert asked[0] == asked[1], name
