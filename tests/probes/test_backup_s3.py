"""Backups in a bucket: a real server on loopback, and servers that misbehave."""

from __future__ import annotations

import hashlib
import socket
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from tests.dumps import Dumps
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers
from tests.probes.backup_asking import ask, verdict
from tests.s3_server import KEY_ID, SECRET, S3Server

KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
MIB = 1024 * 1024


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


async def look(server: S3Server, prefix: str, **keys: Any) -> Measurement:
    secrets = keys.pop("secrets", KEYS)
    found = await ask(Path("/"), source="s3", prefix=prefix, endpoint=server.url, secrets=secrets, **keys)
    assert SECRET not in repr(found)
    return found


async def refusal(server: S3Server, prefix: str, **keys: Any) -> ProbeError:
    with pytest.raises(ProbeError) as raised:
        await look(server, prefix, **keys)
    assert SECRET not in f"{raised.value.message} {raised.value.hint}"
    assert raised.value.fault != "subject"
    return raised.value


@pytest.mark.parametrize("format_", ["custom", "tar", "text"])
async def test_a_fresh_dump_in_a_bucket_is_read_from_there(s3_server: S3Server, dumps: Dumps, format_: str) -> None:
    bucket = s3_server.bucket()
    data = dumps.path(format_).read_bytes()
    s3_server.put(bucket, "pg/shop.dump", data)
    s3_server.put(bucket, "pg/shop.dump.sha256", hashlib.sha256(data).hexdigest().encode())
    found = await look(s3_server, f"{bucket}/pg/", engine="postgres")
    assert verdict(found) is Verdict.PASS, found.notes
    assert found.observed["newest_key"] == "pg/shop.dump"
    assert (found.observed["count"], found.observed["sha256_match"]) == (1, True)


@pytest.mark.parametrize("format_", ["custom", "tar", "text"])
async def test_f15_a_cut_dump_in_a_bucket_fails(s3_server: S3Server, dumps: Dumps, format_: str) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "pg/shop.dump", dumps.path(format_).read_bytes()[:-2048])
    assert verdict(await look(s3_server, f"{bucket}/pg/", engine="postgres")) is Verdict.FAIL


async def test_only_the_beginning_is_fetched_for_a_list(s3_server: S3Server, dumps: Dumps) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "shop.dump", dumps.path("custom").read_bytes())
    found = await look(s3_server, bucket, verify="list")
    assert found.observed["tables"] == 2 and "valid" not in found.observed


async def test_a_digest_in_the_metadata_must_fit(s3_server: S3Server, dumps: Dumps) -> None:
    bucket = s3_server.bucket()
    data = dumps.path("custom").read_bytes()
    s3_server.put(bucket, "a.dump", data, x_amz_meta_sha256=hashlib.sha256(data).hexdigest())
    assert (await look(s3_server, bucket)).observed["sha256_match"] is True
    s3_server.put(bucket, "a.dump", data, x_amz_meta_sha256="0" * 64)
    found = await look(s3_server, bucket)
    assert (found.observed["sha256_match"], found.observed["valid"]) == (False, False)


async def test_more_than_one_page_is_listed_to_its_end(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    for number in range(1003):
        s3_server.put(bucket, f"pg/{number:04}.dump", b"x")
    found = await look(s3_server, f"{bucket}/pg/", verify="none")
    assert found.observed["count"] == 1003
    assert found.observed["newest_key"] == "pg/1002.dump", "which stands on the second page"


async def test_encryption_versions_and_region_are_what_the_server_says(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "a.dump", b"x")
    plain = (await look(s3_server, bucket, verify="none")).observed
    assert (plain["encrypted"], plain["versioned"]) == (False, False)
    setting = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    s3_server.call("PUT", f"/{bucket}?versioning", setting)
    s3_server.put(bucket, "b.dump", b"x", x_amz_server_side_encryption="AES256")
    kept = (await look(s3_server, bucket, verify="none")).observed
    assert (kept["encrypted"], kept["versioned"]) == (True, True)


async def test_a_bucket_is_public_when_nobody_asks_for_a_key(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "a.dump", b"x")
    assert (await look(s3_server, bucket, verify="none")).observed["public"] is True


@pytest.mark.parametrize(
    ("listed", "read", "public"),
    [(403, 403, False), (401, 403, False), (403, 200, True), (200, 403, True), (403, 500, None), (302, 403, None)],
)
async def test_a_bucket_that_wants_a_key_is_not_public(
    servers: Servers, listed: int, read: int, public: bool | None
) -> None:
    def talk(peer: socket.socket) -> None:
        request = peer.recv(65536).lower()
        if b"authorization: aws4-hmac-sha256" in request:
            peer.sendall(answer(LIST))
        elif request:
            peer.sendall(answer(b"", status=f"{listed if b'list-type' in request else read} x"))

    url = servers.talk(talk).url
    found = await ask(Path("/"), source="s3", prefix="shop/p/", endpoint=url, secrets=KEYS, verify="none")
    assert found.observed.get("public") is public
    assert any("public is not known" in note for note in found.notes) is (public is None)


async def test_a_server_that_checks_signatures_takes_captains(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "pg/a b+c(1)~.dump".replace(" ", "%20"), b"x" * 2000)
    with s3_server.guarded() as secrets:
        found = await look(s3_server, f"{bucket}/pg/a b", secrets=secrets)
    assert found.observed["newest_key"] == "pg/a b+c(1)~.dump"
    assert "sha256" in found.observed, "it was read as well as listed"


async def test_a_wrong_key_is_unknown_and_says_what_to_check(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "a.dump", b"x")
    with s3_server.guarded() as secrets:
        wrong = {**secrets, "AWS_SECRET_ACCESS_KEY": SECRET}
        refused = await refusal(s3_server, bucket, secrets=wrong)
        assert "403 SignatureDoesNotMatch" in refused.message and refused.hint == "check the secret key"
        refused = await refusal(s3_server, bucket)
        assert "403 InvalidAccessKeyId" in refused.message and refused.hint == "check the access key"


async def test_a_missing_secret_is_named(s3_server: S3Server) -> None:
    refused = await refusal(s3_server, "shop/pg/", secrets={})
    assert refused.message == "the secret AWS_ACCESS_KEY_ID is not set"


async def test_a_bucket_that_is_not_there_is_unknown(s3_server: S3Server) -> None:
    refused = await refusal(s3_server, "no-such-bucket-here/pg/")
    assert "404 NoSuchBucket" in refused.message and "BUCKET/KEY-PREFIX" in str(refused.hint)
    assert refused.fault == "instrument"


async def test_nothing_below_a_prefix_fails_only_where_the_place_is_proven(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    assert verdict(await look(s3_server, bucket)) is Verdict.FAIL, "the bucket itself is there and empty"
    refused = await refusal(s3_server, f"{bucket}/pg/")
    assert "nor beside it" in refused.message and refused.fault == "instrument"
    s3_server.put(bucket, "media/x", b"x")
    found = await look(s3_server, f"{bucket}/pg/")
    assert found.observed == {"count": 0, "unfinished": 0} and verdict(found) is Verdict.FAIL
    refused = await refusal(s3_server, f"{bucket}/db/pg/")
    assert "nor beside it" in refused.message


async def test_a_folder_marker_is_no_backup(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "pg/", b"")
    assert (await look(s3_server, f"{bucket}/pg/")).observed["count"] == 0


@pytest.mark.parametrize("manner", MANNERS)
async def test_a_server_that_misbehaves_costs_neither_time_nor_memory(
    hostile_server: HostileServer, manner: str
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n<ListBucketResult>"
    port = hostile_server.port(manner, after=head if manner != "silent" else b"")
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(ProbeError) as raised:
            await ask(
                Path("/"), source="s3", prefix="shop/p/", endpoint=f"http://127.0.0.1:{port}", secrets=KEYS, seconds=1
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 1.5
    assert peak < 40 * MIB
    assert raised.value.fault != "subject" and SECRET not in raised.value.message


LIST = (
    b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/a.dump</Key>"
    b"<LastModified>2026-11-23T03:04:11Z</LastModified><Size>100000000</Size></Contents></ListBucketResult>"
)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize("manner", ["silent", "drip", "flood", "die"])
async def test_a_list_stands_where_the_backup_itself_does_not_come(servers: Servers, manner: str) -> None:
    def talk(peer: socket.socket) -> None:
        request = peer.recv(65536)
        if b"list-type" in request:
            peer.sendall(answer(LIST, "Date: Mon, 23 Nov 2026 04:04:11 GMT"))
        elif b"a.dump HTTP" in request and request.startswith(b"GET"):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n-- MySQL dump 10.13\n")
            while manner == "flood":
                peer.sendall(b"INSERT INTO t VALUES (1);\n" * 1000)
            while manner == "drip":
                peer.sendall(b"x")
                time.sleep(0.1)
            if manner == "silent":
                peer.recv(1)
        else:
            peer.sendall(answer(b"", status="404 Not Found"))

    url = servers.talk(talk).url
    began = time.monotonic()
    tracemalloc.start()
    try:
        found = await ask(Path("/"), source="s3", prefix="shop/p/", endpoint=url, secrets=KEYS, seconds=1.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 2
    assert peak < 16 * MIB
    assert found.observed["count"] == 1 and found.observed["newest_age"].total_seconds() == 3600  # type: ignore[union-attr]
    assert found.observed.get("valid") is (False if manner == "flood" else None)


async def test_a_server_that_repeats_its_pages_is_left(servers: Servers) -> None:
    body = LIST.replace(b"false", b"true").replace(
        b"<Contents>", b"<NextContinuationToken>x</NextContinuationToken><Contents>"
    )

    def talk(peer: socket.socket) -> None:
        if peer.recv(65536):
            peer.sendall(answer(body))

    url = servers.talk(talk).url
    with pytest.raises(ProbeError, match="does not end"):
        await ask(Path("/"), source="s3", prefix="shop/p/", endpoint=url, secrets=KEYS)


def error(code: str, status: int, *headers: str) -> bytes:
    return answer(f"<Error><Code>{code}</Code></Error>".encode(), *headers, status=f"{status} x")


@pytest.mark.parametrize(
    ("reply", "words", "hint", "fault"),
    [
        (
            error("PermanentRedirect", 301, "x-amz-bucket-region: eu-central-1"),
            "301 PermanentRedirect",
            "write region: eu-central-1",
            "instrument",
        ),
        (error("SlowDown", 503), "503 SlowDown", "later", "unclear"),
        (error("AccessDenied", 403), "AccessDenied", "ListBucket", "instrument"),
        (error("RequestTimeTooSkewed", 403), "RequestTimeTooSkewed", "clock", "instrument"),
        (answer(b"<html>console</html>"), "no list of objects", "the store's API", "unclear"),
        (answer(b"", status="429 x"), "429", "None", "unclear"),
    ],
    ids=["region", "slow", "denied", "clock", "console", "limit"],
)
async def test_what_a_server_refuses_is_unknown_with_what_to_do(
    servers: Servers, reply: bytes, words: str, hint: str, fault: str
) -> None:
    def talk(peer: socket.socket) -> None:
        if peer.recv(65536):
            peer.sendall(reply)

    with pytest.raises(ProbeError) as raised:
        await ask(Path("/"), source="s3", prefix="shop/p/", endpoint=servers.talk(talk).url, secrets=KEYS)
    assert words in raised.value.message and hint in str(raised.value.hint)
    assert raised.value.fault == fault


async def test_nobody_listens_is_unknown(free_port: int) -> None:
    with pytest.raises(ProbeError, match="connection refused") as raised:
        await ask(Path("/"), source="s3", prefix="shop/p/", endpoint=f"http://127.0.0.1:{free_port}", secrets=KEYS)
    assert raised.value.fault == "unclear"


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def test_credentials_of_the_machine_are_never_used(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient")
    refused = await refusal(s3_server, "shop/pg/", secrets={})
    assert "is not set" in refused.message
    with pytest.raises(ProbeError, match="link-local address, which captain never asks"):
        await ask(Path("/"), source="s3", prefix="shop/p", endpoint="http://169.254.169.254", secrets=KEYS)


async def test_a_plain_endpoint_on_the_network_is_remarked_on(servers: Servers) -> None:
    from captain.probes.backup import BackupProbe

    def remarks(endpoint: str) -> list[str]:
        return BackupProbe(source="s3", prefix="shop", endpoint=endpoint)._remarks()

    assert remarks("http://minio:9000") and not remarks("http://127.0.0.1:9000") and not remarks("https://minio")
    assert remarks("http://127.0.0.1.example.com")
