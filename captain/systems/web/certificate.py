"""Reads a certificate's dates, names and key from DER. Verifies nothing and trusts nothing it reads.

Python decodes a certificate only where it verified it; the ones that matter most are those that do not verify.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_SEQUENCE, _SET, _INTEGER, _BITS, _OID = 0x30, 0x31, 0x02, 0x03, 0x06
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_TEXTS = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "1.2.840.113549.1.9.1": "emailAddress",
    "0.9.2342.19200300.100.1.25": "DC",
}
_SAN = "2.5.29.17"
_RSA = ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10")
_EC = "1.2.840.10045.2.1"
_CURVES = {
    "1.2.840.10045.3.1.7": 256,
    "1.3.132.0.10": 256,
    "1.3.132.0.33": 224,
    "1.3.132.0.34": 384,
    "1.3.132.0.35": 521,
}
_FIXED_KEYS = {"1.3.101.112": 256, "1.3.101.113": 456}


class NotACertificate(ValueError):
    """The bytes are no certificate, or one in a form that is not read."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says of itself."""

    subject: str
    issuer: str
    self_issued: bool
    """Whether subject and issuer are the same."""
    not_before: datetime
    not_after: datetime
    key_bits: int | None
    """None for kinds of keys that are not known here."""
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]

    def names(self, host: str) -> bool:
        """Whether it was issued for that host: by its alternative names only, `*` for one whole first label."""
        try:
            wanted = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return any(_covers(pattern, host) for pattern in self.dns_names)
        return str(wanted) in self.addresses


def read_certificate(der: bytes) -> Certificate:
    """The certificate. Raises NotACertificate."""
    try:
        return _certificate(der)
    except (IndexError, UnicodeError, OverflowError, StopIteration, ValueError) as error:
        raise NotACertificate(f"not a certificate: {error}") from error


@dataclass(frozen=True, slots=True)
class _Item:
    tag: int
    content: bytes

    def items(self) -> Iterator[_Item]:
        return _items(self.content)


def _certificate(der: bytes) -> Certificate:
    whole = next(_items(der))
    signed = list(_expect(next(whole.items()), _SEQUENCE).items())
    if signed[0].tag == _VERSION:
        del signed[0]
    _serial, _algorithm, issuer, validity, subject, key, *rest = signed
    not_before, not_after = (_moment(item) for item in validity.items())
    dns_names, addresses = _alternative_names(rest)
    return Certificate(
        subject=_name(subject),
        issuer=_name(issuer),
        self_issued=subject.content == issuer.content,
        not_before=not_before,
        not_after=not_after,
        key_bits=_key_bits(key),
        dns_names=dns_names,
        addresses=addresses,
    )


def _items(data: bytes) -> Iterator[_Item]:
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        if tag & 0x1F == 0x1F:
            raise ValueError("a tag of several bytes")
        at += 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4:
                raise ValueError("a length that DER does not allow")
            length = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + length > len(data):
            raise ValueError("it ends in the middle")
        yield _Item(tag, data[at : at + length])
        at += length


def _expect(item: _Item, tag: int) -> _Item:
    if item.tag != tag:
        raise ValueError(f"tag {item.tag:#x} where {tag:#x} belongs")
    return item


def _moment(item: _Item) -> datetime:
    text = item.content.decode("ascii")
    if item.tag == _UTC_TIME:
        # X.509: two digits mean 1950 to 2049.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif item.tag != _GENERALIZED_TIME:
        raise ValueError("a date that is none")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _name(item: _Item) -> str:
    parts: list[str] = []
    for group in _expect(item, _SEQUENCE).items():
        for attribute in _expect(group, _SET).items():
            kind, value = attribute.items()
            oid = _oid(kind)
            text = value.content.decode(_TEXTS.get(value.tag, "utf-8"), "replace")
            parts.append(f"{_ATTRIBUTES.get(oid, oid)}={text}")
    return ", ".join(parts)


def _oid(item: _Item) -> str:
    numbers: list[int] = []
    number = 0
    for byte in _expect(item, _OID).content[:64]:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in (first, numbers[0] - 40 * first, *numbers[1:]))


def _key_bits(item: _Item) -> int | None:
    algorithm, bits = item.items()
    oid, *parameters = algorithm.items()
    kind = _oid(oid)
    if kind in _FIXED_KEYS:
        return _FIXED_KEYS[kind]
    if kind in _RSA:
        # The first byte of a bit string counts the unused bits of its last.
        modulus = next(next(_items(_expect(bits, _BITS).content[1:])).items())
        return int.from_bytes(_expect(modulus, _INTEGER).content, "big").bit_length()
    if kind == _EC and parameters and parameters[0].tag == _OID:
        return _CURVES.get(_oid(parameters[0]))
    return None


def _alternative_names(rest: list[_Item]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    dns_names: list[str] = []
    addresses: list[str] = []
    for holder in (item for item in rest if item.tag == _EXTENSIONS):
        for extension in next(holder.items()).items():
            oid, *_critical, value = extension.items()
            if _oid(oid) != _SAN:
                continue
            for name in next(_items(value.content)).items():
                if name.tag == _DNS_NAME:
                    dns_names.append(name.content.decode("ascii", "replace"))
                elif name.tag == _IP_ADDRESS and len(name.content) in (4, 16):
                    addresses.append(str(ipaddress.ip_address(name.content)))
    return tuple(dns_names), tuple(addresses)


def _covers(pattern: str, host: str) -> bool:
    try:
        wanted = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        return False
    wanted, pattern = wanted.rstrip(".").lower(), pattern.rstrip(".").lower()
    if not pattern.startswith("*."):
        return pattern == wanted
    first, _, others = wanted.partition(".")
    return bool(first) and "." in others and others == pattern[2:]
