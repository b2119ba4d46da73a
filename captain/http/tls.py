"""Whom TLS connections trust: the machine's authorities, or one file. Nothing of it comes from the environment."""

from __future__ import annotations

import ssl
import sys
from functools import lru_cache
from pathlib import Path

from captain.errors import ProbeError

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


def context(ca_file: Path | None, verify: bool) -> ssl.SSLContext:
    """A context shared by the whole process: loading the authorities costs 16 ms of computing time each.

    Raises ProbeError where there are no authorities to load.
    """
    if not verify:
        return _unverified()
    if ca_file is None:
        return _system()
    try:
        return _private(str(ca_file), ca_file.stat().st_mtime_ns)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ProbeError(f"cannot load ca_file {ca_file}: {reason}", hint="a PEM file of certificates") from error


@lru_cache(maxsize=8)
def _private(ca_file: str, _changed: int) -> ssl.SSLContext:
    made = _fresh()
    made.load_verify_locations(cafile=ca_file)
    return made


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    made = _fresh()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


@lru_cache(maxsize=1)
def _system() -> ssl.SSLContext:
    if sys.platform in ("darwin", "win32"):
        import truststore

        native = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        native.minimum_version = ssl.TLSVersion.TLSv1_2
        return native
    # Here truststore would follow SSL_CERT_FILE and load the authorities again for every connection.
    made = _fresh()
    compiled = ssl.get_default_verify_paths()
    folder = Path(compiled.openssl_capath)
    if Path(compiled.openssl_cafile).is_file():
        made.load_verify_locations(cafile=compiled.openssl_cafile)
    elif folder.is_dir() and any(folder.glob("*.0")):
        made.load_verify_locations(capath=str(folder))
    else:
        bundle = next((path for path in _BUNDLES if Path(path).is_file()), None)
        if bundle is None:
            raise ProbeError("this machine has no certificate authorities", hint="install ca-certificates, or ca_file")
        made.load_verify_locations(cafile=bundle)
    return made


def _fresh() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made
