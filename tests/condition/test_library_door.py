"""The wire that the library hands its trees over on, and the door it stands behind."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.condition import cel, wire
from captain.condition.celtypes import INT, STRING
from captain.condition.tree import Const, Read, reads, walk

NAMES = (("backend.size", INT), ("n", INT), ("t", STRING))


def serialized(text: str) -> bytes:
    program = cel._environment(NAMES).compile(text)
    return bytes(program.serialize())


def test_names_paths_and_overloads_are_read_off_the_wire() -> None:
    tree = wire.read(serialized("backend.size / 2 > n && t.size() > 3"))
    assert list(reads(tree.root)) == [Read("backend.size"), Read("n"), Read("t", counted=True)]
    assert ("divide_int64",) in tree.overloads.values()
    assert max(tree.positions.values()) < len("backend.size / 2 > n && t.size() > 3")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-5", -5),
        ("9223372036854775807", 2**63 - 1),
        ("7u", 7),
        ("1.5", 1.5),
        ("true", True),
        ('"é"', "é"),
        ('b"a"', b"a"),
        ("null", None),
    ],
)
def test_constants_keep_their_values(text: str, value: object) -> None:
    root = wire.read(serialized(text)).root
    assert isinstance(root, Const)
    assert root.value == value
    assert type(root.value) is type(value)


def test_list_and_map_literals_are_walked() -> None:
    tree = wire.read(serialized('{"a": [n, 2], t: 3}.a[0] == 1'))
    assert list(reads(tree.root)) == [Read("n"), Read("t")]
    assert len(list(walk(tree.root))) > 8


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x00",
        b"\xff" * 40,
        b"\x12\x05abc",
        b"\x0b",
        b"\x12\xff\xff\xff\xff\x0f",
        b"\x0a\x01\xff",
        b"a" * (2 << 20),
    ],
)
def test_bytes_that_are_no_expression_are_refused(damaged: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.read(damaged)


def test_nesting_is_bounded() -> None:
    inner = b"\x10\x01"
    for _ in range(500):
        size = len(inner)
        length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
        call = b"\x1a" + length + inner
        size = len(call)
        length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
        inner = b"\x32" + length + call
    size = len(inner)
    body = b"\x22" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + inner
    size = len(body)
    with pytest.raises(wire.WireError, match="too deep"):
        wire.read(b"\x12" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + body)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_a_tree_or_a_wire_error(data: st.DataObject) -> None:
    whole = bytearray(serialized('backend.size > 2 && t.matches("a") && [1].all(x, x < n)'))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        tree = wire.read(bytes(whole))
    except wire.WireError:
        return
    assert list(walk(tree.root))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a1b2c3d", "A1B2C3D4E5F6", True),
        ("a1b2c3d4", "a1b2c3d5", False),
        ("a1b2c3", "a1b2c3", False),
        ("", "", False),
        ("a1b2c3d", "", False),
    ],
)
def test_commits_are_the_same_over_seven_characters_or_more(one: str, other: str, same: bool) -> None:
    assert cel.same_commit(one, other) is same
    assert cel.same_commit(other, one) is same


def test_the_library_is_loaded_by_the_first_compile_and_not_before() -> None:
    program = """
import sys
import captain.interpolate
from captain.condition import Scope, compile_condition, declare, observes
scope = Scope.of({"": {"status": declare(int)}}, vars=["url"])
assert not any(name.startswith("cel_expr_python") for name in sys.modules)
assert compile_condition("status == 200", scope).evaluate({"status": 200}).value is True
assert "cel_expr_python.cel" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
