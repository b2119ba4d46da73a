"""The RFC 6962 tree over the hashes of the entries, grown leaf by leaf. Nothing of it is stored."""

from __future__ import annotations

from hashlib import sha256


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """The right edge of a tree: enough to add leaves and to say the root. O(log n) memory."""

    def __init__(self, size: int = 0, edge: tuple[bytes, ...] = ()) -> None:
        self.size = size
        """Leaves so far."""
        self._edge = list(edge)
        """Roots of the complete subtrees from left to right, one per bit set in `size`."""

    @property
    def edge(self) -> tuple[bytes, ...]:
        """What a Tree of the same size can be made from again."""
        return tuple(self._edge)

    def add(self, leaf: bytes) -> None:
        """Append a leaf by its hash."""
        node, bits = leaf, self.size
        while bits & 1:
            node = node_hash(self._edge.pop(), node)
            bits >>= 1
        self._edge.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root hash; of an empty tree the hash of nothing."""
        if not self._edge:
            return sha256().digest()
        root = self._edge[-1]
        for node in reversed(self._edge[:-1]):
            root = node_hash(node, root)
        return root
