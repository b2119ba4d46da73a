"""A real Prometheus that scrapes a real process, and that process by itself."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.requirements import need

RULES = """\
groups:
  - name: shop
    interval: 200ms
    rules:
      - { alert: HighErrorRate, expr: 'sum(rate(http_requests_total{status="500"}[1m])) > 1000', for: 1m,
          labels: { severity: critical } }
      - { alert: Watchdog, expr: 'vector(1)', labels: { severity: none } }
      - { alert: SlowShop, expr: 'up{job="shop"} >= 0 and on() vector(%d) == 1', labels: { severity: critical } }
      - { record: 'job:up:sum', expr: 'sum by (job) (up)' }
"""


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def get(url: str, **headers: str) -> Any:
    """What a URL answers, as JSON where it is."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        body = answer.read()
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


@dataclass
class MetricsApp:
    """Processes that serve metrics on one port."""

    port: int = field(default_factory=free_port)
    workers: int = 1
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until every worker listens."""
        program = [sys.executable, str(Path(__file__).with_name("metrics_app.py")), str(self.port), str(self.workers)]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for _ in range(self.workers):
            assert self.process.stdout.readline() == "ready\n"

    def visit(self, path: str, times: int = 1) -> None:
        """Ask for a path so often."""
        for _ in range(times):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"{self.url}{path}", timeout=10).close()

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


@dataclass
class PrometheusServer:
    """A Prometheus over a shop that is up and a job that is gone."""

    url: str
    app: MetricsApp
    folder: Path
    process: subprocess.Popen[bytes]

    def value(self, query: str) -> list[dict[str, Any]]:
        """What a query gives, asked without captain."""
        found: list[dict[str, Any]] = get(f"{self.url}/api/v1/query?query={quote(query)}")["data"]["result"]
        return found

    def until(self, holds: Callable[[], Any], seconds: float = 20) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if holds():
                    return
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.05)

    def until_up(self, up: bool) -> None:
        """Wait until the shop was scraped twice, or found down."""
        there = 'up{job="shop"} == 1 and sum_over_time(up{job="shop"}[1s]) >= 3 and on (job) process_start_time_seconds'
        wanted = there if up else 'up{job="shop"} == 0'
        self.until(lambda: self.value(wanted))

    def until_busy(self) -> None:
        """Send requests until their rate is known."""

        def busy() -> bool:
            self.app.visit("/items", 2)
            return bool(self.value('sum(rate(http_requests_total{job="shop"}[1m])) > 0'))

        self.until(busy)

    def fire(self, firing: bool) -> None:
        """Make SlowShop fire, or not."""
        (self.folder / "rules.yml").write_text(RULES % firing)
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/-/reload", method="POST"), timeout=10).close()
        state = "firing" if firing else "inactive"
        self.until(
            lambda: any(
                rule.get("name") == "SlowShop" and rule.get("state") == state and rule.get("health") == "ok"
                for group in get(f"{self.url}/api/v1/rules")["data"]["groups"]
                for rule in group["rules"]
            )
        )


def _configuration(app: MetricsApp) -> str:
    jobs = {"shop": app.port, "gone": free_port()}
    scrapes = "\n".join(
        f"  - {{ job_name: {job}, static_configs: [{{ targets: ['127.0.0.1:{port}'] }}] }}"
        for job, port in jobs.items()
    )
    return (
        "global: { scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms }\n"
        f"rule_files: [rules.yml]\nscrape_configs:\n{scrapes}\n"
    )


@pytest.fixture
def metrics_app() -> Iterator[MetricsApp]:
    """A service of one process that serves its metrics."""
    app = MetricsApp()
    app.start()
    yield app
    app.stop()


@pytest.fixture
def three_workers() -> Iterator[MetricsApp]:
    """A service of three processes behind one port, each with metrics of its own."""
    app = MetricsApp(workers=3)
    app.start()
    yield app
    app.stop()


@pytest.fixture(scope="session")
def prometheus_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """The Prometheus of the whole session."""
    program = shutil.which("prometheus")
    need("prometheus", None if program else "not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    app = MetricsApp()
    (folder / "prometheus.yml").write_text(_configuration(app))
    (folder / "rules.yml").write_text(RULES % False)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(program),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-lifecycle",
            ],
            stdout=log,
            stderr=log,
        )
    made = PrometheusServer(f"http://127.0.0.1:{port}", app, folder, process)
    made.until(lambda: "Ready" in get(f"{made.url}/-/ready"))
    yield made
    app.stop()
    process.terminate()
    process.wait(20)


@pytest.fixture
def prometheus_server(prometheus_process: PrometheusServer) -> PrometheusServer:
    """A Prometheus whose shop is up and scraped, and whose job `gone` is down."""
    if prometheus_process.app.process is None:
        prometheus_process.app.start()
    prometheus_process.until_up(True)
    return prometheus_process
