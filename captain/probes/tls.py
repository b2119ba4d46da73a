"""The kind `tls`: what a server's certificate and versions of TLS are, whether they verify or not."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal, TypedDict

from captain.fields import Bool, Host, Port, Text
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, probe
from captain.systems.web.certificate import Certificate, NotACertificate, read_certificate
from captain.systems.web.starttls import Protocol
from captain.systems.web.tcp import address
from captain.systems.web.tls import Legacy, Server

_MARGIN = 0.9
"""Share of the attempt's time that is waited, so that a sentence comes before the attempt's end."""
_LEGACY = {"TLSv1.2": ["TLSv1.0", "TLSv1.1"], "TLSv1.3": ["TLSv1.0", "TLSv1.1", "TLSv1.2"]}


@probe("tls")
class TlsProbe(Probe):
    """Does a server's certificate verify, how long does it last, and which old versions of TLS does it speak?

    Where the certificate does not verify, captain shakes hands once more without verification, so that days_left,
    issuer and san_match are told all the same. Then one hello for each version older than `min_version`; where this
    machine's OpenSSL does not offer such a version, legacy_accepted is left out rather than called empty.

    MySQL and MariaDB count a handshake that is broken off as an error of the client's host, and at
    max_connect_errors (100) shut out everything on that host until somebody logs in from it. captain ends with a
    login that is denied, which is not counted; each legacy version tried, and each certificate that does not
    verify, still counts one.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("verified", "days_left >= 21", "size(legacy_accepted) == 0")
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "fail: refused, reset, closed, no handshake in time, no TLS offered, nothing newer than TLSv1.1; on_error "
        "decides (unknown): name not resolved, no connection in time, an answer that is not TLS; unknown: captain's "
        "own files and limits; a certificate that does not verify is observed, not an error"
    )
    example: ClassVar[str] = """\
id: certificate-valid
title: The certificate is valid for three more weeks
tls: { host: shop.example.com }
expect: ['verified', 'days_left >= 21', 'size(legacy_accepted) == 0']"""

    host: Host
    """A name or an address."""
    port: Port = 443
    """From 1 to 65535."""
    sni: Host | None = None
    """The name that is asked for and that the certificate must have, default `host`."""
    starttls: Protocol = "none"
    """How the server is asked to begin with TLS: PostgreSQL's or MySQL's way, without a login."""
    min_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    """Versions older than this are legacy."""
    probe_legacy: Bool | None = None
    """Try the legacy versions, each on a connection of its own; default true, but false for MySQL."""
    ca_file: Text | None = None
    """Certificate authorities to trust instead of the machine's, a PEM file."""

    class Observes(TypedDict, total=False):
        """What the handshakes showed."""

        verified: Annotated[bool, "the chain, the dates and the host verify"]
        verify_error: Annotated[str, "why not, in OpenSSL's words"]
        verify_class: Annotated[str, "why not: expired, not_yet_valid, wrong_host, unknown_ca, self_signed or other"]
        days_left: Annotated[int, "whole days until the server's certificate expires, negative once it has"]
        not_after: Annotated[datetime, "when it expires"]
        issuer: Annotated[str, "who issued it: CN=…, O=…"]
        subject: Annotated[str, "whom it names"]
        san_match: Annotated[bool, "its alternative names hold the host"]
        key_bits: Annotated[int, "size of its key"]
        protocol: Annotated[str, "the version agreed on: TLSv1.3 or TLSv1.2"]
        cipher: Annotated[str, "the cipher agreed on"]
        legacy_accepted: Annotated[list[str], "versions older than min_version that it speaks: TLSv1.0, TLSv1.1, …"]
        legacy_untestable: Annotated[list[str], "versions that this machine's OpenSSL cannot try"]
        ip: Annotated[str, "the address that answered"]

    def asks(self) -> str:
        how = "" if self.starttls == "none" else f" ({self.starttls})"
        named = f" as {self.sni}" if self.sni else ""
        return f"TLS of {address(self.host, self.port)}{named}{how}"

    async def measure(self, ctx: Context) -> Measurement:
        name = self.sni or self.host
        server = Server(self.host, self.port, name, self.starttls, ctx.timeout, _MARGIN)
        shown = await server.shown(None if self.ca_file is None else ctx.root / self.ca_file)
        observed: dict[str, Value] = {
            "verified": shown.verify_error is None,
            "protocol": shown.session.protocol,
            "cipher": shown.session.cipher,
            "ip": shown.ip,
        }
        notes: list[str] = []
        if shown.verify_error is not None:
            observed |= {"verify_error": shown.verify_error, "verify_class": shown.verify_class}
        if shown.verify_class == "unknown_ca":
            notes.append("its authority is not trusted here, or the server does not send the certificates between")
        try:
            certificate = read_certificate(shown.session.der)
        except NotACertificate as error:
            notes.append(f"the certificate could not be read: {error}")
        else:
            observed |= _of_certificate(certificate, name, ctx)
        if self.probe_legacy is None and self.starttls == "mysql":
            notes.append("legacy versions were not tried: MySQL counts each try against this host (probe_legacy)")
        elif self.probe_legacy is not False:
            found = await server.legacy(_LEGACY[self.min_version])
            observed |= _of_legacy(found)
            notes += _notes(found)
        return Measurement(observed=observed, asked=self.asks(), notes=tuple(notes))


def _of_certificate(certificate: Certificate, name: str, ctx: Context) -> dict[str, Value]:
    found: dict[str, Value] = {
        "days_left": (certificate.not_after - ctx.clock.now()).days,
        "not_after": certificate.not_after,
        "issuer": ctx.clip(certificate.issuer),
        "subject": ctx.clip(certificate.subject),
        "san_match": certificate.names(name),
    }
    if certificate.key_bits is not None:
        found["key_bits"] = certificate.key_bits
    return found


def _of_legacy(found: Legacy) -> dict[str, Value]:
    """One version that is spoken is a defect whatever else could not be tried; none spoken must have been tried."""
    observed: dict[str, Value] = {"legacy_untestable": [*found.untestable]}
    if found.accepted or not (found.untestable or found.unclear):
        observed["legacy_accepted"] = [*found.accepted]
    return observed


def _notes(found: Legacy) -> list[str]:
    notes = [f"could not try {one}" for one in found.unclear]
    if found.untestable:
        notes.append(f"this machine's OpenSSL does not offer {', '.join(found.untestable)}")
    return notes
