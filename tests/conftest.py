"""Fixtures for every test: real systems, started when a test asks for them."""

from tests.cloud_server import azure_server, cloud, gcs_server
from tests.dns_server import name_server
from tests.docker_engine import docker_box, docker_engine
from tests.dumps import dumps
from tests.forge_server import forge
from tests.hostile_server import hostile_server
from tests.mariadb_server import mariadb_server
from tests.nginx_server import nginx
from tests.postgres_server import postgres_database, postgres_server
from tests.prometheus_server import metrics_app, prometheus_process, prometheus_server, three_workers
from tests.redis_server import redis_server, redis_servers
from tests.registry_server import image_registry
from tests.s3_server import s3_server
from tests.swarm_engine import docker_swarm, swarm_engine
from tests.tls_databases import tls_mariadb, tls_postgres

__all__ = [
    "azure_server",
    "cloud",
    "docker_box",
    "docker_engine",
    "docker_swarm",
    "dumps",
    "forge",
    "gcs_server",
    "hostile_server",
    "image_registry",
    "mariadb_server",
    "metrics_app",
    "name_server",
    "nginx",
    "postgres_database",
    "postgres_server",
    "prometheus_process",
    "prometheus_server",
    "redis_server",
    "redis_servers",
    "s3_server",
    "swarm_engine",
    "three_workers",
    "tls_mariadb",
    "tls_postgres",
]
