"""Writes what CI would have left for the demo's release: reports of that commit, and nightly backups. All invented."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from captain.demo import NEW

NIGHTS = 8
"""Backups there are, one for each night."""
SCANNED = {
    "reports/pip-audit.json": "backend/requirements.txt",
    "reports/npm-audit.json": "frontend/package-lock.json",
}
"""Reports of lockfiles."""
TESTS = {
    "backend.tests.test_circuit_breaker": (
        "opens",
        "stays_open",
        "half_opens",
        "heals",
        "leaves_others_alone",
        "counts",
    ),
    "backend.orders.tests.test_checkout": ("starts_unpaid", "pays", "refuses_an_empty_cart", "sends_a_receipt"),
    "frontend.app.checkout": ("shows_the_form", "keeps_what_was_typed"),
}
_KIB = 1024


def write_reports(root: Path, commit: str, now: datetime) -> None:
    """The reports of a release that CI scanned and tested an hour ago."""
    made = now - timedelta(hours=1)
    written: dict[str, str] = {
        "reports/trivy.json": _json(_trivy("backend", commit, made)),
        "reports/trivy-frontend.json": _json(_trivy("frontend", commit, made)),
        "reports/trivy-fs.json": _json(_trivy_repository(commit, made)),
        "reports/pip-audit.json": _json(_pip_audit(root)),
        "reports/npm-audit.json": _json(_npm_audit({})),
        "reports/npm-audit.json.canary": _json(_npm_audit({"minimist": "GHSA-xvch-5gv4-984h"})),
        "reports/junit.xml": _junit(commit, made),
        "reports/coverage.xml": _coverage(made),
        "reports/size-limit.json": _json(_size_limit()),
        "reports/k6.json": _json(_k6()),
        "frontend/.next/diagnostics/route-bundle-stats.json": _json(_routes()),
        "frontend/.next/react-loadable-manifest.json": _json(_loadable()),
    }
    for name, content in written.items():
        _write(root / name, content, made)
    for report, lockfile in SCANNED.items():
        sums = f"{_digest(root / lockfile)}  {lockfile}\n{_digest(root / report)}  {Path(report).name}\n"
        _write(root / f"{report}.sums", sums, made)


def write_backups(root: Path, now: datetime) -> None:
    """The dumps of the last nights, each with its digest beside it."""
    folder = root / "backups"
    folder.mkdir()
    for night in range(NIGHTS):
        made = now - timedelta(hours=5, days=night)
        dump = folder / f"shop-{made:%Y%m%dT%H%M%SZ}.sql.gz"
        # The oldest holds the fewest orders.
        dump.write_bytes(gzip.compress(_dump(600 - 5 * night).encode(), mtime=int(made.timestamp())))
        beside = dump.with_name(f"{dump.name}.sha256")
        _write(beside, f"{_digest(dump)}  {dump.name}\n", made)
        _dated(dump, made)


def _write(path: Path, content: str, made: datetime) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    _dated(path, made)


def _dated(path: Path, moment: datetime) -> None:
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _made_up(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"


def _trivy(image: str, commit: str, made: datetime) -> dict[str, Any]:
    """Clean but for one weakness of the system that nobody has mended yet."""
    name = f"registry.example.com/shop/{image}"
    tag = f"{name}:{NEW}"
    weakness = {
        "VulnerabilityID": "CVE-2026-31415",
        "PkgName": "libxslt1.1",
        "InstalledVersion": "1.1.35-1",
        "Severity": "HIGH",
        "Title": "libxslt: reads behind the end of a buffer",
    }
    languages = {"backend": ("Python", "python-pkg"), "frontend": ("Node.js", "node-pkg")}[image]
    system: dict[str, Any] = {"Target": f"{tag} (debian 12.8)", "Class": "os-pkgs", "Type": "debian"}
    if image == "backend":
        system["Vulnerabilities"] = [weakness]
    return {
        "SchemaVersion": 2,
        "CreatedAt": made.isoformat(),
        "ArtifactName": tag,
        "ArtifactType": "container_image",
        "Metadata": {
            "OS": {"Family": "debian", "Name": "12.8"},
            "ImageID": _made_up(f"{tag} image"),
            "RepoTags": [tag],
            "RepoDigests": [f"{name}@{_made_up(tag)}"],
            "ImageConfig": {"config": {"Labels": {"org.opencontainers.image.revision": commit}}},
        },
        "Results": [system, {"Target": languages[0], "Class": "lang-pkgs", "Type": languages[1]}],
    }


def _trivy_repository(commit: str, made: datetime) -> dict[str, Any]:
    """What `trivy fs` found in the repository: nothing."""
    return {
        "SchemaVersion": 2,
        "CreatedAt": made.isoformat(),
        "ArtifactName": ".",
        "ArtifactType": "repository",
        "Metadata": {"Commit": commit},
        "Results": [
            {"Target": "backend/requirements.txt", "Class": "lang-pkgs", "Type": "pip"},
            {"Target": "frontend/package-lock.json", "Class": "lang-pkgs", "Type": "npm"},
        ],
    }


def _pip_audit(root: Path) -> dict[str, Any]:
    lines = (root / "backend/requirements.txt").read_text(encoding="utf-8").split()
    pairs = (line.split("==") for line in lines)
    return {"dependencies": [{"name": name, "version": version, "vulns": []} for name, version in pairs], "fixes": []}


def _npm_audit(weak: dict[str, str]) -> dict[str, Any]:
    counts = {"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": len(weak), "total": len(weak)}
    found = {
        name: {
            "name": name,
            "severity": "critical",
            "isDirect": True,
            "via": [{"source": 1, "name": name, "url": f"https://github.com/advisories/{advisory}"}],
            "range": "<0.2.1",
            "fixAvailable": True,
        }
        for name, advisory in weak.items()
    }
    return {
        "auditReportVersion": 2,
        "vulnerabilities": found,
        "metadata": {"vulnerabilities": counts, "dependencies": {"prod": 41, "dev": 310, "total": 351}},
    }


def _junit(commit: str, made: datetime) -> str:
    cases = [
        f'  <testcase classname="{suite}" name="test_it_{name}" time="0.0{place + 1}"/>'
        for suite, names in TESTS.items()
        for place, name in enumerate(names)
    ]
    head = (
        f'<testsuite name="shop" tests="{len(cases)}" failures="0" errors="0" skipped="0" '
        f'timestamp="{made.isoformat()}">\n'
        f'  <properties><property name="git.sha" value="{commit}"/></properties>'
    )
    return "\n".join(['<?xml version="1.0"?>', "<testsuites>", head, *cases, "</testsuite>", "</testsuites>", ""])


def _coverage(made: datetime) -> str:
    return (
        '<?xml version="1.0"?>\n'
        f'<coverage version="7.11.0" timestamp="{int(made.timestamp() * 1000)}" lines-valid="412" lines-covered="371" '
        'line-rate="0.9005" branches-valid="0" branches-covered="0" branch-rate="0" complexity="0">\n'
        '<packages><package name="shop" line-rate="0.9005" branch-rate="0" complexity="0"><classes/></package>'
        "</packages>\n</coverage>\n"
    )


def _size_limit() -> list[dict[str, Any]]:
    """The checkout is over its budget."""
    limit = 250_000
    sizes = {"first load /": 198_412, "first load /checkout": 262_144}
    return [{"name": name, "passed": size <= limit, "size": size, "sizeLimit": limit} for name, size in sizes.items()]


def _routes() -> list[dict[str, Any]]:
    shared = ["static/chunks/framework.js", "static/chunks/main.js"]
    own: dict[str, tuple[str, int]] = {"/": ("home", 188), "/checkout": ("checkout", 231), "/products": ("list", 196)}
    return [
        {
            "route": route,
            "firstLoadUncompressedJsBytes": size * _KIB,
            "firstLoadChunkPaths": [f".next/{chunk}" for chunk in (*shared, f"static/chunks/{name}.js")],
        }
        for route, (name, size) in own.items()
    ]


def _loadable() -> dict[str, Any]:
    return {
        str(number): {"id": number, "files": [f"static/chunks/{name}.js"]}
        for number, name in enumerate(("gallery", "payment-form"), 101)
    }


def _k6() -> dict[str, Any]:
    """A spike of three times the usual traffic, survived."""
    values = {"avg": 84.2, "min": 21.0, "med": 71.4, "max": 812.0, "p(90)": 148.9, "p(95)": 201.3, "p(99)": 388.0}
    return {
        "state": {"testRunDurationMs": 240_000},
        "metrics": {
            "http_reqs": {"type": "counter", "values": {"count": 21_600, "rate": 90.0}},
            "http_req_duration": {
                "type": "trend",
                "values": values,
                "thresholds": {"p(95)<500": {"ok": True}},
            },
            "http_req_failed": {
                "type": "rate",
                "values": {"rate": 0.0002, "passes": 4, "fails": 21_596},
                "thresholds": {"rate<0.001": {"ok": True}},
            },
        },
    }


def _dump(orders: int) -> str:
    """What pg_dump writes of the shop's database."""
    rows: dict[str, Callable[[int], str]] = {
        "products": lambda number: f"{number}\tThing {number}\t{number % 90 + 10}00",
        "orders": lambda number: f"{number}\t2026-01-01 10:00:00+00\tcustomer{number}@example.com\tt",
        "order_lines": lambda number: f"{number}\t{number}\t{number % 40 + 1}\t1",
    }
    columns = {
        "products": "id bigint, name text, price_cents integer",
        "orders": "id bigint, created_at timestamp with time zone, email text, paid boolean",
        "order_lines": "id bigint, order_id bigint, product_id bigint, amount integer",
    }
    counts = {"products": 40, "orders": orders, "order_lines": orders}
    parts = ["--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n"]
    parts += [f"CREATE TABLE public.{table} ({columns[table]});\n" for table in rows]
    for table, row in rows.items():
        names = ", ".join(column.split()[0] for column in columns[table].split(", "))
        lines = "".join(f"{row(number)}\n" for number in range(1, counts[table] + 1))
        parts.append(f"COPY public.{table} ({names}) FROM stdin;\n{lines}\\.\n")
    parts.append("--\n-- PostgreSQL database dump complete\n--\n")
    return "\n".join(parts)
