"""Backups in Google Cloud Storage and Azure Blob Storage: stand-ins on loopback, and servers that misbehave."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes.backup import BackupProbe
from tests.cloud_server import (
    ACCOUNT,
    ACCOUNT_KEY,
    BUCKET,
    HMAC_ID,
    HMAC_SECRET,
    PLANTED,
    SAS,
    TOKEN,
    Cloud,
    azure_signature,
)
from tests.dumps import Dumps
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers
from tests.probes.backup_asking import ask, verdict

MIB = 1024 * 1024
NOW = SystemClock().now()
WAYS: dict[str, dict[str, str]] = {
    "gcs": {"token_env": "GCS_TOKEN"},
    "azure": {"account": ACCOUNT, "token_env": "AZURE_TOKEN"},
}


def secrets_of(cloud: Cloud) -> dict[str, str]:
    made = {"GCS_TOKEN": TOKEN, "AZURE_TOKEN": TOKEN, "HMAC_ID": HMAC_ID, "HMAC_SECRET": HMAC_SECRET}
    made |= {"ACCOUNT_KEY": ACCOUNT_KEY, "SAS": SAS, "SAS_AS_PASTED": f"?{SAS}"}
    return made | ({"ACCOUNT": cloud.account_document()} if cloud.name == "gcs" else {})


async def look(cloud: Cloud, prefix: str = f"{BUCKET}/pg/", **keys: Any) -> Measurement:
    secrets = keys.pop("secrets", None) or secrets_of(cloud)
    way = keys.pop("way", WAYS[cloud.name])
    found = await ask(
        Path("/"), **{"source": cloud.name, "prefix": prefix, "endpoint": cloud.url, "secrets": secrets, **way, **keys}
    )
    assert PLANTED not in repr(found) and "PRIVATE KEY" not in repr(found)
    return found


async def refusal(cloud: Cloud, prefix: str = f"{BUCKET}/pg/", **keys: Any) -> ProbeError:
    with pytest.raises(ProbeError) as raised:
        await look(cloud, prefix, **keys)
    assert PLANTED not in f"{raised.value.message} {raised.value.hint}"
    assert raised.value.fault != "subject"
    return raised.value


@pytest.mark.parametrize("format_", ["custom", "text"])
async def test_a_fresh_dump_is_read_from_the_store(cloud: Cloud, dumps: Dumps, format_: str) -> None:
    data = dumps.path(format_).read_bytes()
    cloud.put("pg/shop.dump", data)
    cloud.put("pg/shop.dump.sha256", hashlib.sha256(data).hexdigest().encode())
    found = await look(cloud, engine="postgres")
    assert verdict(found) is Verdict.PASS, found.notes
    assert found.observed["newest_key"] == "pg/shop.dump"
    assert (found.observed["count"], found.observed["sha256_match"]) == (1, True)
    assert {method for method, _, _ in cloud.requests} == {"GET", "HEAD"}


@pytest.mark.parametrize("format_", ["custom", "text"])
async def test_f15_a_cut_dump_in_the_store_fails(cloud: Cloud, dumps: Dumps, format_: str) -> None:
    cloud.put("pg/shop.dump", dumps.path(format_).read_bytes()[:-2048])
    assert verdict(await look(cloud, engine="postgres")) is Verdict.FAIL


async def test_a_stale_backup_in_the_store_fails(cloud: Cloud, dumps: Dumps) -> None:
    cloud.put("pg/shop.dump", dumps.path("custom").read_bytes(), NOW - timedelta(hours=27))
    assert verdict(await look(cloud)) is Verdict.FAIL


@pytest.mark.parametrize(
    "way",
    [
        {"service_account_env": "ACCOUNT"},
        {"key_id_env": "HMAC_ID", "secret_key_env": "HMAC_SECRET"},
        {"token_env": "GCS_TOKEN"},
    ],
    ids=["service account", "hmac key", "token"],
)
async def test_google_takes_captains_name_in_each_of_its_ways(gcs_server: Cloud, way: dict[str, str]) -> None:
    gcs_server.put("pg/a b+c(1)~ü.dump", b"x" * 2000)
    found = await look(gcs_server, f"{BUCKET}/pg/a b", way=way)
    assert found.observed["newest_key"] == "pg/a b+c(1)~ü.dump"
    assert "sha256" in found.observed, "it was read as well as listed"
    assert found.observed["public"] is False and "encrypted" not in found.observed


@pytest.mark.parametrize(
    "way",
    [{"secret_key_env": "ACCOUNT_KEY"}, {"sas_env": "SAS"}, {"sas_env": "SAS_AS_PASTED"}, {"token_env": "AZURE_TOKEN"}],
    ids=["account key", "sas", "sas with its question mark", "token"],
)
async def test_azure_takes_captains_name_in_each_of_its_ways(azure_server: Cloud, way: dict[str, str]) -> None:
    azure_server.put("pg/a b+c(1)~ü.dump", b"x" * 2000, headers={"x-ms-server-encrypted": "true"})
    found = await look(azure_server, f"{BUCKET}/pg/a b", way={"account": ACCOUNT, **way})
    assert found.observed["newest_key"] == "pg/a b+c(1)~ü.dump"
    assert "sha256" in found.observed, "it was read as well as listed"
    assert (found.observed["public"], found.observed["encrypted"]) == (False, True)
    assert "versioned" not in found.observed and "region" not in found.observed


def test_the_stand_in_counts_signatures_as_another_library_does() -> None:
    """What object_store, a library in Rust, sent with a key."""
    headers = {"date": "Thu, 26 Nov 2026 21:48:51 GMT", "x-ms-version": "2023-11-03"}
    target = "/c?restype=container&comp=list&prefix=p%2F"
    mine = azure_signature("GET", target, headers, "acct", "QU1CSUVOVA==")
    assert mine == "/mYw53M2fghKoMGP9n/cB+bKcLHD/lMm4r/6ZLIxVtg="


async def test_a_digest_in_the_metadata_must_fit(cloud: Cloud, dumps: Dumps) -> None:
    data = dumps.path("custom").read_bytes()
    name = "x-goog-meta-sha256" if cloud.name == "gcs" else "x-ms-meta-sha256"
    cloud.put("pg/a.dump", data, headers={name: hashlib.sha256(data).hexdigest()})
    assert (await look(cloud)).observed["sha256_match"] is True
    cloud.put("pg/a.dump", data, headers={name: "0" * 64})
    found = await look(cloud)
    assert (found.observed["sha256_match"], found.observed["valid"]) == (False, False)


async def test_every_page_is_listed_and_the_prefix_is_a_prefix(cloud: Cloud) -> None:
    for number in range(7):
        cloud.put(f"pg/shop-{number}.dump", b"x", NOW - timedelta(hours=7 - number))
    cloud.put("pg/shopping", b"x")
    cloud.put("pg//shop", b"x")
    found = await look(cloud, f"{BUCKET}/pg/shop-", verify="none")
    assert (found.observed["count"], found.observed["newest_key"]) == (7, "pg/shop-6.dump")
    assert (await look(cloud, verify="none")).observed["count"] == 9


async def test_a_backup_is_as_old_as_the_stores_clock_says(cloud: Cloud, dumps: Dumps) -> None:
    cloud.put("pg/shop.dump", dumps.path("custom").read_bytes())
    found = await look(cloud, verify="none", at=NOW + timedelta(days=300))
    assert found.observed["newest_age"] < timedelta(minutes=1)  # type: ignore[operator]


async def test_folders_are_no_backups(cloud: Cloud) -> None:
    cloud.put("pg/", b"")
    cloud.put("pg/old", b"", directory=cloud.name == "azure")
    assert (await look(cloud)).observed["count"] == (0 if cloud.name == "azure" else 1)


@pytest.mark.parametrize("versioned", [True, False, None])
async def test_google_tells_whether_it_keeps_old_versions(gcs_server: Cloud, versioned: bool | None) -> None:
    gcs_server.versioned = versioned
    gcs_server.put("pg/a.dump", b"x")
    found = await look(gcs_server, verify="none")
    assert found.observed.get("versioned") is versioned
    assert any("versioned is not known" in note for note in found.notes) is (versioned is None)


async def test_what_is_stored_packed_is_read_as_it_was_stored(gcs_server: Cloud, dumps: Dumps) -> None:
    data = gzip.compress(dumps.path("text").read_bytes())
    headers = {"Content-Encoding": "gzip", "x-goog-meta-sha256": hashlib.sha256(data).hexdigest()}
    gcs_server.put("pg/a.sql.gz", data, headers=headers)
    found = await look(gcs_server, engine="postgres")
    assert (found.observed["valid"], found.observed["sha256_match"]) == (True, True), found.notes


async def test_a_store_that_asks_nobody_for_a_key_is_public(cloud: Cloud) -> None:
    cloud.put("pg/a.dump", b"x")
    cloud.public = True
    assert (await look(cloud, verify="none")).observed["public"] is True
    way = {"anonymous": "true"} | ({"account": ACCOUNT} if cloud.name == "azure" else {})
    assert (await look(cloud, verify="none", way=way)).observed["count"] == 1
    cloud.public = False
    refused = await refusal(cloud, way=way)
    assert "403 AccessDenied" in refused.message or "404 ResourceNotFound" in refused.message
    assert refused.fault == "instrument"


WRONG_WAYS = [
    ("gcs", {"token_env": "WRONG"}, "401 AuthenticationRequired", "renew the token"),
    ("gcs", {"key_id_env": "HMAC_ID", "secret_key_env": "WRONG"}, "403 SignatureDoesNotMatch", "check the key"),
    ("azure", {"token_env": "WRONG"}, "401 InvalidAuthenticationInfo", "renew the token"),
    ("azure", {"secret_key_env": "WRONG64"}, "403 AuthenticationFailed", "the clock"),
    ("azure", {"sas_env": "WRONG_SAS"}, "403 AuthenticationFailed", "expires"),
    ("gcs", {"service_account_env": "WRONG"}, "WRONG holds no key of a service account", "private_key"),
    ("gcs", {"service_account_env": "NO_PEM"}, "NO_PEM holds no key of a service account", "private_key"),
    ("azure", {"secret_key_env": "NO_BASE64"}, "NO_BASE64 holds no key of a storage account", "Base64"),
    ("azure", {"sas_env": "URL"}, "URL holds no SAS token", "after the ?"),
    ("azure", {"sas_env": "WRONG"}, "WRONG holds no SAS token", "after the ?"),
    ("gcs", {"token_env": "TWO_LINES"}, "TWO_LINES holds no access token", "one word"),
    ("gcs", {"token_env": "UNSET"}, "the secret UNSET is not set", "declare it"),
]


@pytest.mark.parametrize(("name", "way", "words", "hint"), WRONG_WAYS)
async def test_a_wrong_key_is_unknown_and_says_what_to_check(
    name: str, way: dict[str, str], words: str, hint: str, request: pytest.FixtureRequest
) -> None:
    cloud: Cloud = request.getfixturevalue(f"{name}_server")
    cloud.put("pg/a.dump", b"x")
    wrong = {
        "WRONG": "ya29.s3cret-of-another",
        "WRONG64": "czNjcmV0",
        "WRONG_SAS": "sv=2023-11-03&sig=s3cret-of-another",
        "NO_PEM": json.dumps({"client_email": "a@b.c", "private_key": "s3cret"}),
        "NO_BASE64": "s3cret, not a key",
        "URL": f"https://x.blob.core.windows.net/c?{SAS}",
        "TWO_LINES": "s3cret\r\nX-Injected: 1",
    }
    if name == "azure":
        way = {"account": ACCOUNT, **way}
    refused = await refusal(cloud, way=way, secrets={**secrets_of(cloud), **wrong})
    assert words in refused.message and hint in str(refused.hint)
    assert refused.fault == "instrument"


async def test_a_missing_library_says_how_to_get_it(gcs_server: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = secrets_of(gcs_server)
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives", None)
    refused = await refusal(gcs_server, way={"service_account_env": "ACCOUNT"}, secrets=secrets)
    assert refused.message == "backup: cryptography is not installed"
    assert refused.hint == "pip install 'release-captain[objects]'"


async def test_a_bucket_that_is_not_there_is_unknown(cloud: Cloud) -> None:
    refused = await refusal(cloud, "no-such-bucket-here/pg/")
    assert "404 " in refused.message and "/KEY-PREFIX" in str(refused.hint)
    assert refused.fault == "instrument"


async def test_no_right_to_list_is_unknown_and_names_the_right(cloud: Cloud) -> None:
    cloud.put("pg/a.dump", b"x")
    cloud.rights = frozenset(("read",))
    refused = await refusal(cloud)
    assert "403 " in refused.message
    assert ("Viewer" if cloud.name == "gcs" else "Reader") in str(refused.hint)


async def test_no_right_to_read_leaves_validity_unknown(cloud: Cloud) -> None:
    cloud.put("pg/a.dump", b"x" * 2000)
    cloud.rights = frozenset(("list",))
    found = await look(cloud)
    assert found.observed["count"] == 1 and "valid" not in found.observed and "encrypted" not in found.observed
    assert verdict(found) is Verdict.UNKNOWN


async def test_what_lies_in_the_archive_is_not_valid_unread(azure_server: Cloud) -> None:
    azure_server.put("pg/a.dump", b"x" * 2000, headers={"x-ms-access-tier": "Archive"})
    found = await look(azure_server)
    assert "valid" not in found.observed and "rehydrate" in str(found.observed["trouble"])


async def test_nothing_below_a_prefix_fails_only_where_the_place_is_proven(cloud: Cloud) -> None:
    assert verdict(await look(cloud, BUCKET)) is Verdict.FAIL, "the bucket itself is there and empty"
    assert "nor beside it" in (await refusal(cloud)).message
    cloud.put("media/x", b"x")
    found = await look(cloud)
    assert found.observed == {"count": 0, "unfinished": 0} and verdict(found) is Verdict.FAIL
    assert "nor beside it" in (await refusal(cloud, f"{BUCKET}/db/pg/")).message


async def test_nothing_of_the_machine_leads_into_a_store(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Variables, files and the metadata server, each as the makers' own libraries would use them."""
    elsewhere = tmp_path / ".config/gcloud/application_default_credentials.json"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(Cloud("gcs").account_document())
    ambient = {
        "HOME": str(tmp_path),
        "GOOGLE_APPLICATION_CREDENTIALS": str(elsewhere),
        "GOOGLE_SERVICE_ACCOUNT_KEY": elsewhere.read_text(),
        "GOOGLE_BUCKET": "another",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
        "AZURE_STORAGE_KEY": ACCOUNT_KEY,
        "AZURE_STORAGE_SAS_TOKEN": SAS,
        "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": HMAC_ID,
        "AWS_SECRET_ACCESS_KEY": HMAC_SECRET,
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }
    for name, value in ambient.items():
        monkeypatch.setenv(name, value)
    way = {"anonymous": "true"} | ({"account": ACCOUNT} if cloud.name == "azure" else {})
    await refusal(cloud, way=way)
    (_, target, headers) = cloud.requests[-1]
    assert "authorization" not in headers and "sig=" not in target
    with pytest.raises(ProbeError, match="is not set"):
        await look(cloud, secrets={"ANOTHER": "x"})
    refused = await refusal(cloud, endpoint="http://169.254.169.254", way=way)
    assert "link-local address, which captain never asks" in refused.message


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("name", ["gcs", "azure"])
async def test_a_server_that_misbehaves_costs_neither_time_nor_memory(
    hostile_server: HostileServer, manner: str, name: str
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n<EnumerationResults>"
    port = hostile_server.port(manner, after=head if manner != "silent" else b"")
    cloud = Cloud(name, port)
    way = {"account": ACCOUNT, "sas_env": "SAS"} if name == "azure" else WAYS["gcs"]
    tracemalloc.start()
    began = time.monotonic()
    try:
        await refusal(cloud, seconds=1, way=way, secrets={"SAS": SAS, "GCS_TOKEN": TOKEN})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 1.5
    assert peak < 40 * MIB


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


LISTS = {
    "gcs": b"<ListBucketResult><IsTruncated>%s</IsTruncated>%s</ListBucketResult>",
    "azure": b"<EnumerationResults><Blobs></Blobs>%s%s</EnumerationResults>",
}


@pytest.mark.parametrize("name", ["gcs", "azure"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><body>Sign in</body></html>", "is no list of"),
        (b"{}", "no XML"),
        (b"", "no XML"),
        ("no end", "the list"),
        ("repeats", "does not end"),
    ],
)
async def test_what_is_no_whole_list_is_never_an_empty_one(
    servers: Servers, name: str, body: bytes | str, words: str
) -> None:
    if isinstance(body, str):
        more = b"<NextContinuationToken>x</NextContinuationToken>" if name == "gcs" else b"<NextMarker>x</NextMarker>"
        body = LISTS[name] % (b"true" if name == "gcs" else b"", more if body == "repeats" else b"")
    sent = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def talk(peer: socket.socket) -> None:
        if peer.recv(65536):
            peer.sendall(sent)

    refused = await refusal(Cloud(name, servers.talk(talk).port), secrets=secrets_of(Cloud("azure")))
    assert words in refused.message


async def test_an_account_that_is_not_there_says_what_to_check(cloud: Cloud) -> None:
    closed = Cloud(cloud.name, 9)
    refused = await refusal(closed, secrets=secrets_of(cloud))
    assert "connection refused" in refused.message and refused.fault == "unclear"
    assert ("`account`" in str(refused.hint)) is (cloud.name == "azure")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"source": "gcs"}, "needs `prefix`"),
        ({"source": "azure", "prefix": "box", "token_env": "T"}, "needs `account`"),
        ({"source": "azure", "prefix": "box", "account": "Shop/..", "token_env": "T"}, "not the name of"),
        ({"source": "gcs", "prefix": "bucket"}, "takes one of `service_account_env`"),
        ({"source": "gcs", "prefix": "bucket", "anonymous": "false"}, "takes one of"),
        ({"source": "gcs", "prefix": "bucket", "token_env": "T", "anonymous": "true"}, "takes one of"),
        ({"source": "gcs", "prefix": "bucket", "secret_key_env": "K"}, "stand together"),
        ({"source": "gcs", "prefix": "bucket", "token_env": "T", "key_id_env": "K"}, "stand together"),
        ({"source": "gcs", "prefix": "bucket", "token_env": "T", "region": "eu"}, "`region` belongs to source s3"),
        ({"source": "gcs", "prefix": "bucket", "sas_env": "T"}, "`sas_env` belongs to source azure"),
        ({"source": "azure", "prefix": "box", "account": "abc", "sas_env": "T", "secret_key_env": "K"}, "takes one of"),
        (
            {"source": "gcs", "prefix": "bucket", "token_env": "T", "endpoint": "http://store.example.com"},
            "no TLS",
        ),
    ],
)
def test_a_file_that_leaves_the_way_in_open_is_refused(keys: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        BackupProbe.model_validate(keys)


def test_the_question_names_the_store_and_no_key() -> None:
    def asks(**keys: str) -> str:
        return BackupProbe.model_validate(keys).asks()

    assert asks(source="gcs", prefix="shop/pg/", token_env="T") == "backups in gs://shop/pg/"
    assert (
        asks(source="azure", prefix="shop/pg/", account="acme", sas_env="T")
        == "backups in https://acme.blob.core.windows.net/shop/pg/"
    )
