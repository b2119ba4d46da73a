"""Which kind of dump bytes are, by how they begin, and whether a text dump is complete, by how it ends. Pure."""

from __future__ import annotations

import re
from typing import Literal

HEAD = 512
"""Bytes needed to recognise a format: a tar header."""
TAIL = 4096
"""Bytes within which a text dump says that it is complete."""

Packing = Literal["gzip", "bzip2", "xz", "zstd"]
Engine = Literal["postgres", "mysql", "sqlite", "file"]

CUSTOM, TAR, FOLDER = "postgres custom", "postgres tar", "postgres directory"
TEXT, CLUSTER, MYSQL = "postgres text", "postgres cluster text", "mysql text"
SQLITE, PLAIN_TAR = "sqlite", "tar"
ENCRYPTED, UNKNOWN, EMPTY = "encrypted", "unknown", "empty"

ARCHIVES = (CUSTOM, TAR, FOLDER)
TEXTS = (TEXT, CLUSTER, MYSQL)
_ENGINES: dict[str, Engine] = {
    **dict.fromkeys((*ARCHIVES, TEXT, CLUSTER), "postgres"),
    MYSQL: "mysql",
    SQLITE: "sqlite",
}
_PACKED: dict[bytes, Packing] = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_CLOSED = (b"-----BEGIN PGP MESSAGE", b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED", b"Salted__")
_FIRST = {
    b"-- PostgreSQL database dump": TEXT,
    b"-- PostgreSQL database cluster dump": CLUSTER,
    b"-- MySQL dump ": MYSQL,
    b"-- MariaDB dump ": MYSQL,
}
_LAST = {
    TEXT: re.compile(rb"-- PostgreSQL database dump complete"),
    CLUSTER: re.compile(rb"-- PostgreSQL database cluster dump complete"),
    MYSQL: re.compile(rb"-- Dump completed( on [\d: -]+)?"),
}
_RESTRICT = re.compile(rb"^\\restrict (\w+)\r?$", re.MULTILINE)
_UNRESTRICT = re.compile(rb"\\unrestrict (\w+)")


def packing(head: bytes) -> Packing | None:
    """How the bytes are compressed, None where they are not."""
    return next((name for start, name in _PACKED.items() if head.startswith(start)), None)


def recognise(head: bytes) -> str:
    """The format of a dump that begins like that, uncompressed."""
    if not head:
        return EMPTY
    if head.startswith(b"PGDMP"):
        return CUSTOM
    if head[257:262] == b"ustar":
        return TAR if head[:100].rstrip(b"\0") == b"toc.dat" else PLAIN_TAR
    if head.startswith(b"SQLite format 3\0"):
        return SQLITE
    if head.startswith(_CLOSED):
        return ENCRYPTED
    for line in head.removeprefix(b"\xef\xbb\xbf").splitlines():
        found = next((name for start, name in _FIRST.items() if line.startswith(start)), None)
        if found == TEXT and line.rstrip() != b"-- PostgreSQL database dump":
            found = None
        if found is not None:
            return found
        if line.strip() and not line.startswith((b"--", b"/*", b"\\restrict ")):
            break
    return UNKNOWN


def engine_of(format_: str) -> Engine | None:
    """Whose dump it is, None where it is nobody's that captain knows."""
    return _ENGINES.get(format_)


def complete(head: bytes, tail: bytes, format_: str) -> bool:
    """Whether a text dump says at its end that it is complete. `head` and `tail` are its first and last bytes.

    The line must be the last one that says anything: a dump of several databases holds it once for each. Newer
    pg_dump closes behind it, with the same word, what it opened at the beginning.
    """
    lines = [line.strip() for line in tail[-TAIL:].splitlines() if line.strip() not in (b"", b"--")]
    opened = _RESTRICT.search(head) if format_ == TEXT else None
    if opened is not None and lines:
        closed = _UNRESTRICT.fullmatch(lines.pop())
        if closed is None or closed[1] != opened[1]:
            return False
    return bool(lines) and _LAST[format_].fullmatch(lines[-1]) is not None
