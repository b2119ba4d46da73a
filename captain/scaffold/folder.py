"""The files of a repository that say what it is made of, found in one bounded walk and read without leaving it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from captain.documents import Node, read_foreign_yaml
from captain.errors import ProbeError
from captain.safe import safe
from captain.scaffold.quoting import fit
from captain.systems.tree_files import Tree

MAX_ENTRIES = 20_000
DEPTH = 6
_OTHERS = "node_modules venv env dist build target vendor site-packages __pycache__ htmlcov coverage bower_components"
_SKIPPED = frozenset(_OTHERS.split(" "))
_SHOWN = frozenset((".github",))


@dataclass(slots=True)
class Folder:
    """One repository. What cannot be read is left out and told in `trouble`."""

    root: Path
    trouble: list[str] = field(default_factory=list)
    paths: tuple[str, ...] = ()
    """Of regular files, relative, in order; links are not followed."""
    _parts: tuple[list[str], ...] = ()
    _tree: Tree | None = None

    @classmethod
    def of(cls, root: Path) -> Folder:
        """Walk it once."""
        folder = cls(root, _tree=Tree(root))
        folder.paths = tuple(sorted(folder._walk()))
        folder._parts = tuple(path.lower().split("/") for path in folder.paths)
        return folder

    def named(self, *names: str) -> list[str]:
        """Paths whose last part is one of these, the ones nearest to the top first."""
        return self._nearest(path for path in self.paths if PurePosixPath(path).name in names)

    def like(self, *patterns: str) -> list[str]:
        """Paths that match a pattern from their end, `docs/*.md`, without regard to case."""
        wanted = [(pattern.lower(), pattern.count("/") + 1) for pattern in patterns]
        return self._nearest(
            path
            for path, parts in zip(self.paths, self._parts, strict=True)
            if any(fnmatchcase("/".join(parts[-depth:]), pattern) for pattern, depth in wanted)
        )

    def text(self, path: str) -> str:
        """The content of one file, empty where it cannot be read."""
        assert self._tree is not None
        try:
            data = self._tree.read(path)
        except ProbeError as error:
            self._tell(error.message)
            return ""
        return "" if data is None else data.decode("utf-8", "replace")

    def yaml(self, path: str) -> list[Node]:
        """The documents of one file, none where it is no YAML."""
        try:
            return read_foreign_yaml(self.text(path).encode("utf-8"), path)
        except ValueError as error:
            self._tell(f"{safe(path, 100)}:{error}")
            return []

    def _tell(self, sentence: str) -> None:
        if sentence not in self.trouble and len(self.trouble) < 20:
            self.trouble.append(sentence)

    def _nearest(self, paths: Iterator[str]) -> list[str]:
        return sorted(paths, key=lambda path: (path.count("/"), path))[:50]

    def _walk(self) -> Iterator[str]:
        waiting = [("", 0)]
        seen = 0
        while waiting:
            below, depth = waiting.pop(0)
            try:
                with os.scandir(self.root / below) as entries:
                    for entry in entries:
                        seen += 1
                        if seen > MAX_ENTRIES:
                            self._tell(f"more than {MAX_ENTRIES} files: only the first were looked at")
                            return
                        path = f"{below}/{entry.name}" if below else entry.name
                        if not fit(path):
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            if depth < DEPTH and _walked(entry.name):
                                waiting.append((path, depth + 1))
                        elif entry.is_file(follow_symlinks=False):
                            yield path
            except OSError as error:
                self._tell(f"{safe(below or '.', 100)} cannot be listed: {safe(error.strerror or error, 80)}")


def _walked(name: str) -> bool:
    return name not in _SKIPPED and (not name.startswith(".") or name in _SHOWN)
