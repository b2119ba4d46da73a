"""The release under way, the one before it, and where it goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

_COMMIT = re.compile(r"[0-9A-Fa-f]{7,64}")


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a release."""

    ref: str
    """As the file names it: registry/shop:1.4.0."""
    pinned: str
    """What can be run and never moves: repo@sha256:…, or the image id sha256:…."""
    digest: str
    """The bare digest, sha256:…."""
    basis: Literal["repository", "id"]
    """Which of the two the digest is."""


@dataclass(frozen=True, slots=True)
class Release:
    """A version of a service, as far as it could be resolved. What could not is None or missing."""

    version: str | None = None
    commit: str | None = None
    tag: str | None = None
    untagged: bool = False
    """True where the commit is HEAD's because no tag was found."""
    images: Mapping[str, Image] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How people name it: the version, else the short commit, else a question mark."""
        return self.version or (self.commit or "")[:7] or "?"

    def is_called(self, name: str) -> bool | None:
        """Whether a system that says it runs `name` runs this release; None where that cannot be compared.

        A commit may be shortened to 7 characters.
        """
        if name in (self.version, self.tag):
            return True
        if _COMMIT.fullmatch(name):
            if self.commit is None:
                return None
            size = min(len(name), len(self.commit))
            return name[:size].lower() == self.commit[:size].lower()
        return None if self.version is None else False
