"""Which store of objects a source is: how it is spoken to, its address, and in whose name. Asks nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from captain.systems.backups import azure_blob, gcs, s3
from captain.systems.backups.object_store import Access, Api, token_access
from captain.systems.backups.sigv4 import Key

Source = Literal["s3", "gcs", "azure"]
APIS: dict[Source, Api] = {"s3": s3.S3, "gcs": gcs.GCS, "azure": azure_blob.AZURE}


@dataclass(frozen=True, slots=True)
class Names:
    """The secrets that lead in, by name; which of them count, depends on the source."""

    key_id: str
    secret_key: str
    token: str | None = None
    service_account: str | None = None
    sas: str | None = None


def address(source: Source, region: str, account: str) -> str:
    """Where it is asked if nobody says otherwise."""
    if source == "azure":
        return f"https://{account}.blob.core.windows.net"
    return gcs.ENDPOINT if source == "gcs" else f"https://s3.{region}.amazonaws.com"


def access(source: Source, names: Names, secret: Callable[[str], str], region: str, account: str) -> Access:
    """The way in; `secret` gives the value of one. Raises ProbeError for what cannot be one."""
    if source == "s3":
        token = None if names.token is None else secret(names.token)
        return s3.key_access(Key(secret(names.key_id), secret(names.secret_key), token), region)
    if names.token is not None:
        return token_access(secret(names.token), names.token)
    if names.service_account is not None:
        return gcs.account_access(secret(names.service_account), names.service_account)
    if names.sas is not None:
        return azure_blob.sas_access(secret(names.sas), names.sas)
    if source == "gcs":
        return gcs.key_access(Key(secret(names.key_id), secret(names.secret_key)))
    return azure_blob.key_access(account, secret(names.secret_key), names.secret_key)
