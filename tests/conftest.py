"""Fixtures for every test: real systems, started when a test asks for them."""

from tests.docker_engine import docker_box, docker_engine
from tests.forge_server import forge
from tests.hostile_server import hostile_server

__all__ = ["docker_box", "docker_engine", "forge", "hostile_server"]
