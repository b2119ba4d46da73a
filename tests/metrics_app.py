"""A service with metrics, as a program: `metrics_app.py PORT [WORKERS]`. Answers on 127.0.0.1 and serves /metrics.

Several workers listen on one port, each with counters of its own, as a server without a shared metrics directory does.
/items answers 200, /fail 500, /slow after a moment, /serial one after another, /moved points elsewhere, /gone 404;
/quiet is not counted.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

REQUESTS = Counter("http_requests", "Requests", ["endpoint", "status"])
SECONDS = Histogram("http_request_duration_seconds", "Time of requests", ["endpoint"])
ACTIVE = Gauge("http_requests_in_progress", "Requests being answered")
CONNECTIONS = Gauge("db_connections", "Connections to the database", ["pool"])
ANSWERS = {"/items": 200, "/fail": 500, "/slow": 200, "/gone": 404, "/moved": 302}
SEEN: list[str] = []
ONE_AT_A_TIME = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            return self._metrics()
        if path == "/headers":
            return self._say(200, "\n".join(SEEN).encode())
        SEEN.append(f"{self.headers.get('User-Agent')} {self.headers.get('X-Captain-Probe')}")
        status = ANSWERS.get(path, 200)
        if path == "/quiet":
            return self._say(200, b"quiet")
        with ACTIVE.track_inprogress(), SECONDS.labels(path).time():
            if path == "/slow":
                time.sleep(0.3)
            if path == "/serial":
                with ONE_AT_A_TIME:
                    time.sleep(0.1)
            REQUESTS.labels(path, str(status)).inc()
        return self._say(status, b"x" * 100)

    def _metrics(self) -> None:
        if "openmetrics" in self.headers.get("Accept", ""):
            self._say(
                200,
                openmetrics(REGISTRY),  # type: ignore[no-untyped-call]
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )
        else:
            self._say(200, generate_latest(), "text/plain; version=0.0.4; charset=utf-8")

    def _say(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "/items")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that go."""


def main(port: int, workers: int) -> None:
    children: list[int] = []
    for _ in range(workers - 1):
        if (child := os.fork()) == 0:
            break
        children.append(child)
        time.sleep(0.02)
    CONNECTIONS.labels("main").set(7)
    server = Server(("127.0.0.1", port), Handler)

    def end(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        time.sleep(0.05)  # a signal that another thread was given is handled when this one wakes


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
