"""The demo's shop, its forge and its Prometheus: serves whichever version a file names, on loopback, in a thread."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
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
EDGE = "/edge"
"""What customers reach, through the load balancer: all but the metrics."""
CHUNKS = "/_next/static/chunks/"
_SHARED = ("framework", "main")
_OWN = {"/": "home", "/cart": "cart"}
"""Pages, and the chunk that only they load."""
_EDGE_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
Reply = tuple[int, str, bytes]
"""Status, content type and body."""


class ShopServer:
    """Answers until `stop`. 1.5.0 passes /healthz and fails /checkout, every time."""

    def __init__(self, current: Path) -> None:
        self._current = current
        self._replica = 0
        self.traffic = Traffic()
        self.forge: Forge | None = None
        """Set as soon as there are commits to tell of."""
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, content, body = shop.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", content)
                for name, value in shop.headers(self.path).items():
                    self.send_header(name, value)
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

    def answer(self, target: str) -> Reply:
        """What a request is answered with."""
        asked = urlsplit(target)
        path, query = unquote(asked.path), dict(parse_qsl(asked.query))
        if path.startswith(FORGE):
            found = self.forge.answer(path.removeprefix(FORGE), query) if self.forge else None
            return _json(404, {"message": "Not Found"}) if found is None else _json(200, found)
        if path.startswith(MONITOR):
            return _json(*self._monitor.answer(path.removeprefix(MONITOR), query))
        if path == "/metrics":  # who watches is no traffic
            # Customers of the broken version met the error before anybody looked.
            self.traffic.errors = max(self.traffic.errors, 1) if self._version == NEW else 0
            return 200, "text/plain; version=0.0.4", self.traffic.exposition().encode()
        began = time.monotonic()
        inner = path.removeprefix(EDGE) or "/"
        reply = self._page(inner)
        self.traffic.count(inner, reply[0], time.monotonic() - began)
        return reply

    def headers(self, target: str) -> Mapping[str, str]:
        """What stands above the answer: the load balancer names the replica that answered."""
        path = urlsplit(target).path
        found = _IMMUTABLE if CHUNKS in path else {}
        if not path.startswith(EDGE):
            return found
        self._replica = self._replica % 2 + 1
        return {**found, **_EDGE_HEADERS, "X-Served-By": f"backend-{self._replica}"}

    @property
    def _version(self) -> str:
        return self._current.read_text(encoding="utf-8").strip()

    def _page(self, path: str) -> Reply:
        version = self._version
        if path == "/healthz":
            return _json(200, {"status": "ok", "version": version})
        if path == "/version":
            commit = self.forge.commit_of(version) if self.forge else ""
            return _json(200, {"version": version, "commit": commit})
        if path == "/products":
            return _json(200, {"products": [{"id": 1, "name": "Thing 1", "price_cents": 1100}]})
        if path == "/checkout":
            return self._checkout(broken=version == NEW)
        if path == "/openapi.json":
            return 200, "application/json", unpacked("stack")["docs/openapi.json"].encode()
        if path in _OWN:
            return 200, "text/html; charset=utf-8", _html((*_SHARED, _OWN[path]))
        if path.startswith(CHUNKS):
            name = path.removeprefix(CHUNKS).removesuffix(".js")
            return 200, "text/javascript", f"/* {name} */ self.shop = {json.dumps(name * 200)};\n".encode()
        return _json(404, {"error": "no such page"})

    def _checkout(self, *, broken: bool) -> Reply:
        self.traffic.errors = self.traffic.errors + 1 if broken else 0
        if broken:
            return _json(500, {"paid": False, "error": "payment provider: unknown currency 'None'"})
        return _json(200, {"paid": True})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _html(chunks: Iterable[str]) -> bytes:
    scripts = "".join(f'<script src="{EDGE}{CHUNKS}{chunk}.js" async></script>' for chunk in chunks)
    return f"<!doctype html><html lang=en><head><title>Shop</title>{scripts}</head><body></body></html>\n".encode()


def _json(status: int, body: Any) -> Reply:
    return status, "application/json", json.dumps(body).encode()
