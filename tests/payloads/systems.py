"""Shows one document to the kind that reads it, in the way the real system would."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from captain.measurement import Measurement
from tests.forge_server import SHA, ForgeServer, recorded
from tests.git_repo import Repo
from tests.hostile_engine import HostileEngine
from tests.http_server import answer, read_request
from tests.payloads.world import NOW, World

Ask = Callable[[World, bytes], Awaitable[Measurement]]
PAYLOADS = Path(__file__).parents[1] / "data" / "payloads"
IMAGE = "registry.example/backend:1.4.2"
CLEAN = ("critical == 0", "high == 0", "secrets == 0")
GATE = ("critical == 0", "fixable_high == 0", "secrets == 0")
JSON = "Content-Type: application/json"
COMMIT = f"repos/acme/shop/commits/{SHA}"
WORKFLOW = "repos/acme/shop/actions/workflows"
_ASKED = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
"""When the forges gave their answers."""


def _whole(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


def put(world: World, name: str, data: bytes, at: datetime = NOW - timedelta(minutes=20)) -> None:
    """A file of that moment."""
    path = world.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (at.timestamp(), at.timestamp()))


# --- reports


def report(format: str) -> Ask:
    """A report in a file, about the image that is released."""

    async def ask(world: World, data: bytes) -> Measurement:
        put(world, "report", data)
        keys: dict[str, Any] = {"format": format, "path": "report"}
        if format == "trivy":
            keys["artifact"] = IMAGE
        if format == "npm-audit":
            put(world, "canary.json", _whole("npm_audit_vulns.json"))
            keys["canary"] = {"id": "minimist", "path": "canary.json"}
        return await world.measure("report", keys)

    return ask


# --- forges


def _forge(world: World) -> ForgeServer:
    """A forge where all is well, so that one document is what decides."""
    forge = ForgeServer(world.servers)
    forge.put(f"{COMMIT}/check-runs", recorded("github_check_runs_green"))
    forge.put(f"{COMMIT}/status", {"state": "pending", "statuses": [], "total_count": 0, "sha": SHA})
    forge.put(f"{COMMIT}/check-suites", {"total_count": 0, "check_suites": []})
    forge.put(f"{WORKFLOW}/uptime.yml", recorded("github_workflow_active"))
    forge.put(f"{WORKFLOW}/uptime.yml/runs", recorded("github_workflow_runs_fresh"))
    forge.put("repos/acme/shop/deployments", recorded("github_deployments"))
    return forge


async def _github(world: World, forge: ForgeServer, **keys: Any) -> Measurement:
    return await world.measure("ci", {"provider": "github", "repo": "acme/shop", "api": forge.url, **keys}, at=_ASKED)


async def check_runs(world: World, data: bytes) -> Measurement:
    forge = _forge(world)
    forge.put(f"{COMMIT}/check-runs", data)
    return await _github(world, forge, required=["test", "mypy", "trivy"])


async def workflow_runs(world: World, data: bytes) -> Measurement:
    forge = _forge(world)
    forge.put(f"{WORKFLOW}/uptime.yml/runs", data)
    return await _github(world, forge, mode="workflow", workflow="uptime.yml", event="schedule")


async def workflow_state(world: World, data: bytes) -> Measurement:
    forge = _forge(world)
    forge.put(f"{WORKFLOW}/uptime.yml", data)
    return await _github(world, forge, mode="workflow", workflow="uptime.yml", event="schedule")


async def rate_limited(world: World, data: bytes) -> Measurement:
    forge = _forge(world)
    reset = int((_ASKED + timedelta(minutes=9)).timestamp())
    forge.refuse("*", "403 Forbidden", "x-ratelimit-remaining: 0", f"x-ratelimit-reset: {reset}", body=data)
    return await _github(world, forge)


async def not_found(world: World, data: bytes) -> Measurement:
    forge = _forge(world)
    forge.refuse("*", "404 Not Found", body=data)
    return await _github(world, forge)


async def deployment_statuses(world: World, data: bytes) -> Measurement:
    forge = _forge(world)
    forge.put("repos/acme/shop/deployments/3001/statuses", data)
    return await _github(world, forge, mode="deployments", environment="production")


async def _gitlab(world: World, pipelines: Any, jobs: Any) -> Measurement:
    forge = ForgeServer(world.servers)
    forge.put("projects/acme/shop/pipelines", pipelines)
    forge.put("projects/acme/shop/pipelines/812/jobs", jobs)
    forge.put("projects/acme/shop/pipelines/812/bridges", [])
    return await world.measure("ci", {"provider": "gitlab", "repo": "acme/shop", "api": forge.url})


async def pipelines(world: World, data: bytes) -> Measurement:
    return await _gitlab(world, data, recorded("gitlab_pipeline_jobs"))


async def jobs(world: World, data: bytes) -> Measurement:
    return await _gitlab(world, recorded("gitlab_pipelines_by_sha"), data)


# --- Docker


async def _docker(world: World, kind: str, keys: Mapping[str, Any], answers: Mapping[str, bytes]) -> Measurement:
    stamp = NOW.isoformat().replace("+00:00", "Z")
    usual = {"/info": json.dumps({"SystemTime": stamp, "SecurityOptions": []}).encode()}
    with HostileEngine({**usual, **answers}, {}) as engine:
        return await world.measure(kind, {**keys, "host": engine.host})


def _one(data: bytes, name: str) -> Mapping[str, Any]:
    """The document itself, which the engine shows without a list around it; the usual one where it is spoilt."""
    try:
        found = json.loads(data)
    except ValueError:
        found = json.loads(_whole(name))
    found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, dict) and found.keys() & {"Id", "ID"} else _one(_whole(name), name)


def _bare(data: bytes) -> bytes:
    """One document of the list in which `docker inspect` prints it."""
    try:
        found = json.loads(data)
    except ValueError:
        return data
    return json.dumps(found[0]).encode() if isinstance(found, list) and len(found) == 1 else data


def _containers(data: bytes) -> dict[str, bytes]:
    whole = _one(data, "docker_inspect_good.json")
    listed = [{"Id": whole["Id"], "Names": [whole.get("Name", "/web")], "State": "running", "Labels": {}}]
    return {
        "/containers/json": json.dumps(listed).encode(),
        f"/containers/{whole['Id']}/json": _bare(data),
        "/images/sha256:": b"{}",
    }


async def container(world: World, data: bytes) -> Measurement:
    return await _docker(world, "docker", {}, _containers(data))


async def network(world: World, data: bytes) -> Measurement:
    good = _whole("docker_inspect_good.json")
    names = _one(good, "")["NetworkSettings"]["Networks"]
    answers = {f"/networks/{name}": _bare(data) for name in names}
    return await _docker(world, "docker", {"networks": True}, {**_containers(good), **answers})


async def image(world: World, data: bytes) -> Measurement:
    whole = _one(data, "docker_image_inspect_secret_env.json")
    return await _image(world, str(whole["Id"]), _bare(data), b'[{"CreatedBy": "CMD true", "Size": 0}]')


async def image_history(world: World, data: bytes) -> Measurement:
    whole = _one(_whole("docker_image_inspect_secret_env.json"), "")
    return await _image(world, str(whole["Id"]), json.dumps(whole).encode(), data)


async def _image(world: World, id: str, inspected: bytes, history: bytes) -> Measurement:
    answers = {"/images/shop:1/json": inspected, f"/images/{id}/history": history, "/images/json": b"[]"}
    return await _docker(world, "image", {"ref": "shop:1"}, answers)


async def service(world: World, data: bytes) -> Measurement:
    return await _swarm(world, _bare(data))


async def last_update(world: World, data: bytes) -> Measurement:
    """The last of several states of one update."""
    found: dict[str, Any] = json.loads(_bare(_whole("swarm_service_rollback_completed.json")))
    return await _swarm(world, json.dumps({**found, "UpdateStatus": json.loads(data)[-1]}).encode())


async def _swarm(world: World, document: bytes) -> Measurement:
    found = _one(document, "swarm_service_fresh.json")
    name = found.get("Spec", {}).get("Name", "web")
    answers = {f"/services/{found.get('ID', 's')}": document, "/services": b"[%s]" % document, "/tasks": b"[]"}
    return await _docker(world, "service", {"names": [name]}, answers)


async def ecs(world: World, data: bytes) -> Measurement:
    put(world, "ecs.json", data)
    script = "import sys; sys.stdout.write(open('ecs.json').read())"
    keys = {"platform": "ecs", "names": ["backend"], "aws_cmd": [sys.executable, "-c", script]}
    return await world.measure("service", keys)


# --- HTTP

RATIO = '(sum(rate(http_requests_total{status=~"5.."}[1m])) or vector(0)) / sum(rate(http_requests_total[1m]))'
NAIVE = 'sum(rate(http_requests_total{status=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))'
_SAMPLES = {"resultType": "vector", "result": [{"metric": {"captain_selector": "0"}, "value": [1.5, "1.5"]}]}


async def _prometheus(world: World, keys: Mapping[str, Any], answers: Mapping[str, bytes]) -> Measurement:
    """A Prometheus: answers by path, and of the samples behind a query that they are there."""
    samples = json.dumps({"status": "success", "data": _SAMPLES}).encode()

    def talk(peer: socket.socket) -> None:
        target = read_request(peer).split(b" ", 2)[1].decode()
        path, _, asked = target.partition("?")
        body = samples if "captain_selector" in asked else answers.get(path.removeprefix("/api/v1/"))
        status = "404 Not Found" if body is None else "400 Bad Request" if b'"bad_data"' in body else "200 OK"
        peer.sendall(answer(body or b"", JSON, "Date: Mon, 23 Nov 2026 01:52:19 GMT", status=status))
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass

    url = world.servers.talk(talk).url
    return await world.measure("prometheus", {"url": url, **keys})


def query(text: str, **keys: Any) -> Ask:
    """The answer to a query."""

    async def ask(world: World, data: bytes) -> Measurement:
        return await _prometheus(world, {"query": text, **keys}, {"query": data})

    return ask


async def bad_query(world: World, data: bytes) -> Measurement:
    return await _prometheus(world, {"query": "sum("}, {"query": data})


async def targets(world: World, data: bytes) -> Measurement:
    return await _prometheus(world, {"mode": "targets"}, {"targets": data})


async def alerts(world: World, data: bytes) -> Measurement:
    return await _prometheus(world, {"mode": "alerts"}, {"alerts": data, "rules": _whole("prom_rules.json")})


async def exposition(world: World, data: bytes) -> Measurement:
    server = world.servers.answer(answer(data, "Content-Type: text/plain; version=0.0.4; charset=utf-8"))
    return await world.measure("metrics", {"url": server.url, "scrapes": 2, "every": "10ms"})


async def page(world: World, data: bytes) -> Measurement:
    server = world.servers.answer(answer(data, JSON))
    return await world.measure("http", {"url": server.url})


async def bucket(world: World, data: bytes) -> Measurement:
    """What `aws s3api list-objects-v2` prints, as the server itself says it; as it is where it is no such list."""
    try:
        listed = json.loads(data)["Contents"]
    except (ValueError, KeyError, TypeError):
        body = data
    else:
        objects = "".join(
            f"<Contents><Key>{escape(one['Key'])}</Key><LastModified>{one['LastModified'][:19]}Z</LastModified>"
            f"<Size>{one['Size']}</Size></Contents>"
            for one in listed
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{objects}</ListBucketResult>".encode()
    server = world.servers.answer(answer(body, "Content-Type: application/xml"))
    keys = {"source": "s3", "prefix": "shop/db/", "endpoint": server.url, "anonymous": True, "verify": "none"}
    return await world.measure("backup", keys, at=datetime(2026, 11, 23, 4, tzinfo=UTC))


# --- files and programs


async def lines(world: World, data: bytes) -> Measurement:
    put(world, "app.log", data)
    return await world.measure("logs", {"source": "file", "path": "app.log", "since": "all"})


async def compose(world: World, data: bytes) -> Measurement:
    put(world, ".env", b"DATABASE_URL=\n")
    put(world, "compose.yml", data)
    return await world.measure("compose", {"files": ["compose.yml"]})


async def workflow(world: World, data: bytes) -> Measurement:
    put(world, ".github/workflows/ci.yml", data)
    return await world.measure("workflow", {})


async def dockerfile(world: World, data: bytes) -> Measurement:
    put(world, "Dockerfile", data)
    return await world.measure("dockerfile", {"hadolint": False})


async def work_tree(world: World, data: bytes) -> Measurement:
    """A repository of which git itself prints these lines, but for the ids."""
    text = data.decode()
    remote = Repo(world.root / "remote")
    remote.commit("a", "1\n", at="2026-11-23T01:00:00Z")
    folder = world.root / "shop"
    remote.git("clone", "--quiet", str(remote.path), str(folder))
    repo = Repo(folder)
    if "(detached)" in text:
        repo.git("checkout", "--quiet", "--detach")
    if "+2 -0" in text:
        for number in ("1", "2"):
            repo.commit("b", number, at="2026-11-23T01:10:00Z")
    if ".M " in text:
        repo.write("a", "2\n")
    if "? new.txt" in text:
        repo.write("new.txt")
    printed = repo.git("status", "--porcelain=v2", "--branch")
    assert _shape(printed) == _shape(text)
    return await world.measure("git", {"repo": "shop"})


def _shape(printed: str) -> list[str]:
    """Lines without ids."""
    return [" ".join(word for word in line.split() if len(word) < 40) for line in printed.splitlines()]


# --- databases


async def archiver(world: World, data: bytes) -> Measurement:
    """A server with the captured settings that a running one takes."""
    server = world.fixtures.getfixturevalue("postgres_server")
    settings = {one["name"]: one["setting"] for one in json.loads(data)}
    shown = dict(server.run("select name, setting from pg_settings"))
    assert {name: shown[name] for name in ("archive_mode", "wal_level")} == {
        name: settings[name] for name in ("archive_mode", "wal_level")
    }
    with server.setting(archive_timeout=settings["archive_timeout"]):
        keys = {"engine": "postgres", "dsn_env": "DATABASE_URL", "preset": "archiver"}
        return await world.measure("sql", keys, {"DATABASE_URL": server.dsn()})


def queue(broker: str, **keys: Any) -> Ask:
    """The captured keys in a Redis of their own database."""

    async def ask(world: World, data: bytes) -> Measurement:
        server = world.fixtures.getfixturevalue("redis_server")
        server.run("FLUSHDB", database=8)
        try:
            for key, held in json.loads(data)["keys"].items():
                _keep(server, key, held)
            given = {"broker": broker, "url_env": "REDIS_URL", **keys}
            return await world.measure("queue", given, {"REDIS_URL": server.url(8)})
        finally:
            server.run("FLUSHDB", database=8)

    return ask


def _keep(server: Any, key: str, held: Mapping[str, Any]) -> None:
    value = held.get("value") or [f"item-{number}" for number in range(held["len"])]
    for item in value:
        if held["type"] == "hash":
            server.run("HSET", key, item, value[item] if isinstance(value, dict) else "x", database=8)
        elif held["type"] == "zset":
            # Dead for a month, by the clock of the server.
            server.run("ZADD", key, int(value[item]) - 30 * 86_400_000, item, database=8)
        else:
            server.run({"list": "RPUSH", "set": "SADD"}[held["type"]], key, item, database=8)


async def redis_info(world: World, data: bytes) -> Measurement:
    """A server that says this of itself and PONG to everything else."""

    def talk(peer: socket.socket) -> None:
        while asked := peer.recv(65536):
            for _ in range(asked.count(b"PING")):
                peer.sendall(b"+PONG\r\n")
            if b"INFO" in asked:
                peer.sendall(b"$%d\r\n%s\r\n" % (len(data), data))
            elif b"PING" not in asked:
                peer.sendall(b"+OK\r\n" * asked.count(b"*"))

    port = world.servers.talk(talk).url.rpartition(":")[2].rstrip("/")
    keys = {"url_env": "REDIS_URL", "purpose": "cache", "samples": 2}
    return await world.measure("redis", keys, {"REDIS_URL": f"redis://127.0.0.1:{port}/0"})
