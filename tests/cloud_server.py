"""Stand-ins for Google Cloud Storage and Azure Blob Storage on loopback: one bucket, the documented answers.

They check signatures with code of their own, know who may ask, list two objects on a page and answer GET and HEAD.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from captain.clock import SystemClock

BUCKET = "shop-backups"
ACCOUNT = "shopaccount"
EMAIL = "captain@shop.iam.gserviceaccount.com"
TOKEN = "ya29.planted-s3cret-token"
HMAC_ID = "GOOG1EXAMPLE"
HMAC_SECRET = "planted/s3cret+hmac"
ACCOUNT_KEY = base64.b64encode(b"planted-s3cret-account-key").decode()
SAS = "sv=2023-11-03&sr=c&sp=rl&sig=planted%2Fs3cret%3D"
PLANTED = "s3cret"
"""Part of every secret above."""
PER_PAGE = 2


@dataclass
class Stored:
    """One object."""

    body: bytes
    modified: datetime
    headers: dict[str, str]
    directory: bool = False


@dataclass
class Cloud:
    """The bucket, and what happened to it. `name` is gcs or azure."""

    name: str
    port: int = 0
    objects: dict[str, Stored] = field(default_factory=dict)
    public: bool = False
    versioned: bool | None = False
    """None lets nobody see it."""
    rights: frozenset[str] = frozenset(("list", "read"))
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(
        self,
        key: str,
        body: bytes,
        modified: datetime | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        directory: bool = False,
    ) -> None:
        self.objects[key] = Stored(body, modified or SystemClock().now(), dict(headers or {}), directory)

    @cached_property
    def account_key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(65537, 2048)

    def account_document(self, **more: str) -> str:
        """The JSON key of a service account, as Google gives it out."""
        from cryptography.hazmat.primitives import serialization as shape

        pem = self.account_key.private_bytes(shape.Encoding.PEM, shape.PrivateFormat.PKCS8, shape.NoEncryption())
        return json.dumps({"type": "service_account", "client_email": EMAIL, "private_key": pem.decode(), **more})

    def who(self, method: str, target: str, headers: Mapping[str, str]) -> str:
        """`owner`, `nobody`, or the code of the error for a wrong key."""
        said = headers.get("authorization", "")
        if self.name == "azure" and "sig=" in target:
            return "owner" if target.endswith(SAS) else "AuthenticationFailed"
        if not said:
            return "nobody"
        if said.startswith("Bearer "):
            wrong = "AuthenticationRequired" if self.name == "gcs" else "InvalidAuthenticationInfo"
            return "owner" if said == f"Bearer {TOKEN}" else wrong
        if self.name == "azure":
            mine = f"SharedKey {ACCOUNT}:{azure_signature(method, target, headers, ACCOUNT, ACCOUNT_KEY)}"
            return "owner" if said == mine else "AuthenticationFailed"
        return "owner" if self._signed(method, target, headers, said) else "SignatureDoesNotMatch"

    def _signed(self, method: str, target: str, headers: Mapping[str, str], said: str) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        algorithm, _, rest = said.partition(" ")
        parts = dict(part.split("=", 1) for part in rest.split(", "))
        who, day, *scope = parts["Credential"].split("/")
        text = google_text(method, target, headers, parts["SignedHeaders"], algorithm, "/".join([day, *scope]))
        if algorithm == "GOOG4-RSA-SHA256":
            try:
                self.account_key.public_key().verify(
                    bytes.fromhex(parts["Signature"]), text, padding.PKCS1v15(), hashes.SHA256()
                )
            except InvalidSignature:
                return False
            return who == EMAIL
        key = b"GOOG4" + HMAC_SECRET.encode()
        for one in (day, *scope):
            key = hmac.new(key, one.encode(), hashlib.sha256).digest()
        fits = hmac.compare_digest(hmac.new(key, text, hashlib.sha256).hexdigest(), parts["Signature"])
        return fits and who == HMAC_ID and algorithm == "GOOG4-HMAC-SHA256"


def google_text(method: str, target: str, headers: Mapping[str, str], names: str, algorithm: str, scope: str) -> bytes:
    """What a V4 signature of Cloud Storage signs."""
    path, _, query = target.partition("?")
    assert scope.endswith("/auto/storage/goog4_request") and "host" in names.split(";")
    asked = "&".join(sorted(query.split("&"))) if query else ""
    lines = "".join(f"{name}:{headers[name]}\n" for name in names.split(";"))
    request = f"{method}\n{path}\n{asked}\n{lines}\n{names}\n{headers['x-goog-content-sha256']}"
    return f"{algorithm}\n{headers['x-goog-date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}".encode()


def azure_signature(method: str, target: str, headers: Mapping[str, str], account: str, key: str) -> str:
    """The Shared Key signature of a request without a body."""
    parts = urlsplit(target)
    fixed = ["content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"]
    fixed += ["if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"]
    text = f"{method}\n" + "".join(f"{headers.get(name, '')}\n" for name in fixed)
    text += "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-"))
    text += f"/{account}{parts.path}"
    for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True)):
        text += f"\n{name}:{value}"
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


class _Handler(BaseHTTPRequestHandler):
    cloud: Cloud
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        cloud, azure = self.cloud, self.cloud.name == "azure"
        headers = {name.lower(): value for name, value in self.headers.items()}
        cloud.requests.append((self.command, self.path, headers))
        bucket, _, key = unquote(urlsplit(self.path).path)[1:].partition("/")
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        who = cloud.who(self.command, self.path, headers)
        if who == "nobody" and not cloud.public:
            return self._refuse(404, "ResourceNotFound") if azure else self._refuse(403, "AccessDenied")
        if who not in ("nobody", "owner"):
            return self._refuse(401 if who in ("AuthenticationRequired", "InvalidAuthenticationInfo") else 403, who)
        if bucket != BUCKET:
            return self._refuse(404, "ContainerNotFound" if azure else "NoSuchBucket")
        if ("read" if key else "list") not in cloud.rights:
            return self._refuse(403, "AuthorizationPermissionMismatch" if azure else "AccessDenied")
        if key:
            return self._object(key, headers)
        if "versioning" in query:
            return self._versioning()
        return self._say(200, _azure_list(cloud, query) if azure else _google_list(cloud, query))

    def _versioning(self) -> None:
        if self.cloud.versioned is None:
            return self._refuse(403, "AccessDenied")
        status = "<Status>Enabled</Status>" if self.cloud.versioned else ""
        return self._say(200, f"<VersioningConfiguration>{status}</VersioningConfiguration>".encode())

    def _object(self, key: str, asked: Mapping[str, str]) -> None:
        stored = self.cloud.objects.get(key)
        if stored is None:
            return self._refuse(404, "BlobNotFound" if self.cloud.name == "azure" else "NoSuchKey")
        if stored.headers.get("x-ms-access-tier") == "Archive" and self.command == "GET":
            return self._refuse(409, "BlobArchived")
        body, headers = stored.body, dict(stored.headers)
        if headers.get("Content-Encoding") == "gzip" and "gzip" not in asked.get("accept-encoding", ""):
            import gzip

            body = gzip.decompress(body)
            del headers["Content-Encoding"]
        return self._say(200, body, **headers)

    def _refuse(self, status: int, code: str) -> None:
        mark = "\ufeff" if self.cloud.name == "azure" else ""
        text = f'{mark}<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>no.</Message></Error>'
        self._say(status, text.encode())

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _cut(cloud: Cloud, query: Mapping[str, str], most: str, after: str) -> tuple[list[tuple[str, Stored]], str]:
    """The objects of one page, and the name of the last one where there are more."""
    fits = [key for key in sorted(cloud.objects) if key.startswith(query["prefix"]) and key > query.get(after, "")]
    shown = fits[: min(int(query[most]), PER_PAGE)]
    return [(key, cloud.objects[key]) for key in shown], shown[-1] if len(fits) > len(shown) else ""


def _google_list(cloud: Cloud, query: Mapping[str, str]) -> bytes:
    assert query["list-type"] == "2"
    shown, more = _cut(cloud, query, "max-keys", "continuation-token")
    lines = ["<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>"]
    lines.append(f"<Name>{BUCKET}</Name><IsTruncated>{'true' if more else 'false'}</IsTruncated>")
    if more:
        lines.append(f"<NextContinuationToken>{escape(more)}</NextContinuationToken>")
    for key, stored in shown:
        at = stored.modified.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lines.append(f"<Contents><Key>{escape(key)}</Key><Generation>1</Generation><MetaGeneration>1</MetaGeneration>")
        lines.append(f"<LastModified>{at}</LastModified><Size>{len(stored.body)}</Size></Contents>")
    return "".join([*lines, "</ListBucketResult>"]).encode()


def _azure_list(cloud: Cloud, query: Mapping[str, str]) -> bytes:
    assert (query["restype"], query["comp"]) == ("container", "list")
    shown, more = _cut(cloud, query, "maxresults", "marker")
    lines = ['\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="x"><Blobs>']
    for key, stored in shown:
        at = format_datetime(stored.modified, usegmt=True)
        kind = "<ResourceType>directory</ResourceType>" if stored.directory else ""
        lines.append(f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{at}</Last-Modified>{kind}")
        lines.append(f"<Content-Length>{len(stored.body)}</Content-Length><ServerEncrypted>true</ServerEncrypted>")
        lines.append("</Properties><OrMetadata /></Blob>")
    end = f"<NextMarker>{escape(more)}</NextMarker>" if more else "<NextMarker />"
    return "".join([*lines, f"</Blobs>{end}</EnumerationResults>"]).encode()


def _served(name: str) -> Iterator[Cloud]:
    cloud = Cloud(name)
    handler = type("Handler", (_Handler,), {"cloud": cloud})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    cloud.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield cloud
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def gcs_server() -> Iterator[Cloud]:
    """A bucket of Google Cloud Storage."""
    yield from _served("gcs")


@pytest.fixture
def azure_server() -> Iterator[Cloud]:
    """A container of Azure Blob Storage."""
    yield from _served("azure")


@pytest.fixture(params=["gcs", "azure"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Either of them."""
    yield from _served(request.param)
