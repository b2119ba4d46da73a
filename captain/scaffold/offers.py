"""Which items captain can measure in this repository, with which probe, and what the others lack.

An offer is made only where what it asks is there (a file that was read, a container that runs, a secret that is
set); whether this captain has the kind, and its parameters and observations, is looked up when the file is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec

from captain.scaffold.code_offers import code_offers
from captain.scaffold.offer import Offer, one
from captain.scaffold.quoting import Plain
from captain.scaffold.survey import Survey

__all__ = ["Offer", "offers", "one", "variable"]


def _commands(*names: str) -> str:
    """A pattern for lines that start one of these: `pip install pytest` tests nothing."""
    return rf"(?:^ *|run |-m |[;&|] |npx |exec )(?:{'|'.join(names)})(?:[ ;&)]|$)"


_TESTS = _commands(
    *("pytest", "tox", "nox", "unittest", r"python manage\.py test", r"\./manage\.py test"),
    *("npm test", "npm run test", "pnpm test", "yarn test", "vitest", "jest", "make test"),
)
_TYPES = _commands(
    *("mypy", "pyright", "tsc", "ty check", "npm run typecheck", "npm run type-check", "pnpm typecheck"),
    *("yarn typecheck", "make types"),
)
_AUDITS = {
    "python": _commands("pip-audit", "osv-scanner", "safety check", "safety scan", "uv audit"),
    "node": _commands("npm audit", "pnpm audit", "yarn audit", "yarn npm audit", "osv-scanner"),
}
_BUNDLES = _commands("size-limit", "bundlewatch", "bundlesize", "npm run size")
_CHECKS = "(?:makemigrations|migrate|alembic)[^#]* (?:--check|check)"


def offers(found: Survey) -> dict[str, list[Offer]]:
    """By item, the best offer first. The first that is ready is written."""
    made: dict[str, list[Offer]] = {}
    sources = (_containers, _logs, _composes, _images, _ignores, _pipelines, _databases, _addresses, code_offers)
    for source in sources:
        for item, offer in source(found):
            made.setdefault(item, []).append(offer)
    return made


def _containers(found: Survey) -> Iterator[tuple[str, Offer]]:
    if not found.containers:
        return
    why = f"{len(found.containers)} containers of {found.project} run"

    def live(params: Mapping[str, Plain], *expect: str) -> Offer:
        return one(why, "docker", {"project": found.project, **params}, *expect)

    yield "infra.non-root", live({"top": True}, "root_processes == 0", "user_processes > 0")
    yield "infra.limits", live({}, "no_memory_limit == 0", "no_cpu_limit == 0", "oom_killed == 0")
    yield "infra.health", live({}, "no_healthcheck == 0", "unhealthy == 0", "healthy == running")
    data = [name for name, service in found.services.items() if service.holds_data]
    if data:
        # Without roles nobody could say which ports must not be open.
        closed = ("host_network == 0", "default_bridge == 0", "published_internal == 0")
        yield "infra.network", live({"roles": dict.fromkeys(data, "data")}, *closed)
    kept: dict[str, Plain] = {
        name: [service.data_path] for name, service in found.services.items() if service.data_path is not None
    }
    if kept and all(service.data_path for service in found.services.values() if service.holds_data):
        # Without the paths that matter nothing would be compared.
        mounted = ("missing_mounts == 0", "anonymous_volumes == 0", "docker_sock_mounts == 0")
        yield "infra.volumes", live({"require_mounts": kept}, *mounted)
    yield "log.rotation", live({}, "log_unbounded == 0")
    restarted = live({}, "no_restart_policy == 0", "restarting == 0", "restart_count_max <= 3")
    yield "infra.auto-restart", replace(restarted, half=_CRASH)
    built = [name for name, service in found.services.items() if service.builds and name in found.images]
    if built:
        written = live({"services": built, "diff": True}, "writable_changes == 0")
        yield "scal.stateless", replace(written, half="that sessions lie outside of the instances too")
    if {"backend", "frontend"} <= {*built}:
        refs: dict[str, tuple[str, Mapping[str, Plain]]] = {
            name: ("image", {"ref": found.images[name]}) for name in ("backend", "frontend")
        }
        small = tuple(f"{name}.size < params.{name} * MB" for name in refs)
        yield "perf.image-size", Offer(why, refs, small, params={"backend": "500", "frontend": "200"})
    tried = ("no_healthcheck == 0", "health_retries_min >= params.attempts")
    yield "ci.health-retries", replace(live({}, *tried), params={"attempts": "3"})


_CRASH = "a crash on staging from which it came back"


def _logs(found: Survey) -> Iterator[tuple[str, Offer]]:
    built = [name for name, service in found.services.items() if service.builds and name in found.images]
    if not built:
        return
    why = f"{', '.join(built)} of {found.project} run"
    asks: Mapping[str, Plain] = {"source": "docker", "project": found.project, "services": built, "since": "24h"}
    yield "log.structured", one(why, "logs", asks, "json_ratio >= 0.95", "size(fields_missing) == 0")
    yield "log.levels", one(why, "logs", asks, "level_known_ratio >= 0.95", "debug_lines == 0")


def _composes(found: Survey) -> Iterator[tuple[str, Offer]]:
    if not found.compose:
        return

    data = [name for name, service in found.services.items() if service.holds_data]
    asks: Mapping[str, Plain] = {
        "files": list(found.compose),
        **({"roles": dict.fromkeys(data, "data")} if data else {}),
    }

    def static(*expect: str) -> Offer:
        return one(", ".join(found.compose), "compose", asks, *expect)

    yield "infra.limits", static("services > 0", "no_limits == 0")
    yield "infra.health", static("services > 0", "no_healthcheck == 0")
    yield "infra.auto-restart", replace(static("services > 0", "no_restart == 0"), half=_CRASH)
    kept = static("services > 0", "anonymous_volumes == 0", "sock_mounts == 0", "host_mounts == 0")
    yield "infra.volumes", replace(kept, half="that everything that must outlive a container lies on a named volume")
    if built := [name for name, service in found.services.items() if service.builds]:
        several = one(
            ", ".join(found.compose),
            "compose",
            {"files": list(found.compose), "scalable": built},
            *("services > 0", "fixed_container_names == 0", "fixed_host_ports == 0"),
        )
        yield "scal.horizontal", replace(several, half="two instances side by side, and how one of them was ended")
    if data:
        yield "infra.network", static("services > 0", "published_data_ports == 0", "host_network == 0")
    yield "log.rotation", static("services > 0", "log_unbounded == 0")
    yield "add.infra.no-version-key", static("services > 0", "has_version_key == 0")
    secrets = ("literal_secrets == 0", "default_secrets == 0", "env_files_missing == 0")
    yield (
        "infra.env-secrets",
        Offer(
            ", ".join(found.compose),
            {"compose": ("compose", asks), "ignore": ("ignore", {"mode": "git"})},
            ("compose.services > 0", *(f"compose.{each}" for each in secrets), "ignore.tracked_count == 0"),
        ),
    )


def _images(found: Survey) -> Iterator[tuple[str, Offer]]:
    if not found.dockerfiles:
        return
    named = dict(zip(_names(found.dockerfiles), found.dockerfiles, strict=True))
    why = ", ".join(found.dockerfiles)

    def each(*expect: str) -> Offer:
        asks: dict[str, tuple[str, Mapping[str, Plain]]] = {
            name: ("dockerfile", {"path": path, "hadolint": False}) for name, path in named.items()
        }
        return Offer(why, asks, tuple(one.replace("IT.", f"{name}.") for name in named for one in expect))

    yield "infra.non-root", each("!IT.final_user_is_root")
    yield "sec.multi-stage", each("IT.stages >= 2", "IT.copy_from_stage >= 1")
    clean = each("IT.secrets == 0", "!IT.copies_dotenv")
    yield "sec.image-secrets", replace(clean, half="a scan of every layer of the images that were built of them")
    users = {name: user for name in named if (user := _USERS.get(name.removeprefix("of_")))}
    if users.keys() == named.keys():
        asks: dict[str, tuple[str, Mapping[str, Plain]]] = {
            name: ("dockerfile", {"path": path, "expected_user": users[name], "hadolint": False})
            for name, path in named.items()
        }
        meant = tuple(f"{name}.{each}" for name in named for each in ("user_as_expected", "has_user"))
        yield "sec.named-users", Offer(why, asks, (*meant, *(f"!{name}.final_user_is_root" for name in named)))


_USERS = {"frontend": "nextjs", "backend": "appuser"}
"""Whom the item names."""


def _names(paths: tuple[str, ...]) -> list[str]:
    """A name for each Dockerfile: its folder's, what stands behind its dot, else a number."""
    names: list[str] = []
    for at, path in enumerate(paths):
        folder, _, file = path.rpartition("/")
        name = re.sub(r"[^a-z0-9_]", "_", (folder.rpartition("/")[2] or file.partition(".")[2] or "image").lower())
        fits = re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) and f"of_{name}" not in names
        names.append(f"of_{name}" if fits else f"image_{at + 1}")
    return names


def _ignores(found: Survey) -> Iterator[tuple[str, Offer]]:
    kept_out = ("has_file", "uncovered_count == 0", "present_uncovered_count == 0", "tracked_count == 0")
    plain = one("git", "ignore", {"mode": "git"}, *kept_out, "history_count == 0")
    # What was tracked once may be a secret that was replaced since: that is for people to say.
    yield "sec.gitignore-env", replace(plain, warn=kept_out)
    contexts = _contexts(found)
    if contexts:
        asks: dict[str, tuple[str, Mapping[str, Plain]]] = {
            name: ("ignore", {"mode": "docker", "root": path})
            for name, path in zip(_names(tuple(f"{path}/." for path in contexts)), contexts, strict=True)
        }
        covered = ("has_file", "present_uncovered_count == 0", "uncovered_count == 0")
        expect = tuple(f"{name}.{each}" for name in asks for each in covered)
        yield "sec.dockerignore", Offer(", ".join(found.dockerfiles), asks, expect)


def _contexts(found: Survey) -> list[str]:
    """The folders that are sent to a build: Compose's where it builds, else that of each Dockerfile.

    Nothing where one is not known: a .dockerignore of another folder says nothing.
    """
    built = [service.context for service in found.services.values() if service.builds]
    if built:
        return [] if None in built else sorted({path for path in built if path is not None})
    return sorted({path.rpartition("/")[0] or "." for path in found.dockerfiles})


def _pipelines(found: Survey) -> Iterator[tuple[str, Offer]]:
    if not found.pipelines:
        return
    changes = {"github": "pull_request", "gitlab": "merge_request_event"}[found.forge]
    why = ", ".join(found.pipelines[:5])

    def step(text: str, params: Mapping[str, Plain], *more: str) -> Offer:
        return one(why, "workflow", {"step": text, **params}, "found > 0", *more)

    yield "ci.tests-on-pr", step(_TESTS, {"on": [changes]}, "gating")
    yield "ci.type-check", step(_TYPES, {"on": [changes]}, "gating")
    audited: dict[str, tuple[str, Mapping[str, Plain]]] = {
        language: ("workflow", {"step": _AUDITS[language]}) for language in found.languages
    }
    if audited:
        # A scan of one language says nothing of the other's packages.
        scans = Offer(why, audited, tuple(f"{one}.{each}" for one in audited for each in ("found > 0", "gating")))
        yield "sec.dep-scan", scans
        yield "add.sec.dep-vuln", scans
    scanner: Mapping[str, Plain] = {"uses": "aquasecurity/trivy-action"}
    yield "sec.trivy-ci", one(why, "workflow", scanner, "found > 0", "gating", "exit_code_set")
    yield "add.sec.docker-scan", one(why, "workflow", scanner, "found > 0", "gating", "exit_code_set")
    yield "perf.bundle-ci", step(_BUNDLES, {}, "gating")
    token = "GITHUB_TOKEN"
    if found.forge == "github" and found.repository and found.uptime and token in found.set_variables:
        looks: Mapping[str, Plain] = {
            "provider": "github",
            "repo": found.repository,
            "token_env": token,
            "mode": "workflow",
            "workflow": found.uptime,
            "event": "schedule",
        }
        well = ('workflow_state == "active"', 'newest_age <= duration("1h")', 'last_conclusion == "success"')
        yield "mon.uptime", one(f"{found.uptime}, {token} is set", "ci", looks, *well)
    deploy = next((job for job in found.jobs if "deploy" in job.lower()), None)
    if deploy is not None:
        before: Mapping[str, Plain] = {"needs_of": deploy}
        yield "ci.pre-deploy", step(_TESTS, before, "in_needs_of_deploy", "gating")
        yield "ci.migration-check", step(_CHECKS, before, "in_needs_of_deploy", "gating")


def _databases(found: Survey) -> Iterator[tuple[str, Offer]]:
    database, cache = variable(found, "database"), variable(found, "redis")
    library = {"postgres": "psycopg", "mysql": "pymysql"}.get(found.database)
    if library and database in found.set_variables and find_spec(library):
        why = f"{database} is set"

        def asked(preset: str, *expect: str) -> Offer:
            return one(why, "sql", {"engine": found.database, "dsn_env": database, "preset": preset}, *expect)

        yield "db.ssl-mode", asked("ssl", "can_see_all && ssl_on && plain_connections == 0")
        yield "db.slow-log", asked("slow", 'slow_log_on && log_min_duration <= duration("1s")')
        yield "db.no-mysql-options", asked("file_settings", "file_settings > 0", "row_count == 0")
    if cache in found.set_variables and find_spec("redis"):
        why = f"{cache} is set"
        asks: Mapping[str, Plain] = {"url_env": cache, "purpose": "cache"}
        yield "perf.cache", one(why, "redis", asks, "connected && maxmemory > 0", "policy_fits", "used_ratio <= 0.9")
        if found.queue:
            asks = {"broker": found.queue, "url_env": cache}
            healthy = 'ready == 0 || oldest_age <= duration("5m")'
            waiting = ["ready <= 100"] if found.queue == "celery" else [healthy, "dead_recent == 0"]
            yield "scal.queue", one(why, "queue", asks, *waiting)


def variable(found: Survey, what: str) -> str:
    """The secret that holds the address of the database or of Redis: as the repository names it, else as is usual."""
    if what == "redis":
        return found.variable("REDIS_URL", "CACHE_URL", "BROKER_URL") or "REDIS_URL"
    return found.variable("DATABASE_URL", "DB_URL", "POSTGRES_URL", "MYSQL_URL", "_DSN") or "DATABASE_URL"


def _addresses(found: Survey) -> Iterator[tuple[str, Offer]]:
    if found.health is not None and found.metrics:
        why = next(one.where for one in found.findings if one.topic == "metrics")
        url: Mapping[str, Plain] = {"url": "${{ vars.metrics_url }}"}
        whole = "status == 200 && content_type_ok && parse_errors == 0"
        yield "mon.metrics", one(why, "metrics", url, whole, "series > 0", "decreasing_counters == 0")
        tracked = "endpoint_labels >= 3 && max_cardinality <= 500 && raw_ids == 0"
        yield "mon.per-endpoint", one(why, "metrics", url, tracked)
        yield "mon.histograms", one(why, "metrics", url, "histogram_families >= 1 && min_finite_buckets >= 5")
