"""What the demo's shop counts, and how it tells Prometheus. It starts with a past, as if it had run for a day."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

from captain.demo.repository import PROVIDERS

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper ends, in seconds."""
ENDPOINTS = ("/", "/healthz", "/version", "/products", "/checkout")
"""Whatever else is asked for counts as `other`."""
_PAST = {"/": 5_400, "/healthz": 8_640, "/version": 240, "/products": 4_900, "/checkout": 820}
PAST_SECONDS = 86_400
"""How long it seems to have run."""
_GAUGES: Mapping[str, tuple[str, float]] = {
    "http_requests_in_progress": ("Requests being answered.", 1),
    "db_connections_in_use": ("Connections to the database that are open.", 6),
    "db_connections_max": ("Connections the database takes.", 97),
    "dramatiq_messages_inprogress": ("Tasks being worked on.", 0),
    "dramatiq_queue_depth": ("Tasks that wait.", 2),
    "sessions_active": ("Customers with a session.", 63),
    "carts_open": ("Carts with something in them.", 17),
    "replicas_running": ("Replicas of the backend.", 2),
}
_COUNTERS: Mapping[str, tuple[str, float]] = {
    "http_slow_requests_total": ("Requests that took longer than a second.", 3),
    "cache_hits_total": ("Lookups that the cache answered.", 48_210),
    "cache_misses_total": ("Lookups that it did not.", 5_377),
    "db_queries_total": ("Queries sent to the database.", 91_044),
    "db_slow_queries_total": ("Queries that took longer than half a second.", 4),
    "dramatiq_messages_total": ("Tasks that were worked on.", 812),
    "dramatiq_message_errors_total": ("Tasks that failed.", 3),
    "dramatiq_message_retries_total": ("Tasks that were tried again.", 3),
    "dramatiq_message_rejects_total": ("Tasks that were given up.", 0),
    "orders_total": ("Orders.", 809),
    "payments_total": ("Payments.", 806),
    "receipts_total": ("Receipts sent.", 806),
    "logins_total": ("Logins.", 611),
    "circuit_breaker_opened_total": ("Times a provider was left alone.", 1),
}


class Traffic:
    """Requests by endpoint and status, and how long they took."""

    def __init__(self) -> None:
        self.started = time.time()
        self.errors = 0
        """Checkouts that failed since the last one that did not."""
        self._lock = threading.Lock()
        self._requests = {(endpoint, 200): count for endpoint, count in _PAST.items()}
        self._spread = {endpoint: _past(count) for endpoint, count in _PAST.items()}
        self._seconds = {endpoint: count * 0.02 for endpoint, count in _PAST.items()}

    def count(self, path: str, status: int, seconds: float) -> None:
        """One request was answered."""
        endpoint = path if path in ENDPOINTS else "other"
        with self._lock:
            self._requests[endpoint, status] = self._requests.get((endpoint, status), 0) + 1
            spread = self._spread.setdefault(endpoint, [0] * (len(BUCKETS) + 1))
            spread[next((place for place, end in enumerate(BUCKETS) if seconds <= end), len(BUCKETS))] += 1
            self._seconds[endpoint] = self._seconds.get(endpoint, 0.0) + seconds

    def exposition(self) -> str:
        """All of it, in Prometheus' text format."""
        with self._lock:
            return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield from _family(
            "shop_errors", "counter", "Checkouts that failed since the last one that did not.", {"": self.errors}
        )
        requests = {
            f'{{endpoint="{endpoint}",method="GET",status="{status}"}}': count
            for (endpoint, status), count in self._requests.items()
        }
        yield from _family("http_requests_total", "counter", "Requests answered.", requests)
        yield from _head("http_request_duration_seconds", "histogram", "How long an answer took.")
        for endpoint, spread in self._spread.items():
            yield from _histogram(
                "http_request_duration_seconds", "endpoint", endpoint, spread, self._seconds[endpoint]
            )
        yield from _head("dramatiq_message_duration_milliseconds", "histogram", "How long a task took.")
        yield from _histogram("dramatiq_message_duration_milliseconds", "queue", "default", _past(812), 90_000)
        for kind, families in (("counter", _COUNTERS), ("gauge", _GAUGES)):
            for name, (words, value) in families.items():
                yield from _family(name, kind, words, {"": value})
        states = {f'{{provider="{provider}"}}': 0.0 for provider in PROVIDERS}
        yield from _family("circuit_breaker_state", "gauge", "0 closed, 1 half open, 2 open.", states)
        began = {"": round(self.started - PAST_SECONDS, 3)}
        yield from _family("process_start_time_seconds", "gauge", "When the process began.", began)


def _past(count: int) -> list[int]:
    """How a number of requests would have spread over the buckets."""
    shares = (0.05, 0.25, 0.4, 0.18, 0.08, 0.03, 0.008, 0.002)
    spread = [int(count * share) for share in shares]
    return [*spread, count - sum(spread), 0]


def _head(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"


def _family(name: str, kind: str, words: str, samples: Mapping[str, float]) -> Iterator[str]:
    yield from _head(name, kind, words)
    for labels, value in samples.items():
        yield f"{name}{labels} {value}"


def _histogram(name: str, label: str, value: str, spread: list[int], total: float) -> Iterator[str]:
    seen = 0
    for end, count in zip((*BUCKETS, "+Inf"), spread, strict=True):
        seen += count
        yield f'{name}_bucket{{{label}="{value}",le="{end}"}} {seen}'
    yield f'{name}_sum{{{label}="{value}"}} {total:.3f}'
    yield f'{name}_count{{{label}="{value}"}} {seen}'
