"""Conditions that meet YAML's syntax badly: the line as its author meant it, with the expression quoted."""

from __future__ import annotations

import re

CONDITION_KEYS = ("expect", "warn", "when")

_KEY = re.compile(r"(?:^|[\s{,])(?:expect|warn|when):[ ]+")
_BARE_KEY = re.compile(r"^\s*(?:- +)?(?:expect|warn|when):\s*$")
_ITEM = re.compile(r"^(\s*- +)(\S.*)$")
_TEMPLATE = re.compile(r"\$\{\{.*?\}\}")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def corrected(lines: list[str], index: int) -> str | None:
    """The line with its conditions and templates quoted, or None where nothing of that kind stands there."""
    line = lines[index]
    if len(line) > 2000:
        return None
    if (item := _ITEM.match(line)) and _below_condition_key(lines, index):
        changed = item[1] + quoted(item[2])
    else:
        changed = _conditions(line)
        changed = _templates(changed)
    return changed if changed != line else None


def quoted(expression: str) -> str:
    """One expression as a YAML text."""
    expression = expression.rstrip()
    if _is_quoted(expression):
        return expression
    return "'" + expression.replace("'", "''") + "'"


def balanced(text: str) -> bool:
    """Whether brackets and quotes of an expression close."""
    return _end(text, 0, "") == len(text)


def _below_condition_key(lines: list[str], index: int) -> bool:
    indent = _indent(lines[index])
    for above in range(index - 1, max(-1, index - 40), -1):
        line = lines[above]
        if not line.strip():
            continue
        if _BARE_KEY.match(line):
            return _indent(line) <= indent
        if _indent(line) < indent or not _ITEM.match(line):
            return False
    return False


def _conditions(line: str) -> str:
    """Each value of a condition key on this line, quoted piece by piece."""
    position = 0
    while match := _KEY.search(line, position):
        start = match.end()
        if line[start : start + 1] in ("|", ">", ""):
            return line
        inside = line[: match.start() + 1].lstrip("- ").startswith("{") or "{" in line[: match.start() + 1]
        if line[start] == "[":
            end = _end(line, start + 1, "]")
            if end >= len(line):
                return line
            pieces = [quoted(piece.strip()) for piece in _split(line[start + 1 : end]) if piece.strip()]
            value, end = f"[{', '.join(pieces)}]", end + 1
        else:
            end = _end(line, start, ",}") if inside else len(line)
            value = quoted(line[start:end])
            if inside and line[end : end + 1] == "}":
                value += " "
        line = line[:start] + value + line[end:]
        position = start + len(value)
    return line


def _templates(line: str) -> str:
    """Each value of a flow list or mapping that holds a bare `${{ }}`, quoted."""
    position = 0
    while match := _TEMPLATE.search(line, position):
        start = max(
            (line.rfind(mark, 0, match.start()) + len(mark) for mark in (": ", "[", ", ", "- ", "{ ")), default=0
        )
        end = match.end()
        while end < len(line) and line[end] not in ",]}" and line[end : end + 2] != " #":
            following = _TEMPLATE.match(line, end)
            end = following.end() if following else end + 1
        value = line[start:end].strip()
        if line[start : start + 1] in ("'", '"') or line[:start].count("'") % 2 or line[:start].count('"') % 2:
            position = match.end()
            continue
        replaced = quoted(value)
        lead = line[start:end][: len(line[start:end]) - len(line[start:end].lstrip())]
        trail = line[start:end][len(line[start:end].rstrip()) :]
        line = line[:start] + lead + replaced + trail + line[end:]
        position = start + len(lead) + len(replaced)
    return line


def _split(text: str) -> list[str]:
    """The pieces between commas that stand outside brackets and quotes."""
    pieces, start = [], 0
    while (end := _end(text, start, ",")) < len(text):
        pieces.append(text[start:end])
        start = end + 1
    return [*pieces, text[start:]]


def _end(text: str, start: int, stops: str) -> int:
    """Where the first of `stops` stands outside brackets and quotes; len + 1 where something does not close."""
    open_: list[str] = []
    index = start
    while index < len(text):
        char = text[index]
        if not open_ and char in stops:
            return index
        if char in "\"'":
            index += 1
            while index < len(text) and text[index] != char:
                index += 2 if text[index] == "\\" else 1
            if index >= len(text):
                return len(text) + 1
        elif char in _CLOSING:
            open_.append(_CLOSING[char])
        elif open_ and char == open_[-1]:
            open_.pop()
        elif char in ")]}":
            return len(text) + 1
        index += 1
    return len(text) + 1 if open_ else len(text)


def _is_quoted(text: str) -> bool:
    if len(text) < 2 or text[0] not in "\"'" or text[-1] != text[0]:
        return False
    body = text[1:-1].replace("''", "") if text[0] == "'" else re.sub(r"\\.", "", text[1:-1])
    return text[0] not in body


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
