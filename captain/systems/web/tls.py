"""What a server shows in TLS: its certificate, whether it verifies, and which old versions it still speaks.

A client without a verdict: at most one handshake with verification, one without, and one hello for each old version.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from captain.errors import ProbeError
from captain.http.tls import context
from captain.safe import safe
from captain.systems.web.handshake import LIMIT, Channel, Session, TooMuch, accepted, first_answer, old_hello
from captain.systems.web.starttls import Protocol, ask_for_tls, take_leave
from captain.systems.web.tcp import Connection, address, judged, opened

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_CLASSES = {
    2: "unknown_ca",
    9: "not_yet_valid",
    10: "expired",
    18: "self_signed",
    19: "unknown_ca",
    20: "unknown_ca",
    21: "unknown_ca",
    62: "wrong_host",
    64: "wrong_host",
}
_TOO_OLD = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the handshake showed."""

    session: Session
    ip: str
    verify_error: str | None
    """OpenSSL's words, None where the certificate verifies."""
    verify_class: str | None


@dataclass(slots=True)
class Legacy:
    """Which old versions a server speaks, as far as it could be told."""

    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    untestable: list[str] = field(default_factory=list)
    """Those that this machine's OpenSSL does not offer."""
    unclear: list[str] = field(default_factory=list)
    """Sentences about those where nothing could be told."""


class Server:
    """One server that is asked several times under one deadline."""

    def __init__(self, host: str, port: int, name: str, starttls: Protocol, timeout: timedelta, share: float) -> None:
        self.asked = f"TLS of {address(host, port)}"
        self._host = host
        self._port = port
        self._name = name
        self._starttls = starttls
        self._timeout = timeout
        self._deadline = asyncio.get_running_loop().time() + timeout.total_seconds() * share

    async def shown(self, ca_file: Path | None) -> Shown:
        """Its certificate, verified or not. Raises ProbeError."""
        try:
            session, ip = await self._session(context(ca_file, verify=True))
        except ssl.SSLCertVerificationError as error:
            code = error.verify_code
            session, ip = await self._session(context(None, verify=False))
            return Shown(session, ip, safe(error.verify_message, 300), _CLASSES.get(code, "other"))
        return Shown(session, ip, None, None)

    async def legacy(self, versions: list[str]) -> Legacy:
        """Which of these it still speaks."""
        found = Legacy()
        for version in versions:
            hello = old_hello(version, self._name)
            if hello is None:
                found.untestable.append(version)
                continue
            try:
                async with self._ready() as made:
                    said = accepted(version, await first_answer(made, hello))
            except ProbeError as error:
                found.unclear.append(f"{version}: {error.message}")
                continue
            if said is None:
                found.unclear.append(f"{version}: {self.asked}: an answer that is not TLS")
            else:
                (found.accepted if said else found.refused).append(version)
        return found

    async def _session(self, secured: ssl.SSLContext) -> tuple[Session, str]:
        async with self._ready() as made:
            channel = Channel(made, secured, self._name)
            session = await channel.open()
            with contextlib.suppress(ssl.SSLError, OSError, TooMuch):
                await take_leave(channel, self._starttls)
            channel.end()
            return session, made.ip

    @asynccontextmanager
    async def _ready(self) -> AsyncIterator[Connection]:
        """A connection on which a handshake can begin; errors of it come out as ProbeError."""
        made = await opened(self.asked, self._host, self._port, deadline=self._deadline, timeout=self._timeout)
        try:
            async with asyncio.timeout_at(self._deadline):
                await ask_for_tls(made, self._starttls, self.asked)
                yield made
        except ssl.SSLCertVerificationError:
            raise
        except TimeoutError as error:
            seconds = f"{self._timeout.total_seconds():g}s"
            raise ProbeError(f"{self.asked}: connected, but no handshake within {seconds}", fault="subject") from error
        except TooMuch as error:
            raise ProbeError(
                f"{self.asked}: more than {LIMIT // 1024} KiB and no handshake", fault="unclear"
            ) from error
        except ssl.SSLError as error:
            raise self._no_tls(error) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ProbeError(f"{self.asked}: the server closed the connection", fault="subject") from error
        except (OSError, UnicodeError) as error:
            sentence, fault = judged(error)
            raise ProbeError(f"{self.asked}: {sentence}", fault=fault) from error
        finally:
            # What is still to be sent, an alert or the end of TLS, goes out; nobody waits for it.
            made.writer.close()

    def _no_tls(self, error: ssl.SSLError) -> ProbeError:
        reason = error.reason or str(error)
        words = safe(reason.replace("_", " ").lower(), 200)
        if any(part in reason for part in _TOO_OLD):
            return ProbeError(f"{self.asked}: no TLSv1.2 and nothing newer: {words}", fault="subject")
        return ProbeError(f"{self.asked}: no TLS: {words}", fault="unclear")
