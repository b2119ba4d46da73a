"""Finds kinds: one file per kind, found by file name, imported when asked for.

Built-ins are the modules of a package, in whichever directory of its path they lie. Third parties register
through an entry point of the same group; those are looked at only for a name that no built-in has.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """The kinds of one family. `T` is what a kind registers, a class or a function."""

    def __init__(self, package: str, group: str) -> None:
        self._package = package
        self._group = group
        self._kinds: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """The decorator that a kind's module applies."""

        def keep(kind: T) -> T:
            self._kinds[name] = kind
            return kind

        return keep

    def names(self) -> list[str]:
        """The names of the built-in kinds, sorted. Imports nothing but the package itself."""
        package: ModuleType = importlib.import_module(self._package)
        return sorted(
            _name(module.name) for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")
        )

    def find(self, name: str) -> T | None:
        """The kind of that name, importing its module; None where neither a file nor an entry point has it."""
        if name not in self._kinds and name in self.names():
            importlib.import_module(f"{self._package}.{name.replace('-', '_')}")
        if name not in self._kinds:
            from importlib.metadata import entry_points

            for point in entry_points(group=self._group, name=name):
                point.load()
        return self._kinds.get(name)


def _name(module: str) -> str:
    return module.replace("_", "-")
