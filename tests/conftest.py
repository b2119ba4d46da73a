"""Fixtures for every test: real systems, started when a test asks for them."""

from tests.docker_engine import docker_box, docker_engine

__all__ = ["docker_box", "docker_engine"]
