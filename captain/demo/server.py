"""The demo's shop, its forge and its Prometheus: serves whichever version a file names, on loopback, in a thread."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from captain.demo import NEW
from captain.demo.forge import Forge
from captain.demo.prometheus import Monitor
from captain.demo.repository import unpacked
from captain.demo.traffic import Traffic

FORGE = "/forge/"
MONITOR = "/prometheus/api/v1/"


class ShopServer:
    """Answers until `stop`. 1.5.0 passes /healthz and fails /checkout, every time."""

    def __init__(self, current: Path) -> None:
        self._current = current
        self._errors = 0
        self.traffic = Traffic()
        self.forge: Forge | None = None
        """Set as soon as there are commits to tell of."""
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, content, body = shop.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", content)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._monitor = Monitor(self.traffic, f"127.0.0.1:{self.port}")
        self._thread = threading.Thread(target=self._serve, name="demo-shop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def answer(self, target: str) -> tuple[int, str, bytes]:
        """Status, content type and body for what a request asks."""
        asked = urlsplit(target)
        path, query = unquote(asked.path), dict(parse_qsl(asked.query))
        if path.startswith(FORGE):
            found = self.forge.answer(path.removeprefix(FORGE), query) if self.forge else None
            return _json(404, {"message": "Not Found"}) if found is None else _json(200, found)
        if path.startswith(MONITOR):
            return _json(*self._monitor.answer(path.removeprefix(MONITOR), query))
        began = time.monotonic()
        reply = self._page(path)
        if path != "/metrics":  # who watches is no traffic
            self.traffic.count(path, reply[0], time.monotonic() - began)
        return reply

    def _page(self, path: str) -> tuple[int, str, bytes]:
        version = self._current.read_text(encoding="utf-8").strip()
        broken = version == NEW
        if path == "/healthz":
            return _json(200, {"status": "ok", "version": version})
        if path == "/version":
            return _json(200, {"version": version})
        if path == "/products":
            return _json(200, {"products": [{"id": 1, "name": "Thing 1", "price_cents": 1100}]})
        if path == "/checkout":
            self._errors += broken
            if broken:
                return _json(500, {"paid": False, "error": "payment provider: unknown currency 'None'"})
            self._errors = 0
            return _json(200, {"paid": True})
        if path == "/metrics":
            errors = max(self._errors, 1) if broken else 0
            return 200, "text/plain; version=0.0.4", self.traffic.exposition(errors).encode()
        if path == "/openapi.json":
            return 200, "application/json", unpacked("stack")["docs/openapi.json"].encode()
        return _json(404, {"error": "no such page"})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _json(status: int, body: Any) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(body).encode()
