"""Which engine is asked, and what an image reference means there."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from captain.errors import CaptainError, ProbeError
from captain.systems.docker.changes import Changer
from captain.systems.docker.reader import Reader, endpoint, image_pin
from tests.docker_engine import Box, Engine


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker configuration with one context, `remote`."""
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"remote").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoints = {"docker": {"Host": "tcp://10.0.0.9:2375", "SkipTLSVerify": False}}
    meta.write_text(json.dumps({"Name": "remote", "Metadata": {}, "Endpoints": endpoints}))
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_the_engine_is_the_host_given_else_docker_host_else_the_context_else_the_default(contexts: Path) -> None:
    environ = {"DOCKER_HOST": "unix:///run/b.sock"}
    assert endpoint("unix:///run/a.sock", environ).url == "unix:///run/a.sock"
    assert endpoint("/run/a.sock", environ).url == "unix:///run/a.sock"
    assert endpoint(None, environ).url == "unix:///run/b.sock"
    assert endpoint(None, {}).url == "unix:///var/run/docker.sock"
    assert endpoint(None, {"DOCKER_CONTEXT": "remote"}).url == "tcp://10.0.0.9:2375"
    (contexts / "config.json").write_text('{"currentContext": "remote"}')
    assert endpoint(None, {}).url == "tcp://10.0.0.9:2375"
    assert endpoint(None, environ).url == "unix:///run/b.sock"


def test_tls_files_that_are_missing_are_the_instruments_fault(tmp_path: Path) -> None:
    environ = {"DOCKER_HOST": "tcp://10.0.0.9:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    with pytest.raises(ProbeError, match=r"Docker at tcp://10\.0\.0\.9:2376: .*TLS"):
        endpoint(None, environ)


def test_row_38_a_reader_cannot_change_anything_however_it_is_asked(docker_box: Box) -> None:
    made = docker_box.start("web")
    with Reader(endpoint(docker_box.engine.host, {}), 10) as engine:
        for change in ("stop", "start", "remove_container", "kill"):
            with pytest.raises(PermissionError, match="captain does not send"):
                getattr(engine._api, change)(made)
    assert docker_box.inspect(made)["State"]["Running"]


def test_a_change_that_the_engine_refuses_is_a_sentence(docker_box: Box) -> None:
    with Changer(endpoint(docker_box.engine.host, {}), 10) as engine:
        with pytest.raises(CaptainError, match="404 No such container") as refused:
            engine.start(docker_box.name("none"))
        docker_box.create("a")
        assert engine.create(docker_box.name("a"), {"Image": docker_box.engine.image()}) is False
        docker_box.create("b")
        assert engine.rename(docker_box.name("b"), docker_box.name("a")) is False
    assert not isinstance(refused.value, ProbeError)


def test_a_local_image_without_repository_digest_is_pinned_by_its_id(docker_engine: Engine) -> None:
    image = image_pin(docker_engine.image(), host=docker_engine.host, environ={}, seconds=10)
    assert (image.basis, image.pinned) == ("id", docker_engine.client.inspect_image(docker_engine.image())["Id"])


MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 2,
            "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
        },
        "layers": [],
    }
).encode()
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


class Registry(http.server.BaseHTTPRequestHandler):
    """Knows one image, shop:1.4.0."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        known = {"/v2/": b"{}", "/v2/shop/manifests/1.4.0": MANIFEST, f"/v2/shop/manifests/{DIGEST}": MANIFEST}
        known["/v2/shop/blobs/" + json.loads(MANIFEST)["config"]["digest"]] = b"{}"
        body = known.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", json.loads(MANIFEST)["mediaType"])
        self.send_header("Docker-Content-Digest", DIGEST)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body or b"")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_image_that_is_only_in_its_registry_is_pinned_without_pulling_it(
    docker_engine: Engine, registry: str
) -> None:
    ref = f"{registry}/shop:1.4.0"
    image = image_pin(ref, host=docker_engine.host, environ={}, seconds=10)
    assert (image.ref, image.pinned, image.digest) == (ref, f"{registry}/shop@{DIGEST}", DIGEST)
    assert image.basis == "repository"
    with Reader(endpoint(docker_engine.host, {}), 10) as engine:
        assert engine.image(ref) is None


def test_an_image_that_is_nowhere_says_so(docker_engine: Engine, registry: str) -> None:
    with pytest.raises(ProbeError, match=r"Docker at unix://.*: \d{3} "):
        image_pin(f"{registry}/shop:9.9.9", host=docker_engine.host, environ={}, seconds=10)
