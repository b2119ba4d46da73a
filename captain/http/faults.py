"""What an error on the way means: whose fault it is, in a sentence that starts with the question."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import timedelta

import httpcore
import httpx

from captain.errors import Fault, ProbeError
from captain.http.wire import HEAD_LIMIT, HeadTooLong, Phase
from captain.safe import safe

_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}
_TIMED_OUT: dict[Phase, tuple[str, Fault]] = {
    "resolve": ("the name was not resolved within {}", "unclear"),
    "connect": ("no connection within {}", "unclear"),
    "tls": ("connected, but no TLS within {}", "subject"),
    "answer": ("connected, but no answer within {}", "subject"),
    "body": ("the answer was not complete within {}", "subject"),
}


def timed_out(asked: str, phase: Phase, timeout: timedelta) -> ProbeError:
    """The deadline passed while waiting for that."""
    sentence, fault = _TIMED_OUT[phase]
    seconds = timeout.total_seconds()
    return ProbeError(f"{asked}: {sentence.format(f'{round(seconds, 3):g}s')}", fault=fault)


def explain(asked: str, phase: Phase, error: Exception) -> ProbeError:
    """Any other error of the connection."""
    sentence, fault = _judge(phase, error)
    return ProbeError(f"{asked}: {safe(sentence, 300)}", fault=fault)


def _judge(phase: Phase, error: Exception) -> tuple[str, Fault]:
    chain = _chain(error)
    for cause in chain:
        if isinstance(cause, socket.gaierror):
            return f"the name was not resolved: {cause.strerror}", "unclear"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate does not verify: {cause.verify_message}", "subject"
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return "connection closed", "subject"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS: {(cause.reason or str(cause)).replace('_', ' ').lower()}", "unclear"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused", "subject"
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            # asyncio raises it without a number where the other side ended a handshake in order.
            return "connection reset" if cause.errno else "connection closed", "subject"
        if isinstance(cause, HeadTooLong):
            return f"no end of the headers within {HEAD_LIMIT // 1024} KiB", "unclear"
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno is not None:
            return f"{cause.strerror}".lower(), "instrument" if cause.errno in _OURS else "unclear"
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return "no connection in time", "unclear"
    if isinstance(error, httpcore.RemoteProtocolError | httpx.RemoteProtocolError):
        if "without sending a response" in str(error):
            return "connection closed without an answer", "subject"
        return f"malformed answer: {error}", "unclear"
    if isinstance(error, httpcore.LocalProtocolError | httpx.LocalProtocolError | httpx.InvalidURL):
        return f"cannot be asked: {error}", "instrument"
    if isinstance(error, httpcore.ReadError | httpcore.WriteError) or phase == "tls":
        return "connection closed", "subject"
    return f"{type(error).__name__} {error}", "unclear"


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found
