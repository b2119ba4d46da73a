"""The demo's shop: serves whichever version a file names, on loopback, in a thread."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from captain.demo import NEW


class ShopServer:
    """Answers until `stop`. 1.5.0 passes /healthz and fails /checkout, every time."""

    def __init__(self, current: Path) -> None:
        self._current = current
        self._errors = 0
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
        self._thread = threading.Thread(target=self._serve, name="demo-shop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        version = self._current.read_text(encoding="utf-8").strip()
        broken = version == NEW
        if path == "/healthz":
            return _json(200, {"status": "ok", "version": version})
        if path == "/version":
            return _json(200, {"version": version})
        if path == "/checkout":
            self._errors += broken
            if broken:
                return _json(500, {"paid": False, "error": "payment provider: unknown currency 'None'"})
            self._errors = 0
            return _json(200, {"paid": True})
        if path == "/metrics":
            errors = max(self._errors, 1) if broken else 0
            return 200, "text/plain; version=0.0.4", f"# TYPE shop_errors counter\nshop_errors {errors}\n".encode()
        return _json(404, {"error": "no such page"})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _json(status: int, body: dict[str, Any]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(body).encode()
