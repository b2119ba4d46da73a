"""A repository of Django and Next.js in which nothing is missing that can be seen in files, and ways to spoil it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tests.git_repo import Repo

DAY = 86400
WORDS = "It says what to do, in whole sentences that somebody can follow in the middle of the night. " * 20
"""As long as a document must be; no words that the probes look for."""

SETTINGS = """\
import os

DEBUG = os.environ.get("DEBUG") == "1"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 600}}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["REDIS_URL"]}}
LOGGING = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}
"""
MIGRATION = """\
class Migration:
    operations = [CreateModel(name="Order", fields=[]), CreateModel(name="Customer", fields=[])]
"""
COMPOSE = """\
name: shop
services:
  backend: { image: shop-backend, restart: unless-stopped }
  frontend: { image: shop-frontend, restart: unless-stopped }
  worker: { image: shop-backend, restart: unless-stopped }
  db: { image: 'postgres:16' }
  redis: { image: 'redis:7' }
  proxy: { image: 'nginx:1.27', ports: ['8080:80'] }
"""
CI = """\
on: [pull_request]
jobs:
  size:
    runs-on: ubuntu-latest
    steps:
      - run: npx size-limit --json > reports/size-limit.json
"""
UPTIME = """\
on: { schedule: [{ cron: '*/10 * * * *' }] }
jobs:
  ask:
    runs-on: ubuntu-latest
    steps: [{ run: curl --fail https://shop.example.com/healthz }]
"""
DEPLOY = (
    "on: { push: { branches: [main] } }\njobs: { deploy: { runs-on: ubuntu-latest, steps: [{ run: ./deploy.sh }] } }\n"
)
STATS = [
    {"route": "/", "firstLoadUncompressedJsBytes": 300_000, "firstLoadChunkPaths": [".next/static/chunks/a.js"]},
    {
        "route": "/products",
        "firstLoadUncompressedJsBytes": 320_000,
        "firstLoadChunkPaths": [".next/static/chunks/a.js", ".next/static/chunks/b.js"],
    },
]
LOADABLE = {"1": {"id": 1, "files": ["static/chunks/map.js"]}}
SIZES = [{"name": "first load /", "passed": True, "size": 151_200, "sizeLimit": 180_000}]


def document(*headings: str, more: str = "") -> str:
    """Markdown with those headings and enough words below each."""
    return "# Title\n\n" + "".join(f"## {one}\n\n{WORDS}\n\n" for one in headings) + more


TRACKED = {
    "backend/shop/settings.py": SETTINGS,
    "backend/orders/migrations/0001_initial.py": MIGRATION,
    "frontend/app/page.tsx": "import dynamic from 'next/dynamic'\nconst Map = dynamic(() => import('./map'))\n",
    "compose.yaml": COMPOSE,
    ".github/workflows/ci.yml": CI,
    ".github/workflows/uptime.yml": UPTIME,
    ".github/workflows/deploy.yml": DEPLOY,
    "ops/backup.cron": "15 3 * * * /usr/local/bin/backup-shop\n",
    "docs/deploy.md": document("Prerequisites", "Steps", "Verification", "Rollback", "Contacts"),
    "docs/rollback.md": document(
        "When", "How", "Database", "Verify", more="Type `captain rollback`: it takes backend and frontend back.\n"
    ),
    "docs/schema.md": "# Tables\n\n- orders_order: what was bought\n- orders_customer: by whom\n",
    "docs/architecture.md": document(
        "Picture", more="```mermaid\ngraph LR\n proxy-->frontend-->backend-->db\n backend-->redis-->worker\n```\n"
    ),
    "docs/onboarding.md": document("Prerequisites", "Setup", "Run", "Test", "Access"),
    "docs/troubleshooting.md": document("It is slow", "It is down", "Mails are late", more="SlowShop: scale it.\n"),
    "docs/disaster-recovery.md": document(
        *("Scope", "Contacts", "Detection", "Restore", "Verification", "Failback", "RTO and RPO"),
        more="| RTO | 1 hour |\n| RPO | 5 min |\n",
    ),
    "docs/incidents.md": document("Severities", "On-call", "Escalation", "Communication", "Post-mortem"),
}
BUILT = {
    "frontend/.next/diagnostics/route-bundle-stats.json": json.dumps(STATS),
    "frontend/.next/react-loadable-manifest.json": json.dumps(LOADABLE),
    "reports/size-limit.json": json.dumps(SIZES),
}
"""What builds and jobs write, which no commit holds."""


def make(folder: Path) -> Repo:
    """The repository, committed, built, and with a backup of each of the last eight days beside it."""
    repo = Repo(folder)
    for name, text in TRACKED.items():
        repo.write(name, text)
    commit(repo)
    for name, text in BUILT.items():
        repo.write(name, text)
    backups(folder.parent / "backups", [100_000 + 100 * day for day in range(8)])
    return repo


def commit(repo: Repo, at: str | None = None) -> None:
    """Commit everything that is tracked, or should be."""
    repo.write(".gitignore", "captain.yaml\nreports/\n.next/\n.gitignore\n")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "all of it", at=at)


def spoil(repo: Repo, name: str, old: str, new: str) -> None:
    """Put other words into a file, where the old ones must be."""
    text = (repo.path / name).read_text()
    assert old in text, f"{old!r} is not in {name}"
    repo.write(name, text.replace(old, new))


def backups(folder: Path, sizes: list[int], *, newest_age: float = 3600, apart: float = DAY) -> None:
    """Dumps of these sizes, the first the newest, so many seconds old and apart."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    now = time.time()
    for number, size in enumerate(sizes):
        file = folder / f"shop-{number}.dump"
        file.write_bytes(b"PGDMP" + b"x" * (size - 5) if size > 5 else b"x" * size)
        at = now - newest_age - number * apart
        os.utime(file, (at, at))
