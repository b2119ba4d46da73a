"""Fixtures for every test: real systems, started when a test asks for them."""

from tests.docker_engine import docker_box, docker_engine
from tests.hostile_server import hostile_server
from tests.registry_server import image_registry
from tests.swarm_engine import docker_swarm, swarm_engine

__all__ = ["docker_box", "docker_engine", "docker_swarm", "hostile_server", "image_registry", "swarm_engine"]
