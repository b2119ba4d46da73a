"""Fixtures for every test: real systems, started when a test asks for them."""

from tests.dns_server import name_server
from tests.docker_engine import docker_box, docker_engine
from tests.hostile_server import hostile_server
from tests.nginx_server import nginx
from tests.tls_databases import tls_mariadb, tls_postgres

__all__ = ["docker_box", "docker_engine", "hostile_server", "name_server", "nginx", "tls_mariadb", "tls_postgres"]
