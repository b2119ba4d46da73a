"""How Google Cloud Storage is asked, through its XML API: the lists are those of S3. Asks nobody itself."""

from __future__ import annotations

import json
from datetime import datetime

from captain.errors import ProbeError
from captain.systems.backups.object_store import Access, Api
from captain.systems.backups.s3 import lists, page
from captain.systems.backups.sigv4 import GOOGLE, Key, signed, signed_by

ENDPOINT = "https://storage.googleapis.com"
_ANYWHERE = "auto"
"""Stands where a signature names a region: here it need not be the bucket's."""
_GIVE = "give captain's account the role Storage Object Viewer on the bucket"
_HINTS = {
    "AccessDenied": _GIVE,
    "AuthenticationRequired": "renew the token",
    "ExpiredToken": "renew the token",
    "InvalidAccessKeyId": "check the id of the HMAC key",
    "NoSuchBucket": "prefix is BUCKET/KEY-PREFIX; check the bucket's name",
    "RequestTimeTooSkewed": "set the clock of this machine (timedatectl)",
    "SignatureDoesNotMatch": "check the key, and that it was not revoked",
    "SlowDown": "ask again later",
}

GCS = Api(
    lists=lists,
    page=page,
    hints=_HINTS,
    metadata="x-goog-meta-",
    encrypted=lambda _: None,
    # Without it an object that was stored packed is unpacked on the way, and is no longer what was stored.
    headers={"Accept-Encoding": "gzip"},
    versioning=True,
)


def key_access(key: Key) -> Access:
    """Asks in the name of an HMAC key."""
    return Access(lambda method, url, now: signed(method, url, key, _ANYWHERE, now, GOOGLE))


def account_access(document: str, name: str) -> Access:
    """Asks in the name of a service account; `document` is its JSON key, the value of the secret `name`.

    Every request is signed here, so that no token has to be fetched. Raises ProbeError.
    """
    try:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise ProbeError(
            "backup: cryptography is not installed", fault="instrument", hint="pip install 'release-captain[objects]'"
        ) from error
    try:
        told = json.loads(document)
        email = str(told["client_email"])
        key = load_pem_private_key(told["private_key"].encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey) or not email.isascii() or not email.isprintable() or " " in email:
            raise ValueError
    except Exception:  # cryptography names no common ancestor; what it says may quote the key
        raise ProbeError(
            f"the secret {name} holds no key of a service account",
            fault="instrument",
            hint='it is the JSON file with "client_email" and "private_key" that Google Cloud gives out',
        ) from None

    def sign(text: bytes, _: str) -> str:
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256()).hex()

    def headers(method: str, url: str, now: datetime) -> dict[str, str]:
        return signed_by(method, url, email, sign, _ANYWHERE, now, GOOGLE, "RSA")

    return Access(headers)
