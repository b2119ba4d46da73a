"""Whether what a document tells people to run is there: scripts, make targets, npm scripts, compose services.

Reads the repository and runs nothing. A command of which captain knows nothing, or with a placeholder, is no finding.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from captain.errors import ProbeError
from captain.systems.compose.files import default_files, read_compose
from captain.systems.texts.reading import Block
from captain.systems.texts.script_lines import script_lines
from captain.systems.tree_files import Tree

_SHELLS = frozenset(("", "sh", "bash", "shell", "zsh", "console", "shell-session", "terminal", "text", "sh-session"))
_UNSURE = frozenset(("", "text"))
"""Where no prompt shows what is a command, only what is surely one counts."""
_SURE = frozenset(("make", "docker", "docker-compose", "npm", "pnpm", "yarn"))
_PROMPT = re.compile(r"^\s*(?:\([\w.-]{1,60}\)\s*)?(?:[\w.-]{1,60}@[\w.-]{1,60}[^\s$#]{0,100}\s?[$#]|\$)\s+")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_MARKED = re.compile(r"[<>${}*?…\[\]|]|\.\.\.|/path/to|\b(?:your|my)[-_]", re.IGNORECASE)
_CAPITALS = re.compile(r"[A-Z][A-Z0-9_-]+")
_SPLIT = re.compile(r"&&|\|\||[;|&]")
_BEFORE = frozenset(("sudo", "time", "exec", "env", "nohup", "command", "then", "do", "else", "if", "!", "watch"))
_INTERPRETERS = frozenset(("bash", "sh", "zsh", "python", "python3", "node", "ruby", "perl", "source", ".", "php"))
_TARGET = re.compile(r"^([A-Za-z0-9_./%][A-Za-z0-9_./% -]*?)\s*::?(?!=)")
_MAKE_VALUED = frozenset(("-C", "-f", "-j", "-o", "-W", "-I", "--directory", "--file", "--jobs"))
_COMPOSE_VALUED = frozenset(("-f", "--file", "-p", "--project-name", "--profile", "--env-file", "--project-directory"))
_ONE_SERVICE = frozenset(("exec", "run", "port"))
_SERVICES = frozenset(
    (
        *("up", "start", "stop", "restart", "logs", "build", "pull", "push", "ps", "kill", "rm", "create", "pause"),
        *("unpause", "top", "scale", "images", "watch", "wait", "attach"),
    )
)
_VALUED = frozenset(
    (
        *("-e", "--env", "-u", "--user", "-w", "--workdir", "--index", "--name", "-v", "--volume", "--entrypoint"),
        *("-l", "--label", "-n", "--tail", "-t", "--timeout", "--since", "--until", "--scale", "-s", "--signal"),
        *("--build-arg", "-m", "--memory", "--exit-code-from", "--attach", "--no-attach", "--pull", "--progress"),
        *("--wait-timeout", "--filter", "--format", "--status", "--ssh", "--builder", "--env-from-file", "--cap-add"),
    )
)
MAX_COMMANDS = 2000


@dataclass
class Commands:
    """What can be run in one repository."""

    tree: Tree
    cut: bool = False
    """Whether there were more than are looked at."""
    _services: dict[tuple[str, ...], frozenset[str] | None] = field(default_factory=dict)
    _targets: dict[str, frozenset[str] | None] = field(default_factory=dict)
    _seen: dict[str, bool] = field(default_factory=dict)
    _count: int = 0

    def dead(self, block: Block, folder: str) -> Iterator[tuple[str, int]]:
        """Commands of a block whose script, target or service is not there. `folder`: where the document lies."""
        if block.language not in _SHELLS:
            return
        prompted = any(_PROMPT.match(line) for line in block.lines)
        told = block.language in ("", "text", "console", "shell-session", "sh-session", "terminal")
        text = "\n".join(
            _PROMPT.sub("", line) if _PROMPT.match(line) else ("" if prompted and told else line)
            for line in block.lines
        )
        cwd: str | None = ""
        for line, number in script_lines(text, block.line):
            for words in _commands(line):
                self._count += 1
                if self._count > MAX_COMMANDS:
                    self.cut = True
                if self.cut or cwd is None:
                    return
                sure = words[0] in _SURE or words[0].startswith("./")
                if block.language in _UNSURE and not prompted and not sure:
                    continue
                if words[0] == "cd":
                    cwd = self._cd(cwd, words)
                    continue
                said = self._missing(words, cwd, folder)
                # Many blocks go into a folder in one line and mean the top again in the next.
                if said is not None and (not cwd or self._missing(words, "", folder) is not None):
                    yield said, number

    def _cd(self, cwd: str, words: Sequence[str]) -> str | None:
        """Where a block goes on; None where captain cannot follow."""
        if len(words) != 2 or _placeholder(words[1]) or words[1].startswith(("/", "~", "-")):
            return None
        there = posixpath.normpath(posixpath.join(cwd, words[1]))
        if there.startswith("..") or not self.tree.folder(there):
            return None
        return "" if there == "." else there

    def _missing(self, words: Sequence[str], cwd: str, folder: str) -> str | None:
        name = words[0]
        if name == "make":
            return self._make(words, cwd)
        if name in ("docker-compose",) or list(words[:2]) == ["docker", "compose"]:
            return self._compose(words[1 if name == "docker-compose" else 2 :], cwd)
        if name in ("npm", "pnpm", "yarn") and len(words) > 2 and words[1] == "run":
            return self._npm(words[2], name, cwd)
        script = name
        if name in _INTERPRETERS:
            script = next((word for word in words[1:] if not word.startswith("-")), "")
            if any(word in ("-c", "-m", "-e", "-") for word in words[1:]) or not re.search(r"/|\.\w+$", script):
                return None
        elif "/" not in name:
            return None
        if script.startswith(("/", "~")) or _placeholder(script) or "://" in script or ":" in script:
            return None
        return None if self.there(script, cwd, folder) else script

    def there(self, path: str, *folders: str) -> bool:
        """Whether a path is there from one of the folders; what leads out of the repository is not looked for."""
        for folder in folders:
            joined = posixpath.normpath(posixpath.join(folder, path))
            if joined.startswith("..") or self._exists(joined):
                return True
        return False

    def _exists(self, path: str) -> bool:
        if path not in self._seen:
            try:
                self._seen[path] = self.tree.there(path)
            except (OSError, ValueError):
                self._seen[path] = False
        return self._seen[path]

    def _make(self, words: Sequence[str], cwd: str) -> str | None:
        wanted, options = _arguments(words[1:], _MAKE_VALUED)
        where = options.get("-C") or options.get("--directory") or ""
        if _placeholder(where) or options.keys() & {"-f", "--file"}:
            return None
        folder = posixpath.normpath(posixpath.join(cwd, where))
        targets = self._make_targets("" if folder == "." else folder)
        if targets is None:
            return None
        for target in wanted:
            if "=" not in target and target not in targets and not _placeholder(target):
                return f"make {target}"
        return None

    def _make_targets(self, folder: str) -> frozenset[str] | None:
        """Targets of a Makefile; None where they cannot all be known."""
        if folder not in self._targets:
            found: set[str] = set()
            known = True
            for name in ("GNUmakefile", "makefile", "Makefile"):
                data = self.tree.read(posixpath.join(folder, name))
                if data is None:
                    continue
                for line in data.decode("utf-8", "replace").split("\n"):
                    known = known and not re.match(r"\s*-?include\s|\$\(eval|define\s", line)
                    if (match := _TARGET.match(line[:2000])) is not None:
                        found |= set(match[1].split())
                    elif re.match(r"^\$\(", line) and ":" in line:
                        known = False
                break
            known = known and not any("%" in one for one in found)
            self._targets[folder] = frozenset(found) if known else None
        return self._targets[folder]

    def _compose(self, words: Sequence[str], cwd: str) -> str | None:
        files: list[str] = []
        at = 0
        while at < len(words) and words[at].startswith("-"):
            option, _, value = words[at].partition("=")
            if not value and option in _COMPOSE_VALUED and at + 1 < len(words):
                at += 1
                value = words[at]
            if option in ("-f", "--file"):
                files.append(posixpath.normpath(posixpath.join(cwd, value)))
            at += 1
        if at >= len(words) or any(_placeholder(file) or file.startswith(("..", "/")) for file in files):
            return None
        verb, rest = words[at], words[at + 1 :]
        for file in files:
            if not self.there(file, ""):
                return file
        if verb not in _ONE_SERVICE | _SERVICES:
            return None
        wanted, _ = _arguments(rest, _VALUED, stop=verb in _ONE_SERVICE)
        services = self._compose_services(tuple(files), cwd)
        if services is None:
            return None
        for service in wanted[:1] if verb in _ONE_SERVICE else wanted:
            name = service.partition("=")[0]
            if name not in services and not _placeholder(name):
                return f"docker compose {verb} {name}"
        return None

    def _compose_services(self, files: tuple[str, ...], cwd: str) -> frozenset[str] | None:
        key = (cwd, *files)
        if key not in self._services:
            try:
                chosen = list(files) or default_files(self.tree, cwd)
                compose = read_compose(self.tree, chosen) if chosen else None
                whole = compose is None or not compose.unread
                names = frozenset(compose.services) if compose is not None else frozenset[str]()
                self._services[key] = names if whole else None
            except ProbeError:
                self._services[key] = None
        return self._services[key]

    def _npm(self, script: str, tool: str, cwd: str) -> str | None:
        data = self.tree.read(posixpath.join(cwd, "package.json"))
        if _placeholder(script) or script.startswith("-"):
            return None
        try:
            scripts = json.loads(data or b"{}").get("scripts", {})
            return None if script in scripts else f"{tool} run {script}"
        except (ValueError, AttributeError, TypeError, RecursionError):
            return None


def _placeholder(word: str) -> bool:
    """Whether a reader has to put something in its place."""
    return _MARKED.search(word) is not None or any(_CAPITALS.fullmatch(part) for part in word.split("/"))


def _commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line, what stands before a command taken away."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        lexer.commenters = ""
        tokens = list(lexer)
    except ValueError:
        return
    words: list[str] = []
    for token in [*tokens, ";"]:
        if _SPLIT.fullmatch(token) or token in ("|&", ";;"):
            while words and (words[0] in _BEFORE or _ASSIGNMENT.match(words[0])):
                words = words[1:]
            if words:
                yield words
            words = []
        else:
            words.append(token)


def _arguments(words: Sequence[str], valued: frozenset[str], *, stop: bool = False) -> tuple[list[str], dict[str, str]]:
    """What is no option, and the options with a value. `stop`: nothing after the first argument counts."""
    found: list[str] = []
    options: dict[str, str] = {}
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word.startswith((">", "<")) or re.match(r"\d>", word):
            break
        if not word.startswith("-"):
            found.append(word)
            if stop:
                break
            continue
        name, sign, value = word.partition("=")
        if not sign and name in valued and at < len(words):
            value = words[at]
            at += 1
        options[name] = value
    return found, options
