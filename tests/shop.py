"""A small real service for tests: an HTTP server that serves whichever version a file names."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from captain.clock import SystemClock
from captain.engine import Engine
from captain.events import Actor, Event, Recorded
from captain.loader import load
from captain.log.store import Log
from captain.settings import Settings

ME = Actor("karen@example.com", "flag", "karen", 1000, "testhost")

SERVICE = """\
service: shop
vars: {{ url: 'http://127.0.0.1:{port}' }}
secrets: [SHOP_TOKEN]
environments:
  production: {{ protected: true }}
  staging: {{}}
checklists: [checklists/deploy.yaml]
release:
  running: {{ http: {{ url: '${{{{ vars.url }}}}/version' }}, version: json.version }}
rollback:
  plan:
    - {{ id: web, strategy: command, run: ['{python}', deploy.py, '${{{{ previous.version }}}}'] }}
  verify: [deploy/checkout-works]
"""

CHECKLIST = """\
checklist: deploy
title: Deployment
sections:
  - id: pre
    title: Pre-deployment
    phase: pre
    steps:
      - id: healthy-before
        title: Healthy before
        http: {{ url: '${{{{ vars.url }}}}/healthz' }}
        expect: [status == 200]
      - id: on-call-told
        title: On-call told
        manual: Tell the on-call engineer.
  - id: deploy
    title: Deployment
    phase: deploy
    steps:
      - id: roll-out
        title: Roll out
        action: {{ run: ['{python}', deploy.py, '${{{{ release.version }}}}'] }}
        observe:
          http: {{ url: '${{{{ vars.url }}}}/version' }}
          within: 10s
          every: 100ms
          expect: ['json.version == release.version']
  - id: post
    title: Post-deployment
    phase: post
    steps:
      - id: checkout-works
        title: Checkout works
        http: {{ url: '${{{{ vars.url }}}}/checkout' }}
        expect: [status == 200]
"""

DEPLOY = """\
import pathlib, sys, time
here = pathlib.Path(__file__).parent
with open(here / "effects", "a") as file:
    file.write(sys.argv[1] + "\\n")
delay = here / "delay"
if delay.exists():
    time.sleep(float(delay.read_text()))
print("deploying", sys.argv[1], flush=True)
(here / "current").write_text(sys.argv[1])
print("done", flush=True)
"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        world: Shop = self.server.world  # type: ignore[attr-defined]
        version = (world.root / "current").read_text()
        broken = version in world.broken
        if self.path == "/healthz":
            self._answer(world.health, {"status": "ok"})
        elif self.path == "/version":
            self._answer(200, {"version": version})
        elif self.path == "/checkout":
            self._answer(500 if broken else 200, {"ok": not broken})
        else:
            self._answer(404, {})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        return


@dataclass
class Shop:
    """The service, its repository and its log, in one temporary folder."""

    root: Path
    broken: set[str] = field(default_factory=lambda: {"1.5.0"})
    """Versions whose checkout answers 500."""
    health: int = 200
    environ: dict[str, str] = field(default_factory=dict)
    seen: list[Event] = field(default_factory=list)
    """Everything any engine published."""

    def __post_init__(self) -> None:
        import os
        import sys

        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "current").write_text("1.4.0")
        (self.root / "deploy.py").write_text(DEPLOY)
        (self.root / "checklists").mkdir()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.world = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.write(SERVICE, CHECKLIST)
        self.settings = Settings(self.root / "state" / "log.sqlite")
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "SHOP_TOKEN": "s3cr3t-token-of-the-shop",
        }
        assert sys.executable

    def write(self, service: str, checklist: str) -> None:
        """Write captain.yaml and the checklist; `{port}` and `{python}` are filled in."""
        import sys

        names = {"port": self.server.server_address[1], "python": sys.executable}
        (self.root / "captain.yaml").write_text(service.format(**names))
        (self.root / "checklists" / "deploy.yaml").write_text(checklist.format(**names))

    @property
    def effects(self) -> list[str]:
        """Every start of deploy.py, in order: a counter that cannot be taken back."""
        path = self.root / "effects"
        return path.read_text().split() if path.exists() else []

    @property
    def current(self) -> str:
        return (self.root / "current").read_text()

    def log(self, **keys: Any) -> Log:
        return Log.open(self.settings.log, clock=SystemClock(), actor=ME, **keys)

    def engine(
        self,
        environment: str = "staging",
        *,
        actor: Actor = ME,
        publish: Callable[[Event], None] | None = None,
        checklist: str = "deploy",
        **keys: Any,
    ) -> Engine:
        """An engine over this service, as `captain run` makes it."""
        target = load(checklist, environment, cwd=self.root)
        return Engine(
            target,
            self.log(),
            settings=self.settings,
            actor=actor,
            publish=publish or self.seen.append,
            environ=self.environ,
            **keys,
        )

    def recorded(self, *types: str) -> list[Recorded]:
        """What stands in the log, read with a connection of its own."""
        with self.log(read_only=True) as log:
            return [event for event in log.entries() if not types or event.type in types]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
