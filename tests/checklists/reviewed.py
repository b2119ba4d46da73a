"""A service whose repository the shipped review finds nothing against, and the review over it, measured by the engine.

What is wrong with it a test plants itself: `shop.write(NAME, TEXT)` before it asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from captain.checklist import Target
from captain.clock import SystemClock
from captain.engine import Engine
from captain.events import Actor, Recorded
from captain.loader import load
from captain.log.store import Log
from captain.run.status import Status, status
from captain.settings import Settings
from tests.git_repo import Repo

ME = Actor("karen@example.com", "flag", "karen", 1000, "testhost")
DECLARED = ("DATABASE_URL", "REDIS_URL", "GITHUB_TOKEN", "SCRATCH_DATABASE_URL")
SHA = "a" * 40
BACKEND = """\
FROM python:3.12 AS build
WORKDIR /app
COPY requirements.txt .
RUN pip wheel -r requirements.txt -w /wheels
FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN useradd appuser
USER appuser
HEALTHCHECK CMD ["python", "-m", "shop.alive"]
CMD ["gunicorn", "shop.wsgi"]
"""
FRONTEND = """\
FROM node:22 AS build
WORKDIR /app
COPY . .
RUN npm ci && npm run build
FROM node:22-slim
COPY --from=build /app/.next /app/.next
USER nextjs
HEALTHCHECK CMD ["node", "alive.js"]
CMD ["node", "server.js"]
"""
SERVICE = """\
    restart: unless-stopped
    healthcheck: { test: [CMD, %s], retries: 3 }
    deploy: { resources: { limits: { memory: 256M, cpus: '0.5', pids: 100 } } }
"""
COMPOSE = f"""\
services:
  backend:
    build: backend
    env_file: .env
    environment: {{ DATABASE_URL: '${{DATABASE_URL:?}}' }}
{SERVICE % "alive"}
  frontend:
    build: frontend
{SERVICE % "alive"}
  worker:
    build: backend
    environment: [SECRET_KEY]
{SERVICE % "worker-alive"}
  db:
    image: postgres:15
    volumes: ['data:/var/lib/postgresql/data']
{SERVICE % "pg_isready"}
  redis:
    image: redis:7
    volumes: ['cache:/data']
{SERVICE % "redis-ping"}
volumes: {{ data: {{}}, cache: {{}} }}
"""
SETTINGS = """\
import os
import time
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": int(os.environ.get("CONN_MAX_AGE", 600)),
        "OPTIONS": {"sslmode": os.environ.get("DB_SSLMODE", "verify-full")},
    }
}
"""
BACKUP = """\
#!/bin/bash
set -euo pipefail
pg_dump -Fc "$DATABASE_URL" > "/var/backups/shop/$(date +%F).dump"
"""
TESTS = f"""\
on: {{ pull_request: {{}}, push: {{ branches: [main] }} }}
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@{SHA}
      - run: pytest
  types:
    runs-on: ubuntu-latest
    steps:
      - run: mypy .
      - run: npx tsc --noEmit
"""
DEPLOY = """\
on: { push: { branches: [main] } }
jobs:
  verify:
    runs-on: ubuntu-latest
    steps:
      - run: pytest
      - run: python manage.py makemigrations --check
      - run: python manage.py migrate --plan
  deploy:
    needs: verify
    runs-on: ubuntu-latest
    steps:
      - run: ./scripts/deploy.sh
  smoke:
    needs: deploy
    runs-on: ubuntu-latest
    steps:
      - run: curl --fail --retry 3 https://shop.example.com/healthz
"""
SECURITY = f"""\
on: {{ pull_request: {{}}, schedule: [{{ cron: '0 3 * * *' }}] }}
jobs:
  trivy:
    runs-on: ubuntu-latest
    steps:
      - uses: aquasecurity/trivy-action@{SHA}
        with:
          image-ref: shop-backend
          exit-code: '1'
          severity: CRITICAL,HIGH
      - run: pip-audit -r backend/requirements.txt
      - run: npm audit
"""
MIGRATION = """\
class Migration:
    operations = [migrations.RunPython(forwards, backwards)]
"""
GIT_IGNORED = """\
state/
reports/
captain.yaml
review.yaml
.env*
!.env.example
*.pem
*.key
id_rsa
.npmrc
.pypirc
.netrc
.aws/
.docker/
.git-credentials
"""
IGNORED = "**/.env*\n**/*.pem\n**/*.key\n**/id_rsa\n**/.npmrc\n**/.pypirc\n**/.netrc\n**/.git-credentials\n**/.aws\n"
FILES: Mapping[str, str] = {
    ".gitignore": GIT_IGNORED,
    ".env.example": "SECRET_KEY=\n",
    "backend/.dockerignore": IGNORED + "**/.docker\n**/.git\n",
    "frontend/.dockerignore": IGNORED + "**/.docker\n**/.git\n",
    "backend/Dockerfile": BACKEND,
    "frontend/Dockerfile": FRONTEND,
    "backend/requirements.txt": "django==5.2\n",
    "frontend/package-lock.json": "{}\n",
    "frontend/next.config.ts": "export default { reactStrictMode: true };\n",
    "backend/shop/settings.py": SETTINGS,
    "backend/shop/migrations/0002_price.py": MIGRATION,
    "compose.yaml": COMPOSE,
    "scripts/backup.sh": BACKUP,
    "scripts/rollback.sh": "#!/bin/sh\nset -e\ndocker compose up --detach\n",
    "scripts/deploy.sh": "#!/bin/sh\nset -e\n./switch --strategy blue-green\n",
    "ops/shop-backup.timer": "[Timer]\nOnCalendar=daily\n",
    "docs/rollback.md": "# Rollback\n\n## Rollback of migrations\n\nManage.py migrate, with the name before.\n"
    + "First stop the workers, then go back, and look at the orders of the last hour. " * 7,
    ".github/workflows/tests.yml": TESTS,
    ".github/workflows/deploy.yml": DEPLOY,
    ".github/workflows/security.yml": SECURITY,
}


@dataclass
class Reviewed:
    """A repository, captain.yaml with its own checklist over the shipped one, and a log."""

    root: Path
    params: Mapping[str, str] = field(default_factory=dict)
    """What differs here, as CEL."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    allow: str = ""
    steps: str = ""
    """Sections laid over the shipped ones, as YAML."""

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.repo = Repo(self.root)

    def healthy(self) -> None:
        """Lay down the whole repository, reports and backup included, and commit it."""
        for name, text in FILES.items():
            self.write(name, text)
        self.write(".env", "SECRET_KEY=kept-here-alone\n").chmod(0o600)
        self.commit()
        self.reports()
        dump, hour_ago = self.write("state/backups/shop.dump", "dump"), time.time() - 3600
        os.utime(dump, (hour_ago, hour_ago))
        self.params = {**self.params, "backups": f'"{self.root}/state/backups/*.dump"'}

    def write(self, name: str, text: str) -> Path:
        file = self.repo.write(name, text)
        if name.endswith(".sh"):
            file.chmod(0o755)
        return file

    def commit(self) -> str:
        self.repo.git("add", "--all")
        self.repo.git("commit", "--quiet", "--allow-empty", "--message", "all")
        return self.repo.git("rev-parse", "HEAD")

    def reports(self) -> None:
        """What CI leaves behind for the commit at hand."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = {"Target": "requirements.txt", "Class": "lang-pkgs", "Type": "pip", "Packages": [{"Name": "django"}]}
        head = self.repo.git("rev-parse", "HEAD")
        trivy: dict[str, Any] = {"SchemaVersion": 2, "CreatedAt": now, "ArtifactType": "repository", "Results": [found]}
        tree = {**trivy, "ArtifactName": ".", "Metadata": {"Commit": head}}
        image = {**trivy, "ArtifactName": "shop-backend:latest", "ArtifactType": "container_image"}
        weak = {"name": "lodash", "severity": "critical", "via": [{"title": "x", "severity": "critical"}]}
        counts = dict.fromkeys(("info", "low", "moderate", "high", "critical", "total"), 0)
        npm: dict[str, Any] = {"auditReportVersion": 2, "vulnerabilities": {}}
        whole = {"prod": 12, "dev": 3, "optional": 0, "peer": 0, "peerOptional": 0, "total": 14}
        written: dict[str, Any] = {
            "trivy-fs.json": tree,
            "trivy.json": image,
            "pip-audit.json": {"dependencies": [{"name": "django", "version": "5.2", "vulns": []}], "fixes": []},
            "npm-audit.json": {**npm, "metadata": {"vulnerabilities": counts, "dependencies": whole}},
            "npm-canary.json": {
                **npm,
                "vulnerabilities": {"lodash": weak},
                "metadata": {"vulnerabilities": {**counts, "critical": 1, "total": 1}, "dependencies": whole},
            },
        }
        for name, document in written.items():
            self.write(f"reports/{name}", json.dumps(document))
        reports = ("reports/pip-audit.json", "reports/npm-audit.json")
        names = ("backend/requirements.txt", "frontend/package-lock.json", *reports)
        lines = [f"{hashlib.sha256((self.root / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
        self.write("reports/SHA256SUMS", "".join(lines))

    def log(self, **keys: Any) -> Log:
        return Log.open(self.root / "state" / "log.sqlite", clock=SystemClock(), actor=ME, **keys)

    def _files(self) -> None:
        declared = ", ".join(sorted({*DECLARED, *self.secrets}))
        (self.root / "captain.yaml").write_text(
            f"service: shop\nsecrets: [{declared}]\nchecklists: [review.yaml]\n"
            f"environments: {{ staging: {{ allow: [{self.allow}] }} }}\n"
        )
        given = "".join(f"  {name}: '{value}'\n" for name, value in self.params.items())
        (self.root / "review.yaml").write_text(
            "checklist: readiness\ntitle: Production readiness review\nextends: readiness\n"
            + (f"params:\n{given}" if given else "")
            + self.steps
        )

    @contextlib.asynccontextmanager
    async def engine(self, target: Target | None = None, version: str | None = None) -> AsyncIterator[Engine]:
        """An engine in the standing run of the review, or in a release."""
        self._files()
        engine = Engine(
            target or load("readiness", "staging", cwd=self.root),
            self.log(),
            settings=Settings(self.root / "state" / "log.sqlite"),
            actor=ME,
            publish=lambda event: None,
            environ={"PATH": os.environ["PATH"], "HOME": str(self.root), **self.environ, **self.secrets},
        )
        try:
            await engine.open(version)
            if (request := engine.trust()) is not None:
                await engine.accept(request.digest)
            yield engine
        finally:
            await engine.close()

    async def ask(self, *steps: str) -> dict[str, Recorded]:
        """Measure these steps as a check does, and return what the log keeps of them."""
        async with self.engine() as engine:
            await asyncio.gather(*(engine.measure(step, "check") for step in steps))
            found = engine.view().run.results
            return {step: found[step].event for step in steps}

    async def act(self, step: str) -> Recorded:
        """Run a step that does more than read."""
        async with self.engine() as engine:
            await engine.act(step, confirmed="staging")
            return engine.view().run.results[step].event

    async def sign(self, step: str, evidence: str) -> None:
        async with self.engine() as engine:
            await engine.sign(step, "approve", "seen", [evidence])

    async def gate(self) -> None:
        """Open the gate of a release of the commit at hand."""
        self._files()
        self.write(
            "state/deploy.yaml",
            "checklist: deploy\ntitle: Deploy\nsections:\n"
            "  - id: pre\n    title: Pre\n    phase: pre\n"
            "    steps: [{ id: there, title: There, file: { path: captain.yaml } }]\n",
        )
        target = load("state/deploy.yaml", "staging", cwd=self.root)
        async with self.engine(target, "1.4.0") as engine:
            await engine.measure("there")
            await engine.gate("pre", "go", note="all good")

    async def status(self, step: str) -> Status:
        async with self.engine() as engine:
            found = engine.target.checklist.find(step)
            assert found is not None
            return status(engine.view(), found[1])


def conditions(result: Recorded, role: str = "expect") -> dict[str, str]:
    """What each condition of a result said: pass, fail or unknown."""
    return {one["expect"]: one["verdict"] for one in result.data["conditions"] if one["role"] == role}
