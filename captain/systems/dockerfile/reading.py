"""A Dockerfile as stages of instructions, read the way BuildKit reads it. Pure; builds nothing and judges nothing.

Known: parser directives, comments, continued lines, heredocs, ARG before FROM, stages that build on stages.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
_HEREDOC = re.compile(r"<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_.]*)\2")
_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)(?:\s+(.*))?$", re.DOTALL)
_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=(\S*))?\s+")
_VARIABLE = re.compile(r"\\(.)|\$(?:\{([A-Za-z_]\w*)(?:(:?[-+?])([^{}]*))?\}|([A-Za-z_]\w*))")
_PAIR = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]{0,200})=((?:\"(?:\\.|[^\"\\])*\"|'[^']*'|\\.|[^\s\"'\\])*)", re.DOTALL)
_STARTS_HEREDOC = frozenset(("RUN", "COPY", "ADD"))
_MAX_LINES = 10_000
_MAX_STAGES = 100
_LONGEST = 64 * 1024
_MAX_VALUE = 1024
KNOWN = frozenset(
    (
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
        *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    )
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction."""

    name: str
    """Upper case."""
    rest: str
    """What follows it without its flags, continued lines as one."""
    line: int
    flags: tuple[tuple[str, str], ...] = ()
    heredoc: str = ""
    """The text of its heredocs."""

    def flag(self, name: str) -> str | None:
        """The value of one flag; the last one counts."""
        return next((value for key, value in reversed(self.flags) if key == name), None)

    def words(self) -> list[str]:
        """The arguments of COPY or ADD, written as a list or as words."""
        if self.rest.startswith("["):
            try:
                found = json.loads(self.rest)
                return [str(each) for each in found]
            except (ValueError, TypeError, RecursionError):
                pass
        try:
            return shlex.split(self.rest)
        except ValueError:
            return self.rest.split()

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of ENV, LABEL or ARG; of an ARG without a default the value is ""."""
        if self.name == "ARG":
            named = [each.partition("=") for each in _split(self.rest)]
            return [(name, _unquoted(value)) for name, _, value in named if name]
        found = _PAIR.findall(self.rest)
        if found and _PAIR.match(self.rest):
            return [(name, _unquoted(value)) for name, value in found]
        name, _, value = self.rest.partition(" ")
        return [(name, value.strip())] if name else []


@dataclass
class Stage:
    """From one FROM to the next."""

    index: int
    name: str
    """Lower case, "" where it has none."""
    base: str
    """The image or the earlier stage, ARGs before FROM filled in."""
    line: int
    parent: Stage | None = None
    """The earlier stage that it builds on."""
    instructions: list[Instruction] = field(default_factory=list)
    scope: dict[str, str] = field(default_factory=dict)
    """What its variables are at its end, as far as the file says."""

    def line_of_descent(self) -> list[Stage]:
        """It and the stages it builds on, the first one first."""
        found: list[Stage] = []
        stage: Stage | None = self
        while stage is not None:
            found.insert(0, stage)
            stage = stage.parent
        return found


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """All of it."""

    stages: tuple[Stage, ...]
    globals: tuple[Instruction, ...]
    """ARGs before the first FROM."""
    unknown: tuple[Instruction, ...]
    """What is no instruction."""

    def stage(self, name: str) -> Stage | None:
        """A stage by name, whatever its case, or by number."""
        wanted = name.lower()
        named = next((one for one in reversed(self.stages) if one.name and one.name == wanted), None)
        if named is None and wanted.isdecimal() and len(wanted) < 6 and int(wanted) < len(self.stages):
            return self.stages[int(wanted)]
        return named


def read_dockerfile(text: str) -> Dockerfile:
    """Raises ValueError with `line: sentence` where it is none."""
    stages: list[Stage] = []
    before: list[Instruction] = []
    unknown: list[Instruction] = []
    outer: dict[str, str] = {}
    for one in _instructions(text.removeprefix("\ufeff")):
        if one.name not in KNOWN:
            unknown.append(one)
        elif one.name == "FROM":
            if len(stages) >= _MAX_STAGES:
                raise ValueError(f"{one.line}: is one of more than {_MAX_STAGES} stages")
            stages.append(_stage(one, stages, outer))
        elif stages:
            stage = stages[-1]
            stage.instructions.append(one)
            _remember(one, stage.scope, outer)
        elif one.name == "ARG":
            before.append(one)
            _remember(one, outer, {})
        else:
            raise ValueError(f"{one.line}: {one.name} stands before the first FROM")
    if not stages:
        raise ValueError("1: holds no FROM, so it builds nothing")
    return Dockerfile(tuple(stages), tuple(before), tuple(unknown))


def fill(text: str, scope: Mapping[str, str]) -> str:
    """Variables in the place of which `scope` knows what stands; the others stay as `${NAME}`."""

    def one(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1]
        name, sign, other = match[2] or match[5], match[3] or "", match[4] or ""
        known = scope.get(name)
        if sign.endswith("-"):
            return other if known is None or (sign == ":-" and not known) else known
        if sign.endswith("+"):
            return other if known else ""
        return f"${{{name}}}" if known is None else known

    return _VARIABLE.sub(one, text[:_MAX_VALUE])[:_MAX_VALUE]


def _stage(one: Instruction, stages: list[Stage], outer: Mapping[str, str]) -> Stage:
    words = one.rest.split()
    named = len(words) == 3 and words[1].upper() == "AS"
    if not words or not (len(words) == 1 or named):
        raise ValueError(f"{one.line}: FROM takes an image, or an image AS a name")
    base = fill(words[0], outer)
    parent = next((each for each in reversed(stages) if each.name and each.name == base.lower()), None)
    scope = {} if parent is None else {n: v for s in parent.line_of_descent() for n, v in _lasting(s).items()}
    return Stage(len(stages), words[2].lower() if named else "", base, one.line, parent, [], scope)


def _lasting(stage: Stage) -> dict[str, str]:
    """What a stage hands on: its ENV, not its ARG."""
    names = {name for one in stage.instructions if one.name == "ENV" for name, _ in one.pairs()}
    return {name: stage.scope[name] for name in names if name in stage.scope}


def _remember(one: Instruction, scope: dict[str, str], outer: Mapping[str, str]) -> None:
    if one.name == "ENV":
        scope.update({name: fill(value, scope) for name, value in one.pairs()})
    elif one.name == "ARG":
        for name, value in one.pairs():
            if "=" in one.rest and re.search(rf"(?:^|\s){re.escape(name)}=", one.rest):
                scope[name] = fill(value, scope)
            elif name in outer:
                scope[name] = outer[name]


def _instructions(text: str) -> list[Instruction]:
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > _MAX_LINES:
        raise ValueError(f"1: has more than {_MAX_LINES} lines")
    escape = _escape(lines)
    found: list[Instruction] = []
    at = 0
    while at < len(lines):
        first = at
        if not lines[at].strip() or lines[at].lstrip().startswith("#"):
            at += 1
            continue
        parts: list[str] = []
        while at < len(lines):
            raw = lines[at]
            at += 1
            # Comments and empty lines within continued ones are passed over.
            if parts and (not raw.strip() or raw.lstrip().startswith("#")):
                continue
            if (stripped := raw.rstrip()).endswith(escape):
                parts.append(stripped[:-1])
                continue
            parts.append(raw)
            break
        joined = "".join(parts).strip()
        if len(joined) > _LONGEST:
            raise ValueError(f"{first + 1}: is longer than {_LONGEST // 1024} KiB, which captain does not read")
        one = _instruction(joined, first + 1)
        docs: list[str] = []
        if one.name in _STARTS_HEREDOC or one.name == "ONBUILD":
            for dash, _, mark in _HEREDOC.findall(one.rest):
                while at < len(lines):
                    line = lines[at].lstrip("\t") if dash else lines[at]
                    at += 1
                    if line == mark:
                        break
                    docs.append(line)
                else:
                    raise ValueError(f"{first + 1}: the heredoc {mark[:40]} has no end")
        found.append(Instruction(one.name, one.rest, one.line, one.flags, "\n".join(docs)) if docs else one)
    return found


def _instruction(text: str, line: int) -> Instruction:
    match = _INSTRUCTION.match(text)
    if match is None:
        return Instruction(text[:40], "", line)
    name, rest = match[1].upper(), (match[2] or "").strip()
    flags: list[tuple[str, str]] = []
    while (flag := _FLAG.match(rest)) is not None:
        flags.append((flag[1], flag[2] or ""))
        rest = rest[flag.end() :]
    return Instruction(name, rest, line, tuple(flags))


def _escape(lines: list[str]) -> str:
    """The sign that continues a line: a backslash, or what the directive at the top says."""
    for line in lines:
        match = _DIRECTIVE.match(line)
        if match is None:
            break
        if match[1].lower() == "escape" and match[2] in ("`", "\\"):
            return match[2]
    return "\\"


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text, posix=False)
    except ValueError:
        return text.split()


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value)) if value else ""
    except ValueError:
        return value.strip("\"'")
