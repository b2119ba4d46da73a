"""What captain tells somebody to type can be typed: every verb and flag that a sentence names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import captain
from captain.commands import VERBS
from captain.commands.shared.group import verbs

PACKAGE = Path(captain.__file__).parent
README = PACKAGE.parent / "README.md"
MENTION = re.compile(r"\bcaptain (?:-C \S+ )?([a-z][a-z-]*)((?: [^;,`]+?)?)(?=[;,`\n]|\bcaptain\b|$)")
PROSE = {"as", "can", "checklist", "did", "had", "itself", "like", "never", "only", "that", "took", "wrote", "yet"}
"""Words that follow captain's name in sentences about captain, besides verbs in the third person."""
LOG = re.compile(r"\bcaptain log(?! (?!with\b)[a-z])")


def sentences(source: str) -> Iterator[str]:
    """Every text of a module but its docstrings; … stands for what is filled in."""
    tree = ast.parse(source)
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            apart |= {id(part) for part in node.values}
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield "".join(map(str, parts))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
            yield node.value


def unknown(text: str) -> list[str]:
    """What a text tells to type and is not there."""
    text = LOG.sub("the log", text)
    found = []
    for verb, rest in MENTION.findall(text):
        if verb in VERBS:
            flags = re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)
            found += [f"captain {verb} {flag}" for flag in flags if flag not in options(verb)]
        elif verb not in PROSE and not verb.endswith("s") and verb != "again":
            found.append(f"captain {verb}{rest}")
    return found


def options(verb: str) -> set[str]:
    command = verbs.get_command(click.Context(verbs), verb)
    assert command is not None
    return {"--help", "-h"} | {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


def test_what_a_sentence_tells_to_type_is_there() -> None:
    wrong = [
        (str(path), one)
        for path in PACKAGE.rglob("*.py")
        for text in sentences(path.read_text(encoding="utf-8"))
        for one in unknown(text)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "CHANGELOG.md"])
def test_what_a_page_tells_to_type_is_there(name: str) -> None:
    quoted = re.findall(
        r"`(captain [^`]*)`|^\$ (.*)$", (README.parent / name).read_text(encoding="utf-8"), re.MULTILINE
    )
    told = [one.partition(" #")[0] for pair in quoted for one in pair if one]
    assert [one for text in told for one in unknown(text)] == []


def test_what_is_not_there_would_be_found() -> None:
    assert unknown("a backup is made with captain log backup") == ["captain log backup"]
    assert unknown("captain sign …; captain run deploy --force, captain trust --digest …") == ["captain run --force"]
    assert unknown("name a captain log with --log; captain stops here") == []
