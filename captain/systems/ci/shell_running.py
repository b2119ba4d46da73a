"""What one command of a shell runs: through sudo, npx, `uv run`, `python -m`, docker, make. Pure; knows no script.

Lists of programs that run others, and of those that only read, print or install. What neither list knows is unclear.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

_ASSIGNS = re.compile(r"[A-Za-z_]\w*(?:\[[^\]\s]*\])?\+?=")
_PYTHON = re.compile(r"(?:python|pypy|py)(?:\d(?:\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """How a program is told what to run."""

    valued: frozenset[str] = frozenset()
    """Options whose value is the next word."""
    alone: frozenset[str] = frozenset()
    """Options without a value."""
    operands: int = 0
    """Words of its own before the program."""
    greedy: bool = False
    """Options that are not known take the next word, too."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _wrapper(valued: str = "", alone: str = "", operands: int = 0, *, greedy: bool = False) -> _Wrapper:
    return _Wrapper(_names(valued), _names(alone), operands, greedy)


_CONTAINERS = ("docker", "podman", "docker-compose")
_CONTAINER = _wrapper(
    "",
    "--rm -i -t -it -ti -T --init --privileged --no-deps --service-ports --build --quiet --read-only --interactive"
    " --tty --no-TTY --use-aliases --remove-orphans --quiet-pull -P --publish-all --no-healthcheck",
    1,
    greedy=True,
)
_UV = _wrapper(
    "--with --extra --group -p --python --directory --project --env-file --package --index --only-group --no-group"
    " --no-extra --with-requirements --with-editable --from --default-index --index-url --constraints --config-file",
    "--frozen --locked --no-sync --all-extras --isolated --no-dev --dev --all-groups --active --no-project --exact"
    " --offline -q -v --quiet --verbose --no-cache --refresh --only-dev --no-default-groups --no-progress -n"
    " --all-packages --no-env-file --managed-python --no-editable",
)
_NPX = _wrapper(
    "-p --package -w --workspace --filter -F --dir -C --prefix",
    "-y --yes -q --quiet --no --no-install --prefer-offline --silent -s -r --recursive --bun",
)
_WRAPPERS = {
    "time": _wrapper("", "-p"),
    "command": _wrapper("", "-p"),
    "builtin": _wrapper(),
    "exec": _wrapper("-a", "-l -c"),
    "nohup": _wrapper(),
    "setsid": _wrapper("", "-w --wait"),
    "sudo": _wrapper("-u -g -h -p -C -T -U -r -t -D --user --group --chdir", "-E -n -H -S -k -i -EH -nE -HE"),
    "env": _wrapper("-u --unset -C --chdir", "-i - --ignore-environment"),
    "nice": _wrapper("-n --adjustment"),
    "ionice": _wrapper("-c -n", "-t"),
    "stdbuf": _wrapper("-i -o -e", "-oL -eL -o0 -e0 -i0"),
    "timeout": _wrapper("-k -s --kill-after --signal", "--foreground --preserve-status -v --verbose", 1),
    "xvfb-run": _wrapper("-s -n -e -f -w --server-args --server-num", "-a --auto-servernum"),
    "dbus-run-session": _wrapper(),
    "unbuffer": _wrapper(),
    "xargs": _wrapper("-n -P -I -L -d -a -s", "-r -0 -t"),
    "npx": _NPX,
    "pnpx": _NPX,
    "bunx": _NPX,
    "uvx": _UV,
    "tsx": _wrapper(),
    "node": _wrapper("-r --require --import --loader"),
}
_PLAIN = _wrapper("-n -p -e -C --env --name --prefix --directory", "-q --quiet --no-capture-output --live-stream --")
_RUNS = {
    **{(name, "run"): _PLAIN for name in ("poetry", "pipenv", "pdm", "hatch", "rye", "pixi", "conda", "mamba")},
    ("micromamba", "run"): _PLAIN,
    ("uv", "run"): _UV,
    ("coverage", "run"): _wrapper(
        "--source --rcfile --omit --include --data-file --concurrency --context", "-a -p --append --branch --parallel"
    ),
    ("pipx", "run"): _wrapper("--spec --python", "-q --no-cache"),
    ("bundle", "exec"): _wrapper("", "--keep-file-descriptors"),
    ("direnv", "exec"): _wrapper("", "", 1),
    ("dotenv", "run"): _wrapper("-f"),
    ("doppler", "run"): _wrapper("-p -c --project --config -t --token"),
    ("op", "run"): _wrapper("--env-file", "--no-masking"),
    **{(name, sub): _NPX for name in ("npm", "pnpm", "yarn", "bun") for sub in ("exec", "x", "dlx")},
    **{(name, sub): _CONTAINER for name in _CONTAINERS for sub in ("run", "exec")},
}
SHELLS = _names("bash sh dash ash zsh ksh")
_COMPOSE = _names("-f --file -p --project-name --profile --env-file --project-directory")
_TARGETS = _names(
    "make gmake just task tox nox npm pnpm yarn bun nx turbo gradle gradlew mvn mvnw rake invoke inv pre-commit"
    " manage.py django-admin django rails mix lein sbt cargo go dotnet composer lerna ant bazel hatch poe"
)
"""What the words after these name is run by them."""
_NAMING = _names("-e -s --session --sessions --env -m")
"""Options of these whose value names what is run."""
_READS = _names(
    "cat less more head tail grep egrep fgrep rg ls cp mv rm mkdir rmdir touch ln chmod chown cd pushd popd test ["
    " which type hash whereis file stat wc sed awk git echo printf pip pip3 apt apt-get apk yum dnf brew gem wget tar"
    " unzip zip export declare local readonly unset alias read cut sort tee diff cmp find sleep date : true false set"
    " trap shopt pyenv nvm asdf mise actionlint sha256sum md5sum basename dirname realpath source . umask wait kill"
    " pkill killall jq yq xz gzip dpkg rpm choco scoop install rsync scp return exit shift typeset ulimit"
)
"""What the words after these name is not run."""
_KEEPS = _names(
    "install add i ci uninstall remove rm update upgrade download list ls show info search freeze version outdated why"
    " init lock sync cache config help pip tool fetch pull push tag login images inspect view link pack restore get"
    " describe create clean"
)
"""Commands of other programs for which that holds, too."""
_IDLE = _names(
    "--version --help --collect-only --co --setup-plan --fixtures --fixtures-per-test --markers --listTests"
    " --list-tests --list --list-sessions --notest --showconfig --showConfig --show-config --print-config --env-info"
    " --no-run --just-print --show-settings --show-files"
)
"""Options with which a program says something and does nothing."""
_IDLE_ALONE = _names("-h -V help version")


@dataclass(frozen=True, slots=True)
class Running:
    """Which words of a command name what is run."""

    named: frozenset[int] = frozenset()
    command: int = 0
    """The program in the end, behind everything that only runs it; the number of words where there is none."""
    reads: bool = False
    """It reads, prints or installs what its other words name."""
    clear: bool = True
    """Whether the options before the program are all known."""
    idle: frozenset[int] = frozenset()
    """Words with which the program does nothing."""
    images: frozenset[int] = frozenset()
    """Words before the program that may run something themselves: the image of a container."""


@dataclass(frozen=True, slots=True)
class Nested:
    """A script in a word of a command."""

    word: int
    here: bool
    """In the same shell: eval."""
    errexit: bool = False
    pipefail: bool = False


def running(words: Sequence[str]) -> Running:
    """What a command with these words, quotes removed, runs."""
    named: set[int] = set()
    images: set[int] = set()
    at, clear = 0, True
    for _ in range(10):
        while at < len(words) and _ASSIGNS.match(words[at]):
            at += 1
        if at >= len(words):
            return Running(frozenset(named), len(words), clear=clear, images=frozenset(images))
        name = program(words[at])
        if name == "command" and {"-v", "-V"} & set(words[at + 1 : at + 2]):
            return Running(frozenset((at,)), at, reads=True)
        following = _behind(words, at, name)
        if following is None:
            ending = _ending(words, at, name, frozenset((*named, at)), clear=clear)
            return replace(ending, images=frozenset(images))
        began, at, known = following
        named.update(began)
        if program(words[min(began)]) in _CONTAINERS:
            images.add(at - 1)
        clear = clear and known
    return Running(frozenset(named), at, clear=False)


def program(word: str) -> str:
    """The name of a program without its folder."""
    return word.replace("\\", "/").rpartition("/")[2].removesuffix(".exe").removesuffix(".cmd")


def _behind(words: Sequence[str], at: int, name: str) -> tuple[set[int], int, bool] | None:
    """Behind a program that runs another: the words that name it, where the other begins, whether that is sure."""
    named = {at}
    if _PYTHON.fullmatch(name):
        return _python(words, at)
    wrapper = _WRAPPERS.get(name)
    if wrapper is None and at + 1 < len(words):
        sub = at + 1
        if name in ("docker", "podman") and words[sub] == "compose":
            named.add(sub)
            sub += 1
        if name == "docker-compose" or len(named) > 1:
            while sub < len(words) and words[sub].startswith("-"):
                sub += 2 if words[sub] in _COMPOSE else 1
        wrapper = _RUNS.get((name, words[sub])) if sub < len(words) else None
        named.add(sub)
        at = sub
    if wrapper is None:
        return None
    at, clear = _options(words, at + 1, wrapper)
    return named, at, clear


def _python(words: Sequence[str], at: int) -> tuple[set[int], int, bool] | None:
    named, at = {at}, at + 1
    while at < len(words) and words[at].startswith("-"):
        if words[at] == "-m":
            return {*named, at}, at + 1, True
        if words[at].startswith("-c") or words[at] in ("-", "-V", "--version", "--help", "-h"):
            return None
        at += 2 if words[at] in ("-W", "-X") else 1
    return (named, at, True) if at < len(words) else None


def _options(words: Sequence[str], at: int, wrapper: _Wrapper) -> tuple[int, bool]:
    """Where the program begins behind the options of a wrapper, and whether every option is known."""
    clear, operands = True, wrapper.operands
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
            break
        if word in ("-m", "--module") and word not in wrapper.valued:
            return at + 1, clear
        if word in ("-d", "--detach") and wrapper is _CONTAINER:
            clear = False
        elif word in wrapper.alone or (word.startswith("-") and "=" in word):
            pass
        elif word in wrapper.valued or (wrapper.greedy and word.startswith("-")):
            at += 1
        elif word.startswith("-"):
            clear = False
        elif operands and not _ASSIGNS.match(word):
            operands -= 1
        else:
            break
        at += 1
    return at, clear


def _ending(words: Sequence[str], at: int, name: str, named: frozenset[int], *, clear: bool) -> Running:
    """The program that is run in the end, and what its words name."""
    rest = range(at + 1, len(words))
    operands = [number for number in rest if not words[number].startswith("-")]
    first = words[operands[0]] if operands else ""
    reads = name in _READS or first in _KEEPS
    idle = {number for number in rest if words[number] in _IDLE}
    if len(rest) == 1 and words[at + 1] in _IDLE_ALONE:
        idle.add(at + 1)
    if name in ("make", "gmake"):
        idle |= {
            number for number in rest if re.fullmatch(r"-[a-z]*[niqt][a-z]*|--dry-run|--ignore-errors", words[number])
        }
    if name in _TARGETS and not reads:
        before = {number: words[number - 1] for number in operands}
        named |= {
            number
            for number in operands
            if "=" not in words[number] and (not before[number].startswith("-") or before[number] in _NAMING)
        }
    return Running(named, at, reads, clear, frozenset(idle))


def nested_script(words: Sequence[str]) -> Nested | None:
    """The script that a command is given in a word: `bash -c "…"`, `eval "…"`."""
    found = running(words)
    at = found.command
    if not found.clear or at >= len(words) - 1:
        return None
    name, options = program(words[at]), words[at + 1 :]
    if name == "eval" and len(words) == at + 2:
        return Nested(at + 1, here=True)
    if name not in SHELLS or not any(re.fullmatch(r"-[a-z]*c[a-z]*", word) for word in options):
        return None
    switches = shell_switches(options)
    return None if switches is None else Nested(at + 1 + switches[0], False, *switches[1:])


def shell_switches(words: Sequence[str]) -> tuple[int, bool, bool] | None:
    """Of the words after bash: the number of the first that is no option, and whether errexit and pipefail are on.

    None where there is no such word.
    """
    at, on = 0, {"errexit": False, "pipefail": False}
    while at < len(words) and words[at][:1] in ("-", "+") and words[at] != "-":
        word, short = words[at], "" if words[at].startswith("--") else words[at][1:]
        if "e" in short:
            on["errexit"] = word[0] == "-"
        if "o" in short and at + 1 < len(words):
            at += 1
            on[words[at]] = word[0] == "-"
        at += 1
    return (at, on["errexit"], on["pipefail"]) if at < len(words) else None
