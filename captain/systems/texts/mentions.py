"""What documents have to mention: the services of compose files, tables of migrations, alerts of rule files. Pure.

Each name comes with the spellings that count for it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from captain.documents import Node, read_foreign_yaml
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.tree_files import Tree

Names = dict[str, tuple[str, ...]]
"""By name: every spelling that counts, lower case."""

_IDENTIFIER = r"[`\"\[]?(?:\w{1,63}[`\"\]]?\.[`\"\[]?)?(\w{1,63})"
_CREATE = re.compile(
    rf"\bcreate\s+(?:unlogged\s+|global\s+)?table\s+(?:if\s+not\s+exists\s+)?{_IDENTIFIER}", re.IGNORECASE
)
_DROP = re.compile(rf"\bdrop\s+table\s+(?:if\s+exists\s+)?{_IDENTIFIER}", re.IGNORECASE)
_RENAME = re.compile(
    rf"\balter\s+table\s+(?:if\s+exists\s+)?{_IDENTIFIER}\s+rename\s+to\s+{_IDENTIFIER}", re.IGNORECASE
)
_ALEMBIC = re.compile(r"\b(create|drop)_table\(\s*[\"'](\w{1,63})[\"']")
_DJANGO = re.compile(r"\b(Create|Delete)Model\(\s*(?:name\s*=\s*)?[\"'](\w{1,63})[\"']")
_DJANGO_RENAME = re.compile(
    r"\bRenameModel\(\s*(?:old_name\s*=\s*)?[\"'](\w{1,63})[\"'],\s*(?:new_name\s*=\s*)?[\"'](\w{1,63})[\"']"
)
_DOWN = re.compile(r"^def downgrade\b|^--\s*(?:\+goose|\+migrate|migrate:)\s*down\b", re.IGNORECASE | re.MULTILINE)
_WORDS = re.compile(r"\w[\w.-]*")
_MOST = 2000


def tables(tree: Tree, files: Sequence[str]) -> Names:
    """Tables that migrations in SQL, Alembic and Django leave behind, read in the order of their names."""
    found: Names = {}
    for file in files:
        text = (tree.read(file) or b"").decode("utf-8", "replace")
        # What stands in the way back is not how it ends.
        if file.endswith((".down.sql", "_down.sql", "/down.sql")):
            continue
        way_back = _DOWN.search(text)
        _tables(text[: way_back.start()] if way_back else text, file, found)
    return _few(found)


def _tables(text: str, file: str, found: Names) -> None:
    steps: list[tuple[int, str, str]] = []
    steps += [(match.start(), "create", match[1]) for match in _CREATE.finditer(text)]
    steps += [(match.start(), "drop", match[1]) for match in _DROP.finditer(text)]
    for match in _RENAME.finditer(text):
        steps += [(match.start(), "drop", match[1]), (match.start(), "create", match[2])]
    steps += [(match.start(), match[1], match[2]) for match in _ALEMBIC.finditer(text)]
    folder = posixpath.dirname(file)
    app = posixpath.basename(posixpath.dirname(folder) if posixpath.basename(folder) == "migrations" else folder)
    models = [(match.start(), match[1].lower(), match[2]) for match in _DJANGO.finditer(text)]
    for match in _DJANGO_RENAME.finditer(text):
        models += [(match.start(), "delete", match[1]), (match.start(), "create", match[2])]
    for _, verb, name in sorted(steps):
        if verb == "create":
            found[name.lower()] = (name.lower(),)
        else:
            found.pop(name.lower(), None)
    for _, verb, name in sorted(models):
        table = f"{app}_{name}".lower()
        if verb == "create":
            found[table] = (table, name.lower())
        else:
            found.pop(table, None)


def alerts(tree: Tree, files: Sequence[str]) -> Names:
    """Names of alerts in Prometheus rule files. Raises ProbeError for a file that is none."""
    found: Names = {}
    for file in files:
        try:
            roots = read_foreign_yaml(tree.read(file) or b"", file)
        except ValueError as error:
            raise ProbeError(f"{safe(file, 200)}:{error}") from error
        for root in roots:
            for group in _groups(root):
                rules = group.get("rules")
                for rule in rules.items if rules is not None else []:
                    name = rule.get("alert")
                    if name is not None and name.text:
                        found[name.text] = (name.text.lower(),)
    return _few(found)


def _groups(root: Node) -> list[Node]:
    """Also of a PrometheusRule of Kubernetes."""
    groups = root.get("groups") or root.get("spec", "groups")
    return [] if groups is None else groups.items


def given(names: Iterable[str]) -> Names:
    """Names as they are."""
    return _few({name: (" ".join(name.lower().split()),) for name in names if name.strip()})


def not_mentioned(names: Mapping[str, tuple[str, ...]], texts: Iterable[str]) -> list[str]:
    """Those that no text has as a word of its own, whatever its case."""
    lowered = [" ".join(text.lower().split()) for text in texts]
    words: set[str] = set()
    for text in lowered:
        for match in _WORDS.finditer(text):
            word = match[0].strip(".-")
            words.add(word)
            words.update(word.split("."))
    return [
        name
        for name, spellings in names.items()
        if not any(
            one in words or (_WORDS.fullmatch(one) is None and any(one in t for t in lowered)) for one in spellings
        )
    ]


def _few(found: Names) -> Names:
    if len(found) > _MOST:
        raise ProbeError(f"more than {_MOST} names have to be mentioned")
    return found
