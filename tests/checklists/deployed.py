"""A shop over the shipped list `deploy`, with a repository, reports and a backup that are in order."""

from __future__ import annotations

import hashlib
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.dumps import rested
from tests.git_repo import Repo
from tests.shop import Shop

IMAGES = {
    "backend": f"registry.example/backend@sha256:{'cd' * 32}",
    "frontend": f"registry.example/frontend@sha256:{'ef' * 32}",
}
CHECKLIST = """\
checklist: deploy
extends: deploy
defaults: {{ retry: {{ attempts: 1 }} }}
params: {{ forge_api: '"{forge}"', prometheus: '"{prometheus}"' }}
sections:
  - id: pre
    steps:
      - {{ id: tests-passing, within: 300ms, every: 100ms }}
  - id: deploy
    steps:
      - {{ id: health-check-monitoring, within: 300ms, for: 100ms, every: 50ms }}
  - id: post
    steps:
      - {{ id: health-checks-passing, within: 300ms, for: 100ms, every: 50ms }}
      - {{ id: metrics-collecting, within: 300ms, every: 100ms }}
"""
SERVICE = """\
service: shop
vars: {{ health_url: '{shop}/healthz', version_url: '{shop}/version', metrics_url: '{metrics}' }}
secrets: [GITHUB_TOKEN]
environments: {{ staging: {{}} }}
checklists: [checklists/deploy.yaml]
release:
  images: {{ backend: '{backend}', frontend: '{frontend}' }}
  running: {{ http: {{ url: '{shop}/version' }}, version: json.version }}
"""
NOBODY = "http://127.0.0.1:1"
"""Where no server is."""
DUMP = """\
--
-- PostgreSQL database dump
--

--
-- Name: orders; Type: TABLE; Schema: public; Owner: shop
--

CREATE TABLE public.orders (id integer);
--
-- PostgreSQL database dump complete
--
"""
LOCKFILES = {"backend/requirements.txt": "django==5.2\n", "frontend/package-lock.json": "{}\n"}


class Deployed:
    """The shop's repository; `commit` is what is released."""

    def __init__(self, shop: Shop, *, forge: str = NOBODY, prometheus: str = NOBODY, metrics: str = NOBODY) -> None:
        self.shop = shop
        shop.environ |= {"GITHUB_TOKEN": "t0ken-of-the-forge", "DOCKER_HOST": f"unix://{shop.root}/no-engine.sock"}
        address = f"http://127.0.0.1:{shop.server.server_address[1]}"
        service = SERVICE.format(shop=address, metrics=metrics, **IMAGES)
        (shop.root / "captain.yaml").write_text(service)
        (shop.root / "checklists/deploy.yaml").write_text(CHECKLIST.format(forge=forge, prometheus=prometheus))
        self.repo = Repo(shop.root)
        self.repo.write(".gitignore", "reports/\nbackups/\nstate/\n")
        for name, text in LOCKFILES.items():
            self.repo.write(name, text)
        self.repo.git("add", "--all")
        self.commit = self.repo.commit()

    def push(self) -> None:
        """Everything to a remote of its own."""
        remote = self.shop.root.parent / "remote.git"
        Repo(remote, "--bare")
        self.repo.git("remote", "add", "origin", str(remote))
        self.repo.git("push", "--quiet", "--set-upstream", "origin", "main")

    def report(self, name: str, document: object) -> Path:
        """A report that was written just now."""
        text = document if isinstance(document, str) else json.dumps(document)
        return self.repo.write(f"reports/{name}", text)

    def trivy(self, name: str, image: str, *found: dict[str, str], of: str | None = None) -> None:
        """What Trivy writes of an image."""
        told = {
            "SchemaVersion": 2,
            "CreatedAt": datetime.now(UTC).isoformat(),
            "ArtifactName": of or IMAGES[image],
            "ArtifactType": "container_image",
            "Metadata": {"RepoDigests": [of or IMAGES[image]], "OS": {"Family": "debian", "Name": "12.8"}},
            "Results": [{"Target": "debian", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": [*found]}],
        }
        self.report(name, told)

    def scanned(self) -> None:
        """Every report of a scan, without a finding, bound to what was scanned."""
        self.trivy("trivy.json", "backend")
        self.trivy("trivy-frontend.json", "frontend")
        self.report(
            "pip-audit.json", {"dependencies": [{"name": "django", "version": "5.2", "vulns": []}], "fixes": []}
        )
        clean = {"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {"dependencies": {"total": 374}}}
        clean["metadata"]["vulnerabilities"] = {"critical": 0, "high": 0, "total": 0}  # type: ignore[index]
        self.report("npm-audit.json", clean)
        hole = {"name": "lodash", "severity": "high", "via": [{"name": "lodash", "severity": "high", "title": "x"}]}
        known = {"auditReportVersion": 2, "vulnerabilities": {"lodash": hole}, "metadata": clean["metadata"]}
        self.report("npm-canary.json", known)
        self.sums()

    def sums(self) -> None:
        """What sha256sum wrote where the scans ran."""
        names = {**{name: name for name in LOCKFILES}, "pip-audit.json": "", "npm-audit.json": ""}
        paths = {name: self.shop.root / (name if known else f"reports/{name}") for name, known in names.items()}
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in paths.items()]
        self.report("SHA256SUMS", "".join(lines))

    def junit(self, failed: int = 0, *, commit: str | None = None, skipped: bool = False) -> None:
        """What pytest writes, with the commit it tested."""
        named = f'<properties><property name="git.sha" value="{commit or self.commit}"/></properties>'
        inner = "<skipped/>" if skipped else ""
        cases = "".join(f'<testcase classname="a" name="t{at}">{inner}</testcase>' for at in range(9))
        cases += "".join(f'<testcase classname="a" name="f{at}"><failure/></testcase>' for at in range(failed))
        suite = f'<testsuite name="s" tests="{9 + failed}" failures="{failed}">{named}{cases}</testsuite>'
        self.report("junit.xml", f"<testsuites>{suite}</testsuites>")

    def backup(self, name: str = "shop.dump", text: str = DUMP, age: float = 600) -> Path:
        """A dump that was finished so many seconds ago."""
        return rested(self.repo.write(f"backups/{name}", text), age)


def aged(path: Path, seconds: float) -> None:
    """As if the file had been written so long ago."""
    moment = time.time() - seconds
    os.utime(path, (moment, moment))
