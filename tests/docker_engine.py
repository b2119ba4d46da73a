"""A real Docker engine for tests: the one that runs, else one of our own, never two on one machine.

`docker_engine` lives as long as the session; `docker_box` starts containers and removes just those. Images are made
of a static busybox, so no registry is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.requirements import need

DEFAULT_SOCKET = "/var/run/docker.sock"
BUSYBOX = shutil.which("busybox")
APPLETS = ("sh", "httpd", "sleep", "wget", "true", "false", "cat", "touch", "test", "kill", "id", "ls")


@dataclass
class Engine:
    """One engine and what this test run made in it."""

    host: str
    client: Any
    """docker.APIClient."""
    run: str
    """Prefix of every name this test run makes, and the value of the label `captain.test`."""
    images: dict[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """What a program or a probe needs to find the engine."""
        return {"PATH": os.environ.get("PATH", os.defpath), "DOCKER_HOST": self.host}

    def image(self, version: str = "1", *changes: str, repository: str = "web") -> str:
        """The reference of an image that serves /version and /cgi-bin/check on 8080; version 2 answers the latter 500.

        `changes` are Dockerfile instructions: `USER 1000`, `HEALTHCHECK --interval=1s CMD ["true"]`.
        """
        key = (repository, version, *changes)
        if key not in self.images:
            ref = f"{self.run}-{repository}:{version}" + (f"-{len(self.images)}" if changes else "")
            name, tag = ref.rsplit(":", 1)
            asked = ['CMD ["httpd","-f","-p","8080","-h","/www"]', "EXPOSE 8080", f"LABEL captain.test={self.run}"]
            self.client.import_image_from_data(_files(version), repository=name, tag=tag, changes=[*asked, *changes])
            self.images[key] = ref
        return self.images[key]


@dataclass
class Box:
    """Containers, networks and volumes of one test; gone when it ends."""

    engine: Engine
    prefix: str
    networks: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def name(self, suffix: str) -> str:
        return f"{self.prefix}-{suffix}"

    def create(self, suffix: str, image: str | None = None, **config: Any) -> str:
        """Create a container named `name(suffix)` and return its id. `config` are keys of the engine's API."""
        labels = {"captain.test": self.prefix, **config.pop("Labels", {})}
        # busybox as process 1 ignores TERM; without this every stop takes ten seconds.
        body = {"Image": image or self.engine.image(), "Labels": labels, "StopSignal": "SIGKILL", **config}
        body.setdefault("HostConfig", {}).setdefault("NetworkMode", "none")
        return str(self.engine.client.create_container_from_config(body, name=self.name(suffix))["Id"])

    def start(self, suffix: str, image: str | None = None, **config: Any) -> str:
        """Create and start."""
        made = self.create(suffix, image, **config)
        self.engine.client.start(made)
        return made

    def network(self, suffix: str, **options: Any) -> str:
        name = self.name(suffix)
        self.engine.client.create_network(name, driver="bridge", **options)
        self.networks.append(name)
        return name

    def volume(self, suffix: str) -> str:
        name = self.name(suffix)
        self.engine.client.create_volume(name)
        self.volumes.append(name)
        return name

    def inspect(self, ref: str) -> dict[str, Any]:
        return dict(self.engine.client.inspect_container(ref))

    def until(self, ref: str, true: Callable[[dict[str, Any]], bool], seconds: float = 15) -> dict[str, Any]:
        """The container's inspect document once `true` holds for it."""
        deadline = time.monotonic() + seconds
        while True:
            document = self.inspect(ref)
            if true(document):
                return document
            assert time.monotonic() < deadline, document["State"]
            time.sleep(0.05)

    def ours(self) -> list[str]:
        """Names of the containers of this test, kept and re-created ones too."""
        listed = self.engine.client.containers(all=True, filters={"label": f"captain.test={self.prefix}"})
        return sorted(name.removeprefix("/") for one in listed for name in one["Names"])

    def clean(self) -> None:
        client = self.engine.client
        for one in client.containers(all=True, filters={"label": f"captain.test={self.prefix}"}):
            client.remove_container(one["Id"], force=True, v=True)
        for network in self.networks:
            client.remove_network(network)
        for volume in self.volumes:
            client.remove_volume(volume, force=True)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """An engine to work in. It is the only one on this machine, and nobody else's things in it are touched."""
    import docker

    need("docker engine", None if BUSYBOX else "busybox-static is not installed")
    with contextlib.ExitStack() as stack:
        host = os.environ.get("DOCKER_HOST") or (f"unix://{DEFAULT_SOCKET}" if _answers(DEFAULT_SOCKET) else None)
        if host is None:
            host = stack.enter_context(_own_engine())
        client = docker.APIClient(base_url=host, version="auto", timeout=60)
        stack.callback(client.close)
        engine = Engine(host=host, client=client, run=f"ct{secrets.token_hex(3)}")
        yield engine
        for ref in engine.images.values():
            client.remove_image(ref, force=True)


@pytest.fixture
def docker_box(docker_engine: Engine) -> Iterator[Box]:
    """A place for the containers of one test."""
    box = Box(docker_engine, f"{docker_engine.run}-{secrets.token_hex(2)}")
    yield box
    box.clean()


@contextlib.contextmanager
def _own_engine() -> Iterator[str]:
    """Start an engine, or join the one another test run started; the last to leave ends it."""
    program = shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    need("docker engine", None if program else "none runs and dockerd is not installed")
    need("docker engine", None if os.geteuid() == 0 else "none runs and starting one needs root")
    home = Path(tempfile.gettempdir()) / "captain-test-engine"
    home.mkdir(mode=0o700, exist_ok=True)
    sock = home / "docker.sock"
    with (home / "users").open("w") as users:
        with _alone(home):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not _answers(str(sock)):
                _start(str(program), home, sock)
        yield f"unix://{sock}"
        with _alone(home), contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop(home)


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Nobody else starts or ends the engine meanwhile."""
    with (home / "mutex").open("w") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        yield


def _start(program: str, home: Path, sock: Path) -> None:
    (home / "pid").unlink(missing_ok=True)
    arguments = [
        *("--data-root", str(home / "data"), "--exec-root", str(home / "exec"), "--pidfile", str(home / "pid")),
        *("--host", f"unix://{sock}", "--group", "root"),
        # Enough for user networks and published ports on loopback, and the machine's firewall stays as it is.
        *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"),
    ]
    for driver in ("overlay2", "vfs"):
        # Through setsid, so that the engine belongs to no test run and the last one can end it.
        with (home / "log").open("wb") as log:
            subprocess.run(
                ["setsid", "--fork", program, *arguments, "--storage-driver", driver],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                timeout=30,
            )
        deadline = time.monotonic() + 45
        while time.monotonic() < deadline:
            if _answers(str(sock)):
                return
            time.sleep(0.05)
            if b"failed to start daemon" in (home / "log").read_bytes():
                break
        _stop(home, keep_log=True)
    tail = (home / "log").read_text(errors="replace").strip().splitlines()[-1:]
    need("docker engine", f"dockerd does not start: {' '.join(tail)[-300:]}")


def _stop(home: Path, *, keep_log: bool = False) -> None:
    """End the engine by its pid, once it is certain that the pid is this engine's."""
    try:
        pid = int((home / "pid").read_text())
        mine = str(home / "data").encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        mine = False
    if mine:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline, f"dockerd {pid} does not end"
            time.sleep(0.05)
    # The namespaces of a host-network container stay mounted after the engine's end.
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if (mounted := line.split(" ")[1]).startswith(f"{home}/"):
            subprocess.run(["umount", "--lazy", mounted], check=False, timeout=30)
    for left in ("data", "exec"):
        shutil.rmtree(home / left, ignore_errors=True)
    for left in ("docker.sock", "pid", *(() if keep_log else ("log",))):
        (home / left).unlink(missing_ok=True)


def _answers(path: str) -> bool:
    """Whether an engine answers there: a socket file alone may be left over."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(path)
            sock.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in sock.recv(64)
    except OSError:
        return False


def _files(version: str) -> bytes:
    """A root file system: busybox and a small site."""
    assert BUSYBOX is not None
    status = "200 OK" if version == "1" else "500 Internal Server Error"
    files: dict[str, tuple[bytes, int]] = {
        "bin/busybox": (Path(BUSYBOX).read_bytes(), 0o755),
        "www/version": (version.encode(), 0o644),
        "www/cgi-bin/check": (f"#!/bin/sh\nprintf 'Status: {status}\\r\\n\\r\\n{status}'\n".encode(), 0o755),
        "etc/passwd": (b"root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n", 0o644),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
        data = tarfile.TarInfo("data")
        data.type, data.mode = tarfile.DIRTYPE, 0o777
        archive.addfile(data)
    return made.getvalue()
