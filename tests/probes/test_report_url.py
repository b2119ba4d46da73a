"""Reports that CI left at a URL: their age by the server's word, and servers that misbehave."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.report import ReportProbe
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers
from tests.memory import grown
from tests.one_step import OneStep
from tests.probe_context import holds, probe_context

PAYLOADS = Path(__file__).parents[1] / "data" / "payloads"
SECRET = "hunter22-report-token"
TIMEOUT = 0.6


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}Connection: close\r\n\r\n".encode() + body


async def ask(root: Path, url: str, within: float = 10, **keys: Any) -> Measurement:
    seen = await ReportProbe(**{"format": "size-limit", "url": url, **keys}).measure(probe_context(root, within))
    assert SECRET not in repr(seen)
    return seen


GOOD = b'[{"name": "a", "size": 5, "sizeLimit": 9, "passed": true}]'


async def test_a_report_at_a_url_is_as_old_as_its_server_says(servers: Servers, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    # The server's clock is a week behind: what counts is the time between its own two moments.
    then = now - timedelta(days=7)
    times = {"Date": format_datetime(then, usegmt=True)}
    young = servers.answer(answer(GOOD, **times, Last_Modified=format_datetime(then - timedelta(hours=3), usegmt=True)))
    seen = await ask(tmp_path, young.url, headers={"Authorization": f"Bearer {SECRET}"})
    age = seen.observed["age"]
    assert isinstance(age, timedelta) and abs(age - timedelta(hours=3)) < timedelta(seconds=5)
    assert holds(ReportProbe, seen) is True
    assert SECRET.encode() in young.requests[0]
    old = servers.answer(answer(GOOD, **times, Last_Modified=format_datetime(then - timedelta(hours=25), usegmt=True)))
    assert holds(ReportProbe, await ask(tmp_path, old.url)) is None


async def test_a_report_of_no_known_age_counts_nothing(servers: Servers, tmp_path: Path) -> None:
    seen = await ask(tmp_path, servers.answer(answer(GOOD)).url)
    assert holds(ReportProbe, seen) is None and "age" not in seen.observed
    assert any("nothing says when it was written" in note for note in seen.notes)


@pytest.mark.parametrize(
    "status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "429 Slow", "302 Found", "500 No"]
)
async def test_an_answer_that_is_no_report_is_none(servers: Servers, tmp_path: Path, status: str) -> None:
    server = servers.answer(answer(GOOD, status, Location="http://other.invalid/"))
    with pytest.raises(ProbeError, match=status[:3]) as raised:
        await ask(tmp_path, server.url, headers={"Authorization": SECRET})
    assert raised.value.fault == "unclear" and raised.value.hint
    assert SECRET not in str(raised.value)


async def test_a_server_of_reports_that_is_down_is_not_the_product(servers: Servers, tmp_path: Path) -> None:
    server = servers.answer(b"")
    server.close()
    with pytest.raises(ProbeError) as raised:
        await ask(tmp_path, server.url)
    assert raised.value.fault == "unclear"
    entry = await OneStep(tmp_path).ask(f"report: {{ format: trivy, url: '{server.url}/x.json' }}")
    assert entry.data["verdict"] == "unknown"


@pytest.mark.parametrize("manner", MANNERS)
async def test_no_manner_of_a_server_holds_the_probe(
    hostile_server: HostileServer, tmp_path: Path, manner: str
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n"
    port = hostile_server.port(manner, after=head, unit=b'[{"a": 1}, ')
    with grown() as memory, pytest.raises(ProbeError):
        began = time.monotonic()
        await ask(tmp_path, f"http://127.0.0.1:{port}/", within=TIMEOUT)
    assert time.monotonic() - began < TIMEOUT + 0.5
    assert memory.bytes < 64 * 1024 * 1024


async def test_a_step_takes_its_own_max_age_for_the_report(tmp_path: Path) -> None:
    stamp = datetime.now(UTC) - timedelta(days=2)
    report = (PAYLOADS / "trivy_clean.json").read_text().replace("2026-11-23T00:40:11.123456789Z", stamp.isoformat())
    (tmp_path / "trivy.json").write_text(report)
    step = "report: { format: trivy, path: trivy.json, artifact: 'registry.example/backend:1.4.2' }\n"
    assert (await OneStep(tmp_path).ask(step)).data["verdict"] == "unknown"
    assert (await OneStep(tmp_path).ask(step + "max_age: 3d\n")).data["verdict"] == "pass"
    assert (await OneStep(tmp_path).ask(step + "max_age: 1d\n")).data["verdict"] == "unknown"


STEP = """\
probes:
  image: { report: { format: trivy, path: reports/image.json, artifact: 'registry.example/backend:1.4.2' } }
  pip:   { report: { format: pip-audit, path: reports/pip.json, lockfile: requirements.txt, sums: reports/pip.sums } }
  npm:   { report: { format: npm-audit, path: reports/npm.json, canary: { id: minimist, path: reports/canary.json } } }
  tests: { report: { format: junit, path: 'reports/junit-*.xml', commit: 4f1c0b7e9a2d4c55b1e0a6d3c2f98b7a61540e21 } }
expect: |
  image.artifact_match && image.secrets == 0 && image.critical == 0 && image.fixable_high == 0
  pip.lockfile_match && pip.skipped == 0 && pip.total == 0
  npm.canary_found && npm.critical == 0 && npm.high == 0
  tests.commit_match && tests.tests >= 1 && tests.failed + tests.errors == 0
"""


async def test_a_gate_over_all_reports_of_a_release_opens_only_when_each_is_of_it(tmp_path: Path) -> None:
    now = datetime.now(UTC).isoformat()
    reports = tmp_path / "reports"
    reports.mkdir()

    def put(name: str, payload: str) -> bytes:
        text = (PAYLOADS / payload).read_text()
        text = re.sub(r"2026-11-23T[0-9:.]+(Z|\+00:00)", now, text)
        (reports / name).write_text(text)
        return text.encode()

    async def verdict() -> str:
        return str((await OneStep(tmp_path).ask(STEP)).data["verdict"])

    put("image.json", "trivy_clean.json")
    scanned = put("pip.json", "pip_audit_clean.json")
    put("npm.json", "npm_audit_clean.json")
    put("canary.json", "npm_audit_vulns.json")
    put("junit-1.xml", "junit_pass.xml")
    (tmp_path / "requirements.txt").write_text("django==5.2.19\n")
    digests = [(sha256(b"django==5.2.19\n"), "requirements.txt"), (sha256(scanned), "pip.json")]
    (reports / "pip.sums").write_text("".join(f"{one.hexdigest()}  {name}\n" for one, name in digests))
    assert await verdict() == "pass"
    put("canary.json", "npm_audit_endpoint_error_exit1.json")
    assert await verdict() != "pass", "nobody asked the advisories"
    put("canary.json", "npm_audit_vulns.json")
    put("image.json", "trivy_other_artifact.json")
    assert await verdict() != "pass", "the report is of another image"
    put("image.json", "trivy_clean.json")
    put("junit-2.xml", "junit_mixed.xml")
    assert await verdict() != "pass", "a part of the tests names no commit"
    (reports / "junit-2.xml").unlink()
    (tmp_path / "requirements.txt").write_text("django==5.2.18\n")
    assert await verdict() != "pass", "another lockfile than the one scanned"
