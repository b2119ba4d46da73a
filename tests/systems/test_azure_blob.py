"""Pages of Azure Blob Storage, and answers that are none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from captain.systems.backups.azure_blob import page, sas_access, shared_key
from captain.systems.backups.gcs import key_access
from captain.systems.backups.object_store import token_access
from captain.systems.backups.sigv4 import Key

NOW = datetime(2026, 11, 23, 3, 4, 11, tzinfo=UTC)
LIST = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="https://acme.blob.core.windows.net/" ContainerName="shop"><Prefix>pg/</Prefix>
<Blobs><Blob><Name>pg/a&amp;b.dump</Name><Properties><Creation-Time>Sun, 22 Nov 2026 03:04:11 GMT</Creation-Time>
<Last-Modified>Mon, 23 Nov 2026 03:04:11 GMT</Last-Modified><Etag>0x8</Etag><Content-Length>5</Content-Length>
<Content-Encoding /><BlobType>BlockBlob</BlobType></Properties><OrMetadata /></Blob>
<Blob><Name>pg/old</Name><Properties><Last-Modified>Mon, 23 Nov 2026 03:04:11 GMT</Last-Modified>
<ResourceType>directory</ResourceType><Content-Length>0</Content-Length></Properties></Blob></Blobs>
<NextMarker>next</NextMarker></EnumerationResults>""".encode()


def test_a_page_is_read_with_the_way_to_the_next() -> None:
    found = page(LIST)
    assert [(one.key, one.modified, one.size) for one in found.items] == [("pg/a&b.dump", NOW, 5)]
    assert found.more == "next"
    assert page(LIST.replace(b"<NextMarker>next</NextMarker>", b"<NextMarker />")).more is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html><body>console</body></html>", "no list of blobs"),
        (b"<ListBucketResult/>", "no list of blobs"),
        (LIST[:-30], "no XML"),
        (LIST.replace(b"<NextMarker>next</NextMarker>", b""), "whether it goes on"),
        (LIST.replace(b"<Content-Length>5</Content-Length>", b""), "no key, time or size"),
        (LIST.replace(b">5<", b">-5<"), "no size"),
        (LIST.replace(b"Mon, 23 Nov 2026 03:04:11 GMT", b"yesterday"), "no key, time or size"),
        (LIST.replace(b"Mon, 23 Nov 2026 03:04:11 GMT", b"Mon, 23 Nov 2026 03:04:11 -0000"), "no time zone"),
    ],
)
def test_an_answer_that_is_no_list_is_none(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        page(body)


def test_the_documented_example_is_signed_as_documented() -> None:
    """The text to sign of the documentation's GET of a container's metadata, with a key of our own."""
    import base64
    import hashlib
    import hmac

    url = "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20"
    moment = datetime(2015, 6, 26, 23, 39, 12, tzinfo=UTC)
    made = shared_key("GET", url, "myaccount", b"key", moment)
    text = (
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2023-11-03\n"
        "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    )
    signature = base64.b64encode(hmac.digest(b"key", text.encode(), hashlib.sha256)).decode()
    assert made["authorization"] == f"SharedKey myaccount:{signature}"


def test_a_way_in_is_not_shown() -> None:
    ways = [sas_access("sig=planted", "X"), token_access("planted", "X"), key_access(Key("id", "planted"))]
    assert [repr(way) for way in ways] == ["Access()"] * 3
