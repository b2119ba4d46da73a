"""What a repository's files say about its branch and remotes, without starting git. For places where it must be quick.

git itself checks who owns a repository; this does not, so nothing here may decide anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Glance:
    """The least that `init` and the bridge want to show."""

    root: Path
    branch: str | None
    """None where the head is detached."""
    branches: tuple[str, ...] = ()
    remotes: dict[str, str] = field(default_factory=dict)
    """Name to URL, as written in the repository's config; a URL may hold a password."""


def glance(path: Path) -> Glance | None:
    """Look at the repository that `path` lies in; None where it lies in none or its files cannot be read. Blocks."""
    git = _gitpython()
    try:
        with git.Repo(path, search_parent_directories=True) as repo:
            if repo.working_tree_dir is None:
                return None
            branch = None if repo.head.is_detached else repo.head.reference.name
            sections = repo.config_reader("repository")
            remotes = {
                section[len('remote "') : -1]: str(sections.get_value(section, "url", ""))
                for section in sections.sections()
                if section.startswith('remote "')
            }
            # Where refs are not kept in files HEAD holds a placeholder.
            known = None if branch == ".invalid" else branch
            return Glance(Path(repo.working_tree_dir), known, tuple(sorted(h.name for h in repo.heads)), remotes)
    except (git.exc.GitError, OSError, ValueError, TypeError, KeyError):
        return None


def _gitpython() -> Any:
    """GitPython, which tries a git when it is first imported: given none to try, it starts none from PATH."""
    theirs = {"GIT_PYTHON_REFRESH": "quiet", "GIT_PYTHON_GIT_EXECUTABLE": "/nonexistent/git"}
    before = {name: os.environ.get(name) for name in theirs}
    os.environ.update(theirs)
    try:
        import git
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return git
