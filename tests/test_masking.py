"""What a program prints of a secret must not reach log or screen, however it spells it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.masking import Masker

PASSWORD = 's3cr"t/p@ss word+é?'
MASKER = Masker({"DB_PASSWORD": PASSWORD, "TOKEN": "ghp_0123456789abcdef"})


def through(masker: Masker, chunks: list[bytes]) -> bytes:
    stream = masker.stream()
    return b"".join([*(stream.feed(chunk) for chunk in chunks), stream.flush()])


def test_a_secret_in_clear_is_replaced_by_its_name() -> None:
    assert MASKER.mask(f"connecting with {PASSWORD}!") == "connecting with [secret DB_PASSWORD]!"
    assert MASKER.mask_bytes(b"Bearer ghp_0123456789abcdef\n") == b"Bearer [secret TOKEN]\n"


@pytest.mark.parametrize("at", range(30, 50))
def test_a_cut_never_leaves_half_a_secret_behind(at: int) -> None:
    for spelling in ("ghp_0123456789abcdef", base64.b64encode(b"ghp_0123456789abcdef").decode(), PASSWORD):
        text = "é" * at + spelling + " and more"
        cut = MASKER.cut(text, 50)
        assert text.startswith(cut) and len(cut) <= 50
        whole = MASKER.mask(text)
        assert whole.startswith(MASKER.mask(cut)), (cut, whole)
        assert len(cut) >= min(at - 1, 50)


def test_a_cut_of_a_short_text_or_one_without_secrets_is_plain() -> None:
    text = "é" * 40 + "ghp_0123456789abcdef"
    assert MASKER.cut(text, 60) is text
    assert MASKER.cut("a\ud800" * 40, 7) == "a\ud800a\ud800a\ud800a"


def test_text_without_a_secret_comes_back_untouched() -> None:
    text = "nothing here\nbut é and \ud800 half a surrogate"
    assert MASKER.mask(text) is text


@pytest.mark.parametrize(
    "spelling",
    [
        quote(PASSWORD, safe=""),
        quote(PASSWORD),
        quote_plus(PASSWORD),
        re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quote(PASSWORD, safe="")),
        json.dumps(PASSWORD)[1:-1],
        json.dumps(PASSWORD, ensure_ascii=False)[1:-1],
        json.dumps(PASSWORD)[1:-1].replace("/", "\\/"),
        PASSWORD.encode().hex(),
        PASSWORD.encode().hex().upper(),
        base64.b64encode(PASSWORD.encode()).decode(),
        base64.urlsafe_b64encode(PASSWORD.encode()).decode(),
    ],
)
def test_row_21_a_secret_in_another_spelling_is_masked(spelling: str) -> None:
    masked = MASKER.mask(f"<{spelling}>")
    assert "[secret DB_PASSWORD]" in masked
    assert len(masked) <= len("<[secret DB_PASSWORD]==>")


@pytest.mark.parametrize("user", ["a", "ab", "abc", "abcd"])
@pytest.mark.parametrize("tail", ["", "x", "xy", "xyz"])
def test_row_21_base64_of_a_text_that_holds_the_secret_is_masked_at_every_alignment(user: str, tail: str) -> None:
    header = base64.b64encode(f"{user}:ghp_0123456789abcdef{tail}".encode()).decode()
    masked = MASKER.mask(f"Authorization: Basic {header}")
    left = masked.removeprefix("Authorization: Basic ").split("[secret TOKEN]")
    assert len(left) == 2
    for part in left:
        shown = base64.b64decode(part.rstrip("=")[: len(part.rstrip("=")) // 4 * 4])
        assert b"ghp" not in shown and b"def" not in shown


def test_row_21_a_secret_split_over_two_lines_is_masked() -> None:
    assert MASKER.mask("token: ghp_01234\n56789abcdef end") == "token: [secret TOKEN] end"
    assert MASKER.mask("token: ghp_01234\r\n56789abcdef\nend") == "token: [secret TOKEN]\nend"


def test_row_21_base64_wrapped_at_76_columns_is_masked() -> None:
    wrapped = base64.encodebytes(b"x" * 50 + PASSWORD.encode() + b"y" * 50).decode()
    assert "[secret DB_PASSWORD]" in MASKER.mask(wrapped)


def test_a_key_of_many_lines_is_masked_line_by_line_but_its_frame_stays() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n-----END KEY-----\n"
    masker = Masker({"KEY": key})
    assert masker.mask("| 9w0BAQEFAASCBKcwggSj |") == "| [secret KEY] |"
    assert masker.mask("-----BEGIN KEY-----") == "-----BEGIN KEY-----"
    assert masker.mask(json.dumps({"key": key})) == '{"key": "[secret KEY]"}'


def test_a_secret_within_another_does_not_uncover_the_longer_one() -> None:
    masker = Masker({"SHORT": "abcdef", "LONG": "xxabcdefyy"})
    assert masker.mask("xxabcdefyy abcdef") == "[secret LONG] [secret SHORT]"


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    assert Masker({"A": "abcdefgh", "B": "efghijkl"}).mask("-abcdefghijkl-") == "-[secret A]-"


@pytest.mark.parametrize("value", ["", "  \n", "abc12", "true", "FALSE", "production", "password", " main "])
def test_row_22_a_secret_that_would_mask_ordinary_text_is_refused_with_a_note(value: str) -> None:
    masker = Masker({"WEAK": value, "TOKEN": "ghp_0123456789abcdef"})
    assert masker.refused["WEAK"].startswith("the secret WEAK is ")
    assert masker.mask("true abc12 production main") == "true abc12 production main"
    assert masker.mask("ghp_0123456789abcdef") == "[secret TOKEN]"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_row_21_a_secret_is_masked_across_the_borders_of_chunks(size: int) -> None:
    data = b"a ghp_0123456789abcdef b " + base64.b64encode(b"u:ghp_0123456789abcdef") + b" c"
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert through(MASKER, chunks) == MASKER.mask_bytes(data)


def test_a_finished_line_is_shown_at_once() -> None:
    stream = MASKER.stream()
    assert stream.feed(b"migrating 1 of 3\n") == b"migrating 1 of 3\n"
    assert stream.feed(b"using ghp_0123") == b"using "
    assert stream.feed(b"456789abcdef\n") == b"[secret TOKEN]\n"
    assert stream.flush() == b""


def test_without_secrets_nothing_is_held_back() -> None:
    stream = Masker({}).stream()
    assert stream.feed(b"abc") == b"abc"
    assert stream.flush() == b""


TEXT = st.text(alphabet="abAB01=+/ é", min_size=0, max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    secret=st.text(alphabet="abAB01+/é", min_size=6, max_size=12),
    parts=st.lists(TEXT, min_size=1, max_size=4),
    borders=st.lists(st.integers(0, 400), max_size=8),
    wrap=st.sampled_from(
        [lambda s: s.encode(), lambda s: base64.b64encode(s.encode()), lambda s: s.encode().hex().encode()]
    ),
)
def test_however_a_stream_is_cut_it_is_masked_like_the_whole(
    secret: str, parts: list[str], borders: list[int], wrap: Callable[[str], bytes]
) -> None:
    masker = Masker({"S": secret})
    if masker.refused:
        return
    data = wrap(secret).join(part.encode() for part in parts)
    cuts = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    chunks = [data[a:b] for a, b in pairwise(cuts)]
    whole = masker.mask_bytes(data)
    assert through(masker, chunks) == whole
    assert secret.encode() not in whole


@settings(max_examples=100, deadline=None)
@given(before=st.binary(max_size=12), after=st.binary(max_size=12), secret=st.text(min_size=6, max_size=20))
def test_base64_never_gives_a_secret_away(before: bytes, after: bytes, secret: str) -> None:
    masker = Masker({"S": secret})
    if masker.refused:
        return
    masked = masker.mask(base64.b64encode(before + secret.encode("utf-8", "surrogatepass") + after).decode())
    assert "[secret S]" in masked


@pytest.mark.parametrize(
    ("dsn", "password"),
    [
        ("postgresql://shop:hunter22pw@db:5432/shop?sslmode=require", "hunter22pw"),
        ("postgresql://shop:p%40ss%2Fword1@db/shop", "p@ss/word1"),
        ("mysql://shop:slash/and@sign9@db/shop", "slash/and@sign9"),
        ("host=db user=shop password=hunter22pw dbname=shop", "hunter22pw"),
        ("host=db password='two words here' dbname=shop", "two words here"),
        ("redis://:onlypassword7@cache:6379/0", "onlypassword7"),
        ("postgresql://db/shop?user=shop&password=hunter22pw", "hunter22pw"),
    ],
)
def test_the_password_of_a_connection_string_is_hidden_without_its_frame_too(dsn: str, password: str) -> None:
    masker = Masker({"DATABASE_URL": dsn})
    for shown in (
        f'auth failed with "{password}"',
        quote(password, safe=""),
        base64.b64encode(password.encode()).decode(),
    ):
        assert password not in masker.mask(shown) and "[secret DATABASE_URL]" in masker.mask(shown), shown
    assert masker.mask("shop at db") == "shop at db"
