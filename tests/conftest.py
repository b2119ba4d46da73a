"""Fixtures for every test: real systems, started when a test asks for them."""

from tests.docker_engine import docker_box, docker_engine
from tests.dumps import dumps
from tests.hostile_server import hostile_server
from tests.mariadb_server import mariadb_server
from tests.postgres_server import postgres_database, postgres_server
from tests.redis_server import redis_server, redis_servers
from tests.s3_server import s3_server

__all__ = [
    "docker_box",
    "docker_engine",
    "dumps",
    "hostile_server",
    "mariadb_server",
    "postgres_database",
    "postgres_server",
    "redis_server",
    "redis_servers",
    "s3_server",
]
