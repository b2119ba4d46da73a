"""A certificate is read as OpenSSL's own library reads it, and no bytes make reading it end in anything but a word."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.systems.web.certificate import Certificate, NotACertificate, read_certificate

AUTHORITY = ec.generate_private_key(ec.SECP256R1())


def issued(
    key: CertificatePublicKeyTypes | None = None,
    names: tuple[x509.GeneralName, ...] = (),
    not_before: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    not_after: datetime = datetime(2030, 6, 7, 8, 9, 10, tzinfo=UTC),
    organisation: str = "Müller & Søn",
) -> bytes:
    subject = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DK"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com"),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")]))
        .public_key(key or AUTHORITY.public_key())
        .serial_number(7)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(AUTHORITY, hashes.SHA256()).public_bytes(Encoding.DER)


def test_names_and_dates_are_told() -> None:
    found = read_certificate(
        issued(
            names=(
                x509.DNSName("shop.example.com"),
                x509.RFC822Name("a@b.example"),
                x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("fd00::1")),
            )
        )
    )
    assert found == Certificate(
        subject="C=DK, O=Müller & Søn, CN=shop.example.com",
        issuer="CN=An authority",
        self_issued=False,
        not_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_after=datetime(2030, 6, 7, 8, 9, 10, tzinfo=UTC),
        key_bits=256,
        dns_names=("shop.example.com",),
        addresses=("10.0.0.1", "fd00::1"),
    )


@pytest.mark.parametrize("year", [1951, 1999, 2049, 2050, 2999])
def test_dates_of_either_form_are_read(year: int) -> None:
    end = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert read_certificate(issued(not_before=datetime(1950, 1, 1, tzinfo=UTC), not_after=end)).not_after == end


@pytest.mark.parametrize(
    ("key", "bits"),
    [
        (rsa.generate_private_key(65537, 2048).public_key(), 2048),
        (ec.generate_private_key(ec.SECP384R1()).public_key(), 384),
        (ec.generate_private_key(ec.SECP521R1()).public_key(), 521),
        (ed25519.Ed25519PrivateKey.generate().public_key(), 256),
        (ed448.Ed448PrivateKey.generate().public_key(), 456),
        (dsa.generate_private_key(1024).public_key(), None),
        (ec.generate_private_key(ec.BrainpoolP256R1()).public_key(), None),
    ],
)
def test_the_size_of_a_key_is_told_where_its_kind_is_known(key: CertificatePublicKeyTypes, bits: int | None) -> None:
    assert read_certificate(issued(key)).key_bits == bits


@pytest.mark.parametrize(
    ("pattern", "host", "covered"),
    [
        ("shop.example.com", "shop.example.com", True),
        ("shop.example.com", "SHOP.example.com.", True),
        ("shop.example.com", "evil-shop.example.com", False),
        ("*.example.com", "shop.example.com", True),
        ("*.example.com", "a.shop.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.com", "example.com", False),
        ("s*.example.com", "shop.example.com", False),
        ("*", "localhost", False),
        ("xn--bcher-kva.example", "bücher.example", True),
        ("10.0.0.1", "10.0.0.1", False),
    ],
)
def test_a_name_covers_its_host_and_no_other(pattern: str, host: str, covered: bool) -> None:
    assert read_certificate(issued(names=(x509.DNSName(pattern),))).names(host) is covered


def test_a_certificate_without_alternative_names_is_for_nobody() -> None:
    assert read_certificate(issued()).names("shop.example.com") is False


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_are_called_so(data: bytes) -> None:
    with pytest.raises(NotACertificate):
        read_certificate(data)


WHOLE = issued(names=(x509.DNSName("shop.example.com"),))


@settings(max_examples=400)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_a_damaged_certificate_is_read_or_called_so(at: int, byte: int, cut: bool) -> None:
    data = WHOLE[:at] if cut else WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    try:
        assert isinstance(read_certificate(data), Certificate)
    except NotACertificate:
        assert True
