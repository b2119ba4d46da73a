"""What the shipped review must find in a file it does not find in a comment: nobody passes by writing what he lacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from captain.checklist import Ask
from captain.loader import load

LINES = {
    ("db.pooling", "conn_max_age"): ['"CONN_MAX_AGE": env.int("AGE", default=600),'],
    ("db.pooling", "pooler"): ['HOST = "pgbouncer"', '"OPTIONS": {"pool": True},'],
    ("db.ssl-mode", "configurable"): [
        '"sslmode": os.environ.get("DB_SSLMODE", "require"),',
        "dj_database_url.parse(url)",
    ],
    ("db.backup-scripts", "strict"): ["set -euo pipefail"],
    ("db.backup-scripts", "pipefail"): ["set -euo pipefail"],
    ("db.backup-scripts", "dump"): ['pg_dump -Fc "$DATABASE_URL" > newest.dump', "wal-g backup-push"],
    ("db.backup-scripts", "scheduled"): [
        "OnCalendar=daily",
        "  - cron: '0 3 * * *'",
        "0 3 * * * backup",
        "@daily backup",
    ],
    ("ci.health-retries", "attempts"): ["curl --retry 3 $URL", "for i in {1..3}; do", "retry: { attempts: 3 }"],
    ("ci.zero-downtime", "strategy"): ["./switch --strategy blue-green", "docker compose up --scale backend=2"],
    ("log.structured", "configured"): ["LOGGING = {", "logging.config.dictConfig(settings)"],
    ("log.levels", "by_variable"): ['LEVEL = os.environ.get("LOG_LEVEL", "INFO")'],
    ("perf.cache", "redis"): ['"BACKEND": "django.core.cache.backends.redis.RedisCache",'],
    ("dr.automated", "when"): ["OnCalendar=daily", "0 3 * * * backup", "  schedule: [{ cron: '0 3 * * *' }]"],
    ("dr.automated", "what"): ["0 3 * * * /usr/local/bin/backup-shop", "ExecStart=pg_dump shop"],
    ("scal.lb", "forwarded"): ['SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")'],
    ("add.cb.pattern", "open"): ['state = "open"'],
    ("add.cb.pattern", "half_open"): ["HALF_OPEN = 3"],
    ("add.cb.pattern", "closed"): ['state = "closed"'],
    ("add.worker.docker-health", "script"): ["HEALTHCHECK CMD scripts/worker-health", "test: [CMD, worker-health]"],
    ("perf.lazy", "dynamic"): ["import dynamic from 'next/dynamic'", "const Map = lazy(() => import('./map'))"],
}
"""By item and id of the pattern: lines that prove it."""
STANDS = {
    "attempts": "3",
    "conn_max_age": "600",
    "worker_check_name": "worker-health",
}
OTHER_SORT = {"doc.trouble", "dr.rto-rpo", "gap.1", "add.cb.providers", "add.sec.dep-vuln"}
"""Items that look for what stands in documents, for lines that begin with it, or for any text at all."""


def regexes() -> dict[tuple[str, str], str]:
    found = {}
    for _, step in load("readiness", "staging", cwd=Path(__file__).parent).checklist.steps():
        for ask in step.asks.values():
            if isinstance(ask, Ask) and ask.kind == "source":
                for one in ask.params.get("patterns", ()):
                    text = re.sub(r"\$\{\{ params\.(\w+) \}\}", lambda it: STANDS.get(it[1], it[0]), one["regex"])
                    found[step.id, one["id"]] = text
    return found


@pytest.mark.parametrize(("item", "name"), LINES, ids="-".join)
def test_a_line_proves_it_and_the_same_line_as_a_comment_does_not(item: str, name: str) -> None:
    regex = re.compile(regexes()[item, name], re.MULTILINE)
    for line in LINES[item, name]:
        assert regex.search(f"# Title\n{line}\n"), line
        for comment in ("//", "/*", " *") if name == "dynamic" else ("#", "# ", "    # TODO ", "x = 1  # "):
            assert not regex.search(f"first\n{comment}{line}\nlast\n"), comment + line


def test_nothing_else_must_be_found() -> None:
    wanted = set()
    for _, step in load("readiness", "staging", cwd=Path(__file__).parent).checklist.steps():
        for ask in step.asks.values():
            if isinstance(ask, Ask) and ask.kind == "source":
                wanted |= {(step.id, one["id"]) for one in ask.params.get("patterns", ()) if one.get("expect") == "min"}
    assert {one for one in wanted if one[0] not in OTHER_SORT} <= set(LINES)
