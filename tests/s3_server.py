"""A server that speaks like S3, on loopback, with buckets of a test's own. It checks signatures when told to."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.postgres_server import free_port
from tests.requirements import need

KEY_ID = "AKIAEXAMPLE"
SECRET = "planted/s3cret@bucket"
"""Nothing that captain shows may hold it."""

OWNER = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@dataclass
class S3Server:
    """Buckets are made through `put`."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request in the owner's name, whose signature nobody checks unless `guarded`."""
        headers.setdefault("Authorization", OWNER)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def bucket(self) -> str:
        """A new bucket."""
        name = f"shop-{secrets.token_hex(4)}"
        assert self.call("PUT", f"/{name}")[0] == 200
        return name

    def put(self, bucket: str, key: str, body: bytes, **headers: str) -> None:
        assert self.call("PUT", f"/{bucket}/{key}", body, **headers)[0] == 200

    @contextlib.contextmanager
    def guarded(self) -> Iterator[dict[str, str]]:
        """Signatures and rights count meanwhile; the secrets of somebody who may list and read."""
        user = self._iam("CreateUser", UserName=secrets.token_hex(4))
        name = _inner(user, "UserName")
        document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
        self._iam("PutUserPolicy", UserName=name, PolicyName="all", PolicyDocument=document)
        key = self._iam("CreateAccessKey", UserName=name)
        self.call("POST", "/moto-api/reset-auth", b"0")
        try:
            yield {
                "AWS_ACCESS_KEY_ID": _inner(key, "AccessKeyId"),
                "AWS_SECRET_ACCESS_KEY": _inner(key, "SecretAccessKey"),
            }
        finally:
            self.call("POST", "/moto-api/reset-auth", b"inf")

    def _iam(self, action: str, **parameters: str) -> str:
        status, body = self.call(
            "POST",
            "/",
            urlencode({"Action": action, "Version": "2010-05-08", **parameters}).encode(),
            Content_Type="application/x-www-form-urlencoded",
            Authorization=OWNER.replace("/s3/", "/iam/"),
        )
        assert status == 200, body
        return body.decode()


def _inner(document: str, name: str) -> str:
    return document.partition(f"<{name}>")[2].partition("</")[0]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server for the whole session."""
    try:
        import moto.server  # noqa: F401
    except ImportError:
        need("moto", "pip install 'moto[s3,server]'")
    port = free_port()
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    made = S3Server(port, process)
    try:
        _until_it_answers(made, log)
        yield made
    finally:
        process.terminate()
        process.wait(10)


def _until_it_answers(server: S3Server, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert server.process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        try:
            server.call("GET", "/moto-api/")
        except OSError:
            time.sleep(0.05)
        else:
            return
