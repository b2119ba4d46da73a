"""Three repositories that somebody could start with: a service of Django and Next.js, a library, and nothing."""

from __future__ import annotations

from pathlib import Path

from tests.git_repo import Repo

SERVICE = {
    "backend/manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nimport django\n",
    "backend/shop/settings.py": (
        "import os\nimport dj_database_url\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'CONN_MAX_AGE': 600}}\n"
        "DATABASES['default'].update(dj_database_url.parse(os.environ['SHOP_DATABASE_URL']))\n"
        "CACHES = {'default': {'LOCATION': os.getenv('REDIS_URL')}}\n"
    ),
    "backend/shop/urls.py": "urlpatterns = [path('healthz', health), path('', home)]\n",
    "backend/orders/migrations/0001_initial.py": "class Migration: pass\n",
    "backend/requirements.txt": "Django==5.2\ndjango-prometheus\ndjango_dramatiq>=0.11\npsycopg\n# celery was here\n",
    "backend/Dockerfile": "FROM python:3.11 AS build\nFROM python:3.11-slim\nCOPY --from=build /x /x\nUSER appuser\n",
    "frontend/package.json": '{"dependencies": {"next": "16.0.0", "react": "19.0.0"}}\n',
    "frontend/Dockerfile": "FROM node:22\nUSER nextjs\n",
    "frontend/app/page.tsx": "import dynamic from 'next/dynamic'\nconst Chart = dynamic(() => import('./chart'))\n",
    "scripts/backup.sh": '#!/bin/sh\nset -eu\npg_dump --format=custom "$SHOP_DATABASE_URL" > shop.dump\n',
    "compose.yaml": (
        "name: shop\nx-env: &env { REDIS_URL: 'redis://redis:6379/0' }\nservices:\n"
        "  backend:\n    build: backend\n    ports: ['8001:8000']\n    environment: { <<: *env, DEBUG: '' }\n"
        "    healthcheck: { test: [CMD, curl, -f, 'http://localhost:8000/healthz'] }\n"
        "  frontend: { build: frontend, ports: ['3000:3000'] }\n"
        "  db: { image: 'postgres:16', ports: ['5432:5432'] }\n"
        "  redis: { image: 'docker.io/library/redis:7' }\n"
    ),
    ".github/workflows/ci.yml": (
        "on: [pull_request]\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: pytest\n      - run: mypy . || true\n      - run: pip-audit\n"
    ),
    ".github/workflows/deploy.yml": (
        "on: { push: { branches: [main] } }\njobs:\n"
        "  test: { runs-on: ubuntu-latest, steps: [{ run: pytest }] }\n"
        "  deploy: { needs: [test], runs-on: ubuntu-latest, steps: [{ run: ./deploy.sh }] }\n"
    ),
    "docs/deployment.md": "# How to deploy\n",
    "docs/architecture.md": "# Architecture\n",
    ".gitignore": ".env\n",
    ".env.example": "SHOP_DATABASE_URL=\nREDIS_URL=\n",
}
LIBRARY = {
    "pyproject.toml": '[project]\nname = "colours"\ndependencies = []\n',
    "src/colours/__init__.py": "",
    "tests/test_colours.py": "def test_red(): pass\n",
    ".github/workflows/tests.yml": (
        "on: [push, pull_request]\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps: [{ run: python -m pytest }]\n"
    ),
    "CONTRIBUTING.md": "# How to help\n",
}


def make(folder: Path, files: dict[str, str]) -> Path:
    """A repository with one commit of these files."""
    repo = Repo(folder)
    for name, text in files.items():
        repo.write(name, text)
    if files:
        repo.git("add", "--all")
        repo.git("commit", "--quiet", "--message", "all of it")
    return folder
