"""A real registry of images on loopback, which an engine may use without TLS."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.docker_engine import Engine
from tests.requirements import need


@dataclass
class Registry:
    """A registry and what was pushed to it through one engine."""

    address: str
    """127.0.0.1:PORT."""
    engine: Engine
    tags: list[str] = field(default_factory=list)

    def push(self, version: str, tag: str, repository: str = "shop") -> str:
        """Push an image that serves `version`; the reference it has then."""
        # One of its own: an image keeps the digest that a registry gave it, and other tests look at theirs.
        image = self.engine.image(version, "LABEL captain.pushed=yes")
        ref = f"{self.address}/{repository}"
        self.engine.client.tag(image, ref, tag)
        for line in self.engine.client.push(ref, tag, stream=True, decode=True):
            assert "error" not in line, line
        self.tags.append(f"{ref}:{tag}")
        return f"{ref}:{tag}"

    def forget(self, ref: str) -> None:
        """The engine has it no more."""
        self.engine.client.remove_image(ref)


@pytest.fixture(scope="session")
def image_registry(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry; gone with everything in it when the session ends."""
    program = shutil.which("docker-registry")
    need("docker registry", None if program else "docker-registry is not installed")
    home = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = home / "config.yml"
    settings.write_text(
        f"version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {home / 'data'} }} }}\n"
        f"http: {{ addr: '{address}', secret: {secrets.token_hex(8)} }}\n"
    )
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([str(program), "serve", str(settings)], stdout=log, stderr=log)
    made = Registry(address, docker_engine)
    try:
        _wait(made, process)
        yield made
    finally:
        for tag in made.tags:
            with contextlib.suppress(Exception):
                docker_engine.client.remove_image(tag, force=True)
        process.terminate()
        process.wait(10)


def _wait(made: Registry, process: subprocess.Popen[bytes]) -> None:
    host, _, port = made.address.partition(":")
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        assert process.poll() is None and time.monotonic() < deadline, (
            f"docker-registry does not listen on {made.address}"
        )
        time.sleep(0.05)
