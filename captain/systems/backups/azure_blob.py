"""How Azure Blob Storage is asked: requests, lists and refusals. Asks nobody itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlsplit

from captain.errors import ProbeError
from captain.systems.backups.object_store import Access, Api
from captain.systems.backups.storage_xml import Page, flat, item

_VERSION = {"x-ms-version": "2023-11-03"}
_UNUSED = 11
"""Headers that a signature covers and that no request here has, from Content-Encoding to Range."""
_SAS = re.compile(r"\??([A-Za-z0-9._~%:/+,=&-]+)")
_BLOB = "EnumerationResults/Blobs/Blob"
_GIVE = "give captain's identity the role Storage Blob Data Reader, or a SAS for reading and listing the container"
_HINTS = {
    "AuthenticationFailed": "check the key or the SAS, when it expires, and the clock of this machine",
    "AuthorizationFailure": "let the firewall of the storage account admit this machine",
    "AuthorizationPermissionMismatch": _GIVE,
    "AuthorizationProtocolMismatch": "the SAS wants https",
    "AuthorizationResourceTypeMismatch": _GIVE,
    "AuthorizationServiceMismatch": "the SAS is for another service than Blob",
    "AuthorizationSourceIPMismatch": "the SAS is for other addresses than this machine's",
    "BlobArchived": "rehydrate it: it lies in the archive tier, from which nothing can be read",
    "ContainerNotFound": "prefix is CONTAINER/KEY-PREFIX; check the container's name and `account`",
    "InvalidAuthenticationInfo": "renew the token",
    "KeyBasedAuthenticationNotPermitted": "the account admits no keys; use `token_env`",
    "PublicAccessNotPermitted": "it wants a key; leave `anonymous` out",
    "ResourceNotFound": "prefix is CONTAINER/KEY-PREFIX; without a key a private container looks like none",
    "ServerBusy": "ask again later",
}


def page(body: bytes) -> Page:
    """A page of List Blobs. Raises ValueError with a sentence for anything else."""
    found = flat(body)
    if not found or found[0][0] != "EnumerationResults":
        raise ValueError("the answer is no list of blobs")
    made = Page()
    entry: dict[str, str] = {}
    ended = False
    for path, text in found:
        parent, _, name = path.rpartition("/")
        if path == _BLOB:
            # With folders of their own, the list holds them too.
            if entry.get("ResourceType") != "directory":
                made.items.append(item(entry, "Name", "Last-Modified", "Content-Length"))
            entry = {}
        elif parent in (_BLOB, f"{_BLOB}/Properties"):
            entry[name] = text
        elif path == "EnumerationResults/NextMarker":
            made.more, ended = text or None, True
    if not ended:
        raise ValueError("the list does not say whether it goes on")
    return made


def _lists(prefix: str, most: int, more: str | None) -> dict[str, str]:
    query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": str(most)}
    return query if more is None else query | {"marker": more}


def _encrypted(headers: Mapping[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(headers.get("x-ms-server-encrypted", ""))


AZURE = Api(
    lists=_lists,
    page=page,
    hints=_HINTS,
    metadata="x-ms-meta-",
    encrypted=_encrypted,
    headers=_VERSION,
    # Without a key a private container is not there, and an account may admit nobody without one.
    closed=(401, 403, 404, 409),
    named="container",
    reach="check `account` and `endpoint`",
)


def key_access(account: str, key: str, name: str) -> Access:
    """Asks in the name of the account; `key` is the value of the secret `name`. Raises ProbeError."""
    try:
        secret = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not secret:
        raise ProbeError(
            f"the secret {name} holds no key of a storage account",
            fault="instrument",
            hint="it is one of the two under Access keys, in Base64",
        ) from None
    return Access(lambda method, url, now: shared_key(method, url, account, secret, now))


def sas_access(token: str, name: str) -> Access:
    """Asks with a shared access signature, the value of the secret `name`. Raises ProbeError."""
    match = _SAS.fullmatch(token)
    if match is None or "sig" not in dict(parse_qsl(match[1])):
        raise ProbeError(
            f"the secret {name} holds no SAS token",
            fault="instrument",
            hint="it is what stands after the ? of a URL with a SAS: sv=…&sig=…",
        )
    return Access(query=match[1])


def shared_key(method: str, url: str, account: str, secret: bytes, now: datetime) -> dict[str, str]:
    """The headers that sign a request without a body (Shared Key)."""
    parts = urlsplit(url)
    headers = {**_VERSION, "x-ms-date": format_datetime(now.astimezone(UTC), usegmt=True)}
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    asked = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
    resource = [f"/{account}{parts.path}", *(f"{name}:{value}" for name, value in asked)]
    told = "\n".join([method, *[""] * _UNUSED, *lines, *resource])
    signature = base64.b64encode(hmac.digest(secret, told.encode(), hashlib.sha256)).decode()
    return headers | {"authorization": f"SharedKey {account}:{signature}"}
