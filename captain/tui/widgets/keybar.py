"""The row of keys at the bottom of a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content

from captain.tui.keys import Key, row
from captain.tui.present import Look
from captain.tui.widgets.bars import Bar


class KeyBar(Bar):
    """The next sensible key first, then the others in their order; dim ones keep their place."""

    def __init__(self, look: Look, keys: Sequence[Key], keymap: Mapping[str, str]) -> None:
        super().__init__(look, id="keys", classes="bar keys")
        self._keys = keys
        self._keymap = keymap
        self.chosen: str | None = None
        self.words: Mapping[str, str] = {}
        self.dim: Mapping[str, str] = {}

    def show(self, chosen: str | None, words: Mapping[str, str], dim: Mapping[str, str]) -> None:
        """`chosen` is the id of the next key, `dim` maps ids that may not be pressed to the reason."""
        if (chosen, words, dim) != (self.chosen, self.words, self.dim):
            self.chosen, self.words, self.dim = chosen, words, dim
            self.refresh()

    def row(self, width: int) -> Content:
        return row(
            self.look, width, self._keys, chosen=self.chosen, words=self.words, dim=self.dim, keymap=self._keymap
        )
