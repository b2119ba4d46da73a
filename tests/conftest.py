"""Fixtures for every test: real systems, started when a test asks for them."""

from tests.docker_engine import docker_box, docker_engine
from tests.hostile_server import hostile_server
from tests.prometheus_server import metrics_app, prometheus_process, prometheus_server, three_workers

__all__ = [
    "docker_box",
    "docker_engine",
    "hostile_server",
    "metrics_app",
    "prometheus_process",
    "prometheus_server",
    "three_workers",
]
