"""Reads the files of a service, each once, regular and beneath the root. Knows no key of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from captain.checklist import Source
from captain.documents import MAX_BYTES, Document, read_yaml
from captain.errors import UsageError
from captain.loader.problems import nearest
from captain.loader.quoting import corrected
from captain.safe import safe

SERVICE_FILES = ("captain.yaml", "captain.yml")
SHIPPED = "shipped:"
"""Starts the path of a source that captain brought along."""


class Unreadable(Exception):
    """Why a file is not read, as a sentence about it."""


def read_bytes(path: Path) -> bytes:
    """The bytes of one regular file, at most one more than the limit. Raises Unreadable."""
    try:
        # Without NONBLOCK opening a FIFO would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Unreadable("is not there") from error
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unreadable("is no name of a file") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unreadable("is not a regular file")
        pieces = []
        left = MAX_BYTES + 1
        while left > 0 and (piece := os.read(handle, left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error
    finally:
        os.close(handle)


def git_root(start: Path) -> Path | None:
    """The nearest folder upwards that holds `.git`."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)


def find_service(start: Path) -> Path | None:
    """captain.yaml, looked for upwards to the git root (to the file system's root outside of one)."""
    top = git_root(start)
    for folder in (start, *start.parents):
        for name in SERVICE_FILES:
            if (folder / name).is_file():
                return folder / name
        if folder == top:
            return None
    return None


def shipped_files() -> dict[str, Path]:
    """The checklists captain brings along, by id: in the wheel inside the package, else beside it."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "checklists", package.parent / "checklists"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def is_path(reference: str) -> bool:
    """Whether CHECKLIST is a path and not an id."""
    return "/" in reference or reference.endswith((".yaml", ".yml"))


@dataclass
class Sheets:
    """The files of one load. With `pinned` nothing else is read: they are the files, by path."""

    root: Path
    """Absolute; the folder of captain.yaml."""
    cwd: Path
    pinned: Mapping[str, Source] | None = None
    sources: dict[str, Source] = field(default_factory=dict)
    """What was read, by path relative to the root, in order."""
    _documents: dict[str, Document] = field(default_factory=dict)

    def source(self, document: Document) -> Source:
        """The bytes a document was read from."""
        return next(self.sources[name] for name, one in self._documents.items() if one is document)

    def user(self, path: Path) -> Document:
        """A file the user named, wherever it lies. Raises UsageError where it cannot be read."""
        absolute = Path(os.path.normpath(self.cwd / path))
        name = self._name(absolute)
        try:
            return self._read(name, absolute)
        except Unreadable as error:
            raise UsageError(f"{safe(path, 200)} {error}") from error

    def pinned_document(self, name: str) -> Document:
        """One of the pinned files. Raises Unreadable where it is none."""
        return self._read(name, Path(name))

    def beneath(self, reference: str) -> Document:
        """A file that a file names, relative to the root. Raises Unreadable where it may not or cannot be read."""
        if "://" in reference:
            raise Unreadable("is not a local file")
        if PurePosixPath(reference).is_absolute():
            raise Unreadable("is an absolute path; give one relative to captain.yaml")
        absolute = Path(os.path.normpath(self.root / reference))
        if self.pinned is None:
            bound = (git_root(self.root) or self.root).resolve()
            try:
                real = absolute.resolve()
            except (OSError, RuntimeError, ValueError) as error:
                raise Unreadable("is no name of a file") from error
            if not real.is_relative_to(bound):
                raise Unreadable("lies outside the repository")
        return self._read(self._name(absolute), absolute)

    def shipped(self, name: str) -> Document | None:
        """A checklist captain brings along, None where it has none of that name."""
        if self.pinned is not None:
            key = SHIPPED + name + ".yaml"
            return self._read(key, Path(key)) if key in self.pinned else None
        path = shipped_files().get(name)
        return None if path is None else self._read(SHIPPED + path.name, path)

    def _name(self, absolute: Path) -> str:
        return Path(os.path.relpath(absolute, self.root)).as_posix()

    def _read(self, name: str, path: Path) -> Document:
        if name not in self._documents:
            if self.pinned is None:
                data = read_bytes(path)
            elif name in self.pinned:
                data = self.pinned[name].data
            else:
                raise Unreadable("is not among the pinned files")
            shown = name if name.startswith(SHIPPED) or self.pinned is not None else self._shown(path)
            document = read_yaml(data, safe(shown, 400), correct=corrected)
            self.sources[name] = Source(name, data)
            self._documents[name] = document
        return self._documents[name]

    def _shown(self, path: Path) -> str:
        """As the user would type it."""
        relative = os.path.relpath(path, self.cwd)
        return relative if len(relative) <= len(str(path)) else str(path)


def unknown_checklist(reference: str, known: Iterable[str]) -> UsageError:
    """No checklist of that id, with those there are."""
    names = sorted(set(known))
    there = f"there are {', '.join(names)}" if names else "none is declared"
    hint = nearest(reference, names) or f"{there}; a path holds / or ends in .yaml"
    return UsageError(f'no checklist "{safe(reference, 80)}"', hint=hint)
