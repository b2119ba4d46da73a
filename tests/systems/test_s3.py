"""Signatures as Amazon wants them, and answers that are not what they should be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from captain.systems.backups.s3 import page
from captain.systems.backups.sigv4 import Key, path_text, query_text, signed
from captain.systems.backups.storage_xml import texts

NOW = datetime(2026, 11, 23, 3, 4, 11, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "session/token=="])
@pytest.mark.parametrize(
    ("method", "base", "key", "query"),
    [
        (
            "GET",
            "https://s3.eu-central-1.amazonaws.com",
            "",
            {"list-type": "2", "prefix": "pg/ a+b=c&ü"},
        ),
        ("HEAD", "http://127.0.0.1:9000", "pg/shop 2026-11-23 (1)+~é'*.dump", {}),
        ("GET", "https://minio.example.com:9443", "a//b", {"versioning": ""}),
    ],
)
def test_a_signature_is_the_one_of_amazons_own_library(
    method: str, base: str, key: str, query: dict[str, str], token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = pytest.importorskip("botocore.auth")
    requests, credentials = pytest.importorskip("botocore.awsrequest"), pytest.importorskip("botocore.credentials")

    class Moment(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return NOW

        @classmethod
        def utcnow(cls) -> datetime:  # type: ignore[override]
            return NOW.replace(tzinfo=None)

    class Module:
        datetime = Moment
        timezone = __import__("datetime").timezone

    monkeypatch.setattr("botocore.auth.datetime", Module if hasattr(auth.datetime, "datetime") else Moment)
    if hasattr(auth, "get_current_datetime"):
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None))
    url = base + path_text("shop", key) + (f"?{query_text(query)}" if query else "")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    theirs = requests.AWSRequest(method=method, url=url, headers={"x-amz-content-sha256": empty})
    auth.S3SigV4Auth(credentials.Credentials("AKIA", "secret", token), "s3", "eu-central-1").add_auth(theirs)
    ours = signed(method, url, Key("AKIA", "secret", token), "eu-central-1", NOW)
    assert ours["authorization"] == theirs.headers["Authorization"]


def test_a_key_is_not_shown() -> None:
    assert repr(Key("AKIA", "planted", "planted")) == "Key(id='AKIA')"


LIST = b"""<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>shop</Name>
<IsTruncated>true</IsTruncated><NextContinuationToken>next==</NextContinuationToken>
<Contents><Key>pg/a&amp;b.dump</Key><LastModified>2026-11-23T03:04:11.000Z</LastModified><Size>5</Size></Contents>
<Contents><Key>pg/c</Key><LastModified>2026-11-22T03:04:11.000Z</LastModified><Size>6</Size>
<Owner><ID>x</ID></Owner></Contents></ListBucketResult>"""


def test_a_page_is_read_with_the_way_to_the_next() -> None:
    found = page(LIST)
    assert [(one.key, one.size) for one in found.items] == [("pg/a&b.dump", 5), ("pg/c", 6)]
    assert found.items[0].modified == NOW
    assert found.more == "next=="
    assert page(LIST.replace(b"true", b"false")).more is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html><body>console</body></html>", "no list of objects"),
        (b"{}", "no XML"),
        (b"", "no XML"),
        (LIST[:-30], "no XML"),
        (LIST.replace(b"<Size>5</Size>", b""), "no key, time or size"),
        (LIST.replace(b"<Size>5</Size>", b"<Size>-5</Size>"), "no size"),
        (LIST.replace(b"11.000Z</LastModified><Size>5", b"11</LastModified><Size>5"), "no time zone"),
        (LIST.replace(b"<NextContinuationToken>next==</NextContinuationToken>", b""), "how it goes on"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult>&a;</ListBucketResult>', "document type"),
        (b"<a>" * 100, "larger than any answer"),
        (b"<ListBucketResult>" + b"<a/>" * 60_000 + b"</ListBucketResult>", "larger than any answer"),
    ],
)
def test_an_answer_that_is_no_list_is_none(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        page(body)


def test_errors_and_settings_are_read_by_name() -> None:
    assert texts(b"<Error><Code>NoSuchBucket</Code><Message>x</Message></Error>")["Code"] == "NoSuchBucket"
    assert texts(b"not found") == {}
