"""A real release over a real engine: web:1 runs, web:2 answers 500, captain goes back and proves it.

Once without a screen, command by command, and once driven by key presses in a terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.docker_engine import Box
from tests.requirements import need

SERVICE = """\
service: web
environments: {{ production: {{ protected: true }} }}
vars: {{ url: 'http://127.0.0.1:{port}' }}
checklists: [checklists/deploy.yaml]
release:
  images: {{ web: '{repository}:${{{{ release.version }}}}' }}
  running: {{ http: {{ url: '${{{{ vars.url }}}}/version' }}, version: text }}
rollback:
  plan: [{{ id: web, strategy: container, container: {name}, host: '{host}' }}]
  verify: [deploy/check-answers]
"""

CHECKLIST = """\
checklist: deploy
title: Deployment of web
sections:
  - id: pre
    title: Pre-deployment
    phase: pre
    steps:
      - id: clean
        title: No uncommitted changes
        git: {{}}
        expect: [dirty == 0, untracked == 0, head_sha == release.commit]
      - id: container-runs
        title: The container runs
        docker: {{ names: [{name}], host: '{host}' }}
      - id: told
        title: On-call engineer told
        manual: Tell the on-call engineer.
  - id: deploy
    title: Deployment
    phase: deploy
    steps:
      - id: roll-out
        title: Roll out
        action: {{ run: ['{python}', deploy.py, '{host}', {name}, '${{{{ release.images.web }}}}'], timeout: 2m }}
        observe:
          http: {{ url: '${{{{ vars.url }}}}/version' }}
          within: 30s
          every: 200ms
          expect: [status == 200, text == release.version]
  - id: post
    title: Post-deployment
    phase: post
    steps:
      - id: check-answers
        title: The check answers
        http: {{ url: '${{{{ vars.url }}}}/cgi-bin/check' }}
        within: 3s
        every: 200ms
        expect: [status == 200]
"""

DEPLOY = """\
import sys
import docker

host, name, image = sys.argv[1:]
client = docker.APIClient(base_url=host, version="auto")
old = client.inspect_container(name)
print("replacing", name, "with", image, flush=True)
client.remove_container(old["Id"], force=True)
config = dict(old["Config"], Image=image)
config.pop("Hostname", None)
networks = {key: {"Aliases": value.get("Aliases")} for key, value in old["NetworkSettings"]["Networks"].items()}
body = dict(config, HostConfig=old["HostConfig"], NetworkingConfig={"EndpointsConfig": networks})
client.start(client.create_container_from_config(body, name=name)["Id"])
client.close()
print("started", flush=True)
"""


@dataclass
class Flight:
    """A repository, a container that serves, and a log."""

    root: Path
    box: Box
    name: str
    port: int
    log: Path

    @property
    def environ(self) -> dict[str, str]:
        keep = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        return {
            **keep,
            # tmux draws what is no ASCII as _ where it is told of no UTF-8.
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
            "CAPTAIN_LOG": str(self.log),
            "CAPTAIN_AS": "karen@example.com",
            "DOCKER_HOST": self.box.engine.host,
        }

    def captain(self, *arguments: str, code: int | tuple[int, ...] = 0) -> subprocess.CompletedProcess[str]:
        """Run one command and check its exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "captain", *arguments],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        codes = code if isinstance(code, tuple) else (code,)
        assert done.returncode in codes, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def serves(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/version", timeout=5) as answer:
            return str(answer.read().decode().strip())

    def entries(self) -> list[dict[str, Any]]:
        exported = self.captain("export", "--format", "jsonl", "-o", "-").stdout
        return [json.loads(line) for line in exported.splitlines()]


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def flight(tmp_path: Path, docker_box: Box) -> Iterator[Flight]:
    network = docker_box.network("net")
    first, _ = docker_box.engine.image("1"), docker_box.engine.image("2")
    made = docker_box.start(
        "web",
        first,
        HostConfig={
            "NetworkMode": network,
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]},
            "RestartPolicy": {"Name": "unless-stopped"},
        },
    )
    ports = docker_box.inspect(made)["NetworkSettings"]["Ports"]["8080/tcp"]
    port = int(ports[0]["HostPort"])
    # A fixed port from here on: the deploy and the way back must come back under the same one.
    docker_box.engine.client.remove_container(made, force=True)
    docker_box.start(
        "web",
        first,
        HostConfig={
            "NetworkMode": network,
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]},
            "RestartPolicy": {"Name": "unless-stopped"},
        },
        ExposedPorts={"8080/tcp": {}},
    )
    root = tmp_path / "web"
    (root / "checklists").mkdir(parents=True)
    name = docker_box.name("web")
    names = {
        "port": port,
        "host": docker_box.engine.host,
        "name": name,
        "python": sys.executable,
        "repository": first.rpartition(":")[0],
    }
    (root / "captain.yaml").write_text(SERVICE.format(**names))
    (root / "checklists" / "deploy.yaml").write_text(CHECKLIST.format(**names))
    (root / "deploy.py").write_text(DEPLOY)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Release 2")
    made_flight = Flight(root, docker_box, name, port, tmp_path / "state" / "log.sqlite")
    wait(lambda: made_flight.serves() == "1")
    yield made_flight


def wait(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def the_way_back_is_proved(flight: Flight) -> None:
    assert flight.serves() == "1"
    assert [name for name in flight.box.ours() if name.startswith(flight.name)] == [flight.name]
    entries = flight.entries()
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    types = [entry["type"] for entry in entries]
    for earlier, later in (
        ("run.start", "signoff"),
        ("signoff", "rollback.point"),
        ("rollback.point", "gate.decision"),
        ("gate.decision", "action.intent"),
        ("action.intent", "action.started"),
        ("action.started", "action.finished"),
        ("action.finished", "rollback.intent"),
        ("rollback.intent", "rollback.end"),
        ("rollback.end", "run.end"),
    ):
        assert types.index(earlier) < types.index(later), (earlier, later)
    measured = {
        (entry["data"]["step"], entry["data"]["purpose"], entry["data"]["verdict"])
        for entry in entries
        if entry["type"] == "step.result"
    }
    assert ("check-answers", "verify", "pass") in measured
    assert any(step == "check-answers" and verdict == "fail" for step, _, verdict in measured)
    assert entries[-1]["type"] in ("run.end", "lock.release", "export.made")
    assert flight.captain("verify").returncode == 0


def test_a_release_is_walked_and_rolled_back_without_a_screen(flight: Flight) -> None:
    flight.captain("lint")
    shown = flight.captain("trust", "-e", "production", "--no-input", code=2)
    digest = next((word for word in (shown.stdout + shown.stderr).split() if len(word) == 64), None)
    assert digest is not None, shown
    flight.captain("trust", "-e", "production", "--digest", digest)
    run = flight.captain("run", "deploy", "-r", "2", "-e", "production", "--no-screen", code=4).stdout.strip()
    assert run == "web-production-2"
    flight.captain("check", "deploy", "-e", "production", "--run", run, "--phase", "pre", code=4)
    flight.captain("sign", run, "told", "--approve", "--note", "by phone")
    flight.captain("gate", run, "pre", "--go", code=4)
    assert flight.serves() == "1"
    flight.captain("gate", run, "pre", "--go", "--confirm", "production")
    flight.captain("act", run, "roll-out", "--confirm", "production")
    assert flight.serves() == "2"
    flight.captain("gate", run, "deploy", "--go")
    flight.captain("check", "deploy", "-e", "production", "--run", run, "--phase", "post", code=1)
    flight.captain("gate", run, "post", "--go", code=1)
    planned = flight.captain("rollback", run, "--dry-run")
    assert flight.name in planned.stdout
    assert flight.serves() == "2"
    flight.captain("rollback", run, "--no-input", code=4)
    flight.captain("rollback", run, "--confirm", "production")
    assert "rolled_back" in flight.captain("show", run, "--format", "json").stdout
    the_way_back_is_proved(flight)


class Terminal:
    """A tmux session of its own with captain in it."""

    def __init__(self, flight: Flight, *command: str, columns: int = 120, rows: int = 40) -> None:
        self._socket = f"captain-{os.getpid()}-{flight.port}"
        self._environ = flight.environ
        environ = [part for key, value in flight.environ.items() for part in ("-e", f"{key}={value}")]
        argv = [sys.executable, "-m", "captain", *command]
        size = ["-x", str(columns), "-y", str(rows)]
        self._tmux("-f", os.devnull, "new-session", "-d", "-s", "t", *size, "-c", str(flight.root), *environ, *argv)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments], env=self._environ, capture_output=True, text=True, check=False
        )
        return done.stdout

    def screen(self) -> str:
        return self._tmux("capture-pane", "-t", "t", "-p")

    def until(self, *texts: str, seconds: float = 30) -> str:
        """The screen once it shows all of these."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            assert time.monotonic() < deadline, f"{texts} never shown:\n{screen}"
            time.sleep(0.1)

    def press(self, *keys: str) -> None:
        # A dialog that opens ignores keys for 300 ms; a person is never faster either.
        time.sleep(0.35)
        self._tmux("send-keys", "-t", "t", *keys)

    def close(self) -> None:
        self._tmux("kill-server")


def test_a_release_is_walked_and_rolled_back_by_key_presses(flight: Flight) -> None:
    need("tmux", None if shutil.which("tmux") else "tmux is not installed")
    shown = flight.captain("trust", "-e", "production", "--no-input", code=2)
    digest = next((word for word in (shown.stdout + shown.stderr).split() if len(word) == 64), None)
    assert digest is not None, shown
    flight.captain("trust", "-e", "production", "--digest", digest)
    terminal = Terminal(flight, "run", "deploy", "-r", "2", "-e", "production")
    try:
        terminal.until("PRODUCTION", "Pre-deployment", "On-call engineer told")
        terminal.press("m")
        terminal.until("◆ you", "2/3")
        terminal.press("n")
        terminal.until("▌  ◆ you")
        terminal.press("s")
        terminal.until("Sign · On-call engineer told")
        terminal.press("C-s")
        terminal.until("3/3")
        terminal.press("g")
        terminal.until("Type production")
        terminal.press("production")
        terminal.press("Enter")
        terminal.until("● DEPLOY", "lock yours")
        terminal.press("n")
        terminal.until("▌  ○ todo    Roll out")
        terminal.press("a")
        terminal.until("Type production to start")
        terminal.press("production")
        terminal.press("Enter")
        terminal.until("✓ pass    Roll out")
        assert flight.serves() == "2"
        terminal.press("g")
        terminal.until("Go or no-go · Deployment")
        terminal.press("Enter")
        terminal.until("● POST")
        terminal.press("m")
        terminal.until("✗ FAIL    The check answers")
        terminal.press("R")
        terminal.until("Roll back production", "Type production")
        terminal.press("production")
        terminal.press("Enter")
        terminal.until("ROLLED BACK")
        terminal.press("q")
        the_way_back_is_proved(flight)
    finally:
        terminal.close()
