"""The root over all entries: what a person keeps elsewhere to show later that nothing before was changed."""

from __future__ import annotations

from hashlib import sha256

import pytest

from captain.log.merkle import Tree, node_hash

# Inputs and roots of the reference test of Certificate Transparency implementations.
LEAVES = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
]


def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def by_definition(leaves: list[bytes]) -> bytes:
    """Section 2.1 of RFC 6962, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(by_definition(leaves[:split]), by_definition(leaves[split:]))


def test_roots_are_those_of_certificate_transparency() -> None:
    tree = Tree()
    assert tree.root() == sha256().digest()
    for data, root in zip(LEAVES, ROOTS, strict=True):
        tree.add(leaf(data))
        assert tree.root().hex() == root


@pytest.mark.parametrize("size", [*range(1, 40), 127, 128, 129])
def test_a_tree_grown_leaf_by_leaf_has_the_root_of_the_definition(size: int) -> None:
    leaves = [leaf(bytes([number])) for number in range(size)]
    tree = Tree()
    for value in leaves:
        tree = Tree(tree.size, tree.edge)  # put away and taken up again
        tree.add(value)
    assert tree.size == size
    assert tree.root() == by_definition(leaves)
