"""A secret planted in every kind: in what captain sends and in what comes back. It is kept and shown nowhere."""

from __future__ import annotations

import base64
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from captain.engine import Engine
from captain.events import Event
from captain.exports import Entry, Story, exports, names
from captain.masking import Masker
from captain.probes import probes
from captain.tui.app import CaptainApp
from captain.tui.moment import Known
from captain.tui.screens.run import RunScreen
from tests.git_repo import Repo
from tests.http_server import Servers, answer
from tests.one_step import OneStep
from tests.tui.snapshots import until, words

SECRET = "pl4nted/Secret+w1th&odd=chars"
IN_URL = quote(SECRET, safe="")
SECRETS = ("TOKEN", "DATABASE_URL", "MYSQL_URL", "REDIS_URL")
SHORT = 12
"""Letters of the secret of which not even a part may be seen."""


def forms() -> dict[str, bytes]:
    """The ways in which programs spell it; of base64 what does not depend on what stands around it."""
    raw = SECRET.encode()
    found = {
        "in clear": raw,
        "URL-encoded": IN_URL.encode(),
        "as a form": quote_plus(SECRET).encode(),
        "half of it": raw[:SHORT],
    }
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + raw).rstrip(b"=")
        found[f"base64 at {offset}"] = whole[offset + 1 : -2]
    return found


def told() -> str:
    """The secret as a system that repeats what it was told would."""
    return f"{SECRET} {IN_URL} {base64.b64encode(f'shop:{SECRET}'.encode()).decode()}"


@dataclass
class Planted:
    """Where a case plants it."""

    root: Path
    servers: Servers
    port: int = 0

    def http(self, body: bytes, status: str = "500 Internal Server Error", kind: str = "application/json") -> str:
        self.port = self.servers.answer(answer(body, f"Content-Type: {kind}", f"X-Echo: {told()}", status=status)).port
        return f"http://127.0.0.1:{self.port}"

    def says(self, data: bytes, *, first: bool = False) -> int:
        """A server that says this, at once or as an answer."""

        def talk(peer: socket.socket) -> None:
            if first or peer.recv(65536):
                peer.sendall(data)
            while peer.recv(65536):
                pass

        self.port = self.servers.talk(talk).port
        return self.port

    def python(self, name: str, text: str) -> str:
        (self.root / name).write_text(text)
        return f"[{sys.executable}, {name}]"

    def repository(self) -> None:
        repo = Repo(self.root)
        repo.git("checkout", "-q", "-b", f"fix-{quote(SECRET, safe='')}")
        (self.root / f"note {IN_URL}").write_text(told())


JSON = f'{{"message": "{told()}", "status": "error", "error": "{told()}"}}'.encode()
HEADERS = "headers: { Authorization: 'Bearer ${{ secrets.TOKEN }}' }"
PRINTS = f"import sys; print({told()!r}); print({told()!r}, file=sys.stderr); raise SystemExit({told()!r})"
PG_ERROR = b"SFATAL\0VFATAL\0C28P01\0M" + told().encode() + b"\0\0"


def postgres(world: Planted) -> str:
    """Refuses TLS, then the login, with words that repeat the password."""

    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"N")
        if peer.recv(65536):
            peer.sendall(b"E" + struct.pack("!I", len(PG_ERROR) + 4) + PG_ERROR)

    world.port = world.servers.talk(talk).port
    return "sql: { engine: postgres, dsn_env: DATABASE_URL, query: select true }"


def workflow(world: Planted) -> str:
    folder = world.root / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "ci.yml").write_text(
        f"on: [push]\njobs:\n  a:\n    steps:\n      - run: pytest --token {SECRET} {IN_URL} || true\n"
    )
    return "workflow: { step: pytest }\nexpect: soft_failures == 0"


def engine(world: Planted, step: str) -> str:
    world.http(JSON)
    return step.replace("HOST", f"host: 'tcp://127.0.0.1:{world.port}'")


def logs(world: Planted) -> str:
    (world.root / "app.log").write_text(f'{{"level": "error", "message": "password={told()}"}}\n' * 60)
    return "logs: { source: file, path: app.log, since: all }\nexpect: errors == 0"


def command(world: Planted) -> str:
    program = world.python("say.py", PRINTS)
    return f"command: {{ run: {program}, env: {{ TOKEN: '${{{{ secrets.TOKEN }}}}' }} }}"


def file(world: Planted) -> str:
    (world.root / "notes.txt").write_text(f"{'x' * 1000}{told()}" * 100)
    return "file: { path: notes.txt, parse: text }\nexpect: text == 'fine'"


def git(world: Planted) -> str:
    world.repository()
    return "git: {}"


def backup(world: Planted) -> str:
    listed = f'[{{"key": "{IN_URL}.dump", "modified": "2026-11-23T03:04:11Z", "size": 5}}]'
    program = world.python("list.py", f"print({listed!r})")
    return f"backup: {{ source: command, run: {program}, env: {{ TOKEN: '${{{{ secrets.TOKEN }}}}' }} }}"


def migrations(world: Planted) -> str:
    (world.root / "manage.py").write_text(f"raise RuntimeError({told()!r})\n")
    return (
        f"migrations: {{ tool: django, run: [{sys.executable}, manage.py], env: {{ T: '${{{{ secrets.TOKEN }}}}' }} }}"
    )


def metrics(world: Planted) -> str:
    text = f'# TYPE hits counter\nhits_total{{path="{told()}"}} 1\n'.encode()
    return f"metrics: {{ url: '{world.http(text, '200 OK', 'text/plain')}', {HEADERS} }}\nexpect: app_families == 9"


def prometheus(world: Planted) -> str:
    return f"prometheus: {{ url: '{world.http(JSON, '400 Bad Request')}', query: up, {HEADERS} }}\nexpect: value > 0.0"


def load(world: Planted) -> str:
    url = world.http(JSON)
    return f"load: {{ urls: ['{url}'], profile: [{{ rps: 5, duration: 1s }}], warmup: 0s, {HEADERS} }}"


def drill(world: Planted) -> str:
    program = world.python("say.py", PRINTS)
    (world.root / "notes.txt").write_text(told())
    moves = f"[{{ do: run, args: {{ run: {program} }} }}, {{ until: 'it.text == \"fine\"', within: 1s }}]"
    return f"drill:\n  probes: {{ it: {{ file: {{ path: notes.txt, parse: text }} }} }}\n  steps: {moves}"


def redis(world: Planted, step: str) -> str:
    world.says(f"-ERR {told()}\r\n".encode() * 4)
    return step


def tcp(world: Planted) -> str:
    port = world.says(f"220 {told()}\r\n".encode(), first=True)
    return f"tcp: {{ host: 127.0.0.1, port: {port}, banner: true }}\nexpect: banner == 'fine'"


def record(world: Planted) -> str:
    return "record: { step: it-2, kind: result }\nexpect: 'observed.text == \"fine\"'"


REVIEW = """\
checklist: review
title: Review
per: service
sections:
  - id: all
    title: All
    steps:
      - id: told
        title: Told
"""


def score(world: Planted) -> str:
    step = "".join(f"        {line}\n" for line in file(world).splitlines())
    (world.root / "review.yaml").write_text(REVIEW + step)
    return "score: { checklist: review }"


async def reviewed(asked: OneStep) -> None:
    """The review stands, its step measured."""
    engine = asked.make(asked.seen.append, checklist=str(asked.root / "review.yaml"))
    try:
        await engine.open(None)
        await engine.measure("told")
    finally:
        await engine.close()


def report(world: Planted) -> str:
    (world.root / "junit.xml").write_text(
        f'<testsuites><testsuite name="s" tests="1" failures="1"><testcase name="{SECRET.replace("&", "&amp;")}">'
        f'<failure message="{IN_URL}">{IN_URL}</failure></testcase></testsuite></testsuites>'
    )
    return "report: { format: junit, path: junit.xml }"


def compose(world: Planted) -> str:
    (world.root / "compose.yml").write_text(
        f"services:\n  web:\n    image: web\n    environment:\n      DB_PASSWORD: '{SECRET}'\n"
        f"      DATABASE_URL: 'postgres://shop:{IN_URL}@db/shop'\n"
    )
    return "compose: { files: [compose.yml] }\nexpect: literal_secrets == 0"


def dockerfile(world: Planted) -> str:
    (world.root / "Dockerfile").write_text(f"FROM busybox\nENV DB_PASSWORD='{SECRET}'\nARG TOKEN={IN_URL}\n")
    return "dockerfile: { path: Dockerfile }\nexpect: size(secret_envs) == 0"


def ignore(world: Planted) -> str:
    world.repository()
    (world.root / ".env").write_text(f"TOKEN={SECRET}\n")
    return "ignore: { mode: git }"


def source(world: Planted) -> str:
    world.repository()
    (world.root / "settings.py").write_text(f"PASSWORD = '{SECRET}'  # {IN_URL}\n")
    return (
        "source: { globs: ['*.py'], tracked_only: false, patterns: [{ id: pw, regex: PASSWORD, expect: max, n: 0 }] }"
    )


def docs(world: Planted) -> str:
    (world.root / "guide.md").write_text(f"# Guide {SECRET}\n\n[a](./{IN_URL})\n\nTODO {told()}\n")
    return "docs: { paths: [guide.md], headings: [Rollback] }"


CASES: dict[str, Callable[[Planted], str]] = {
    "backup": backup,
    "ci": lambda w: (
        f"ci: {{ provider: github, repo: acme/shop, commit: a1b2c3d, api: '{w.http(JSON, '403 Forbidden')}', "
        "token_env: TOKEN }"
    ),
    "command": command,
    "compose": compose,
    "dockerfile": dockerfile,
    "docs": docs,
    "ignore": ignore,
    "source": source,
    "dns": lambda w: f"dns: {{ name: '{'a' * 40}.invalid', server: 127.0.0.1, port: {w.says(told().encode())} }}",
    "docker": lambda w: engine(w, "docker: { HOST }"),
    "drill": drill,
    "file": file,
    "git": git,
    "http": lambda w: f"http: {{ url: '{w.http(JSON)}', {HEADERS} }}",
    "image": lambda w: engine(w, "image: { ref: 'shop:1.4.0', HOST }"),
    "load": load,
    "logs": logs,
    "metrics": metrics,
    "migrations": migrations,
    "prometheus": prometheus,
    "queue": lambda w: redis(w, "queue: { broker: rq, url_env: REDIS_URL }"),
    "record": record,
    "report": report,
    "redis": lambda w: redis(w, "redis: { url_env: REDIS_URL }"),
    "score": score,
    "service": lambda w: engine(w, "service: { names: [shop_web], HOST }"),
    "sql": postgres,
    "tcp": tcp,
    "tls": lambda w: f"tls: {{ host: 127.0.0.1, port: {w.says(told().encode())} }}",
    "workflow": workflow,
}


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


def test_every_kind_has_a_case() -> None:
    assert sorted(CASES) == probes.names()


def test_what_is_looked_for_is_what_a_system_would_repeat() -> None:
    """Were nothing masked, the search would find it."""
    text = told().encode()
    assert all(form in text for name, form in forms().items() if name.startswith(("in clear", "URL", "half")))
    assert any(form in text for name, form in forms().items() if name.startswith("base64"))
    masked = Masker({"TOKEN": SECRET}).mask(told()).encode()
    assert not any(form in masked for form in forms().values())


@pytest.mark.parametrize("kind", probes.names())
async def test_the_secret_is_nowhere(kind: str, tmp_path: Path, servers: Servers) -> None:
    world = Planted(tmp_path, servers)
    step = CASES[kind](world)
    values = {
        "TOKEN": SECRET,
        "DATABASE_URL": f"postgresql://shop:{IN_URL}@127.0.0.1:{world.port}/shop",
        "MYSQL_URL": f"mysql://shop:{IN_URL}@127.0.0.1:{world.port}/shop",
        "REDIS_URL": f"redis://:{IN_URL}@127.0.0.1:{world.port}/0",
    }
    asked = OneStep(tmp_path, values, allow="active, drill")
    before = [file(world)] if kind == "record" else []
    asked.write(f"{step}\ntimeout: 4s", *before)

    if kind == "score":
        await reviewed(asked)

    async def opener(publish: Callable[[Event], None]) -> Engine:
        def both(event: Event) -> None:
            asked.seen.append(event)
            publish(event)

        made = asked.make(both)
        await made.open("1.4.0")
        if (request := made.trust()) is not None:
            await made.accept(request.digest)
        if before:
            await made.measure("it-2")
        found = made.view().step("it")
        assert found is not None
        if found[1].safety == "read":
            await made.measure("it")
        else:
            await made.act("it")
        return made

    known = Known("shop", "staging", False, "1.4.0")
    app = CaptainApp(asked.settings.log, known=known, opener=opener, environ={}, calm=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(
            pilot, lambda: bool(app.engines) and isinstance(app.screen, RunScreen) and app.screen.moment is not None
        )
        screen = words(app)
    assert app.failures == [] and "It 1" in screen
    result = asked.result().data
    assert result["verdict"] in ("fail", "unknown"), result
    shown = {"screen": screen.encode(), **exported(asked), **dict(asked.everything())}
    found = [f"{where}: {how}" for where, data in shown.items() for how, form in forms().items() if form in data]
    assert found == [], result["message"]


def exported(asked: OneStep) -> dict[str, bytes]:
    """The log in every format."""
    found = {}
    with asked.log(read_only=True) as log:
        entries = [Entry(body, event) for body, event in zip(log.bodies(), log.entries(), strict=True)]
    for name in names("entries"):
        made = exports.find(name)
        assert made is not None and made.entries is not None
        found[f"export {name}"] = b"".join(made.entries(Story(entries)))
    return found
