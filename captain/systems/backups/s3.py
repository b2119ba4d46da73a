"""How S3, and what speaks like it, is asked: requests, lists and refusals. Asks nobody itself."""

from __future__ import annotations

from collections.abc import Mapping

from captain.systems.backups.object_store import Access, Api
from captain.systems.backups.sigv4 import Key, signed
from captain.systems.backups.storage_xml import Page, flat, item

_GIVE = "give captain's key s3:ListBucket and s3:GetObject there"
_HINTS = {
    "AccessDenied": _GIVE,
    "AllAccessDisabled": _GIVE,
    "ExpiredToken": "renew the temporary key",
    "InvalidAccessKeyId": "check the access key",
    "InvalidToken": "renew the temporary key",
    "NoSuchBucket": "prefix is BUCKET/KEY-PREFIX; check the bucket's name and `endpoint`",
    "RequestTimeTooSkewed": "set the clock of this machine (timedatectl)",
    "SignatureDoesNotMatch": "check the secret key",
    "SlowDown": "ask again later",
}


def lists(prefix: str, most: int, more: str | None) -> dict[str, str]:
    """The query for one page of a list."""
    query = {"list-type": "2", "prefix": prefix, "max-keys": str(most)}
    return query if more is None else query | {"continuation-token": more}


def page(body: bytes) -> Page:
    """A page of ListObjectsV2. Raises ValueError with a sentence for anything else."""
    found = flat(body)
    if not found or found[0][0] != "ListBucketResult":
        raise ValueError("the answer is no list of objects")
    made = Page()
    entry: dict[str, str] = {}
    cut = False
    for path, text in found:
        parent, _, name = path.rpartition("/")
        if path == "ListBucketResult/Contents":
            made.items.append(item(entry, "Key", "LastModified", "Size"))
            entry = {}
        elif parent == "ListBucketResult/Contents":
            entry[name] = text
        elif path == "ListBucketResult/NextContinuationToken":
            made.more = text
        elif path == "ListBucketResult/IsTruncated":
            cut = text == "true"
    if cut and not made.more:
        raise ValueError("the list is cut, and says not how it goes on")
    if not cut:
        made.more = None
    return made


def _encrypted(headers: Mapping[str, str]) -> bool:
    return "x-amz-server-side-encryption" in headers


S3 = Api(
    lists=lists,
    page=page,
    hints=_HINTS,
    metadata="x-amz-meta-",
    encrypted=_encrypted,
    versioning=True,
    region="x-amz-bucket-region",
)


def key_access(key: Key, region: str) -> Access:
    """Asks in the name of an access key."""
    return Access(lambda method, url, now: signed(method, url, key, region, now))
