"""What tells a secret: names of keys, names of files, shapes of values. Pure; never gives a value back.

Who asks gets the id of a rule or nothing. A rule of a file's name may need the content too: most `.pem` files are
certificates anybody may read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

CONTENT = 256 * 1024
"""Bytes of a file that its rule looks at."""
SYNTHETIC = (
    *(".env", ".env.production", "key.pem", "id_rsa", ".npmrc", ".pypirc", ".netrc", ".git-credentials"),
    *(".aws/credentials", ".docker/config.json", ".git/config"),
)
"""A name for each rule that matters most: to try out whether something keeps such files away."""

_LAST_WORDS = frozenset(
    (
        *("SECRET", "SECRETS", "TOKEN", "TOKENS", "PASSWORD", "PASSWORDS", "PASSWD", "PWD", "PASS", "PASSPHRASE"),
        *("CREDENTIAL", "CREDENTIALS", "APIKEY", "PAT"),
    )
)
_PAIRS = frozenset(
    (first, last)
    for first in ("API", "SECRET", "PRIVATE", "ACCESS", "ENCRYPTION", "SIGNING", "MASTER", "APP", "SERVICE", "AUTH")
    for last in ("KEY", "KEYS")
)
_SUFFIXES = frozenset(("BASE", "VALUE", "BASE64", "B64"))
_RUN_TOGETHER = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|APIKEY)$")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_WORKING_DIRECTORY = frozenset(("PWD", "OLDPWD"))
_NO_VALUE = re.compile(
    r"/(run|var|etc|usr|opt|app|home|srv|tmp|root|mnt|secrets?)(/[\w.@+:,*-]*)*|(true|false|none|null|yes|no|on|off)"
    r"|<[^<>]*>|\{\{.*\}\}|changeit",
    re.IGNORECASE,
)
"""Paths, switches, places to be filled in, and the password that everybody's Java has."""
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]|\$\(|`")
"""How a value begins that a shell makes of something else."""
_PLACE = r"\$\{[^}\s]*\}|\$\([^)]*\)|\$[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+"
"""What a program may still make something of where no shell does. Any other `$` is one of the value's own."""
_FILLED_LATER = re.compile(_PLACE)
_URL = r"[a-z][a-z0-9+.-]{1,20}://"
_VALUES = (
    ("url-userinfo", re.compile(rf"{_URL}[^\s:/@$]{{0,100}}:(?![$*x]+@)[^\s/@$]{{1,200}}@", re.IGNORECASE)),
    ("private-key", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY")),
    ("aws-key", re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("github-token", re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})")),
    ("gitlab-token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("slack-token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("stripe-key", re.compile(r"\b[sr]k_live_[A-Za-z0-9]{10,}")),
    ("npm-token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    # OpenAI, Anthropic and others: sk-…, sk-proj-…, sk-ant-api03-…
    ("api-key", re.compile(r"(?<![\w-])sk-(?:[a-z0-9]{2,10}-){0,2}(?=[A-Za-z_]*[0-9])[A-Za-z0-9_]{20,}")),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}")),
    # A name alone before the @ is a token where it looks like one; Sentry's, before a number, is everybody's to see.
    (
        "url-token",
        re.compile(
            r"https?://(?=[^\s/@]*[0-9])[A-Za-z0-9_~-]{20,255}@(?![^\s/]*sentry)[^\s/@]++(?!/[0-9]+(?![\w/-]))",
            re.IGNORECASE,
        ),
    ),
    (
        "authorization",
        re.compile(
            r"\bauthorization[\"']?\s?[:=]\s?[\"']?(bearer|basic|token)\s+(?![x*]+\b)[\w+/=.~-]{8,}", re.IGNORECASE
        ),
    ),
)
_FINAL = re.compile(rf"{_URL}[^\s:/@]{{0,100}}:(?!(?:[$*x]+|{_PLACE})@)[^\s/@]{{1,200}}@", re.IGNORECASE)
_COUNTED = frozenset(("TOKENS", "KEYS"))


def secret_key(name: str, value: str, *, final: bool = False) -> bool:
    """Whether a variable of this name holds a secret: SECRET_KEY, pgPassword, STRIPE_API_KEY.

    Not where its value is none: empty, a path, a switch, the name of another variable. With `final` no shell looks at
    the value any more, so that a `$` in it stands for itself.
    """
    value = value.strip()
    variable = _FILLED_LATER.fullmatch(value) if final else _VARIABLE.match(value)
    if not value or variable or _NO_VALUE.fullmatch(value) or name in _WORKING_DIRECTORY:
        return False
    words = _words(name)
    while words and (words[-1].isdecimal() or words[-1] in _SUFFIXES):
        words.pop()
    if not words or "PUBLIC" in words or (words[-1] in _COUNTED and value.isdecimal()):
        return False
    return words[-1] in _LAST_WORDS or tuple(words[-2:]) in _PAIRS or _RUN_TOGETHER.search(words[-1]) is not None


def public(name: str) -> bool:
    """Whether a variable says of itself that everybody may read it: NEXT_PUBLIC_…, SUPABASE_ANON_KEY."""
    return not {"PUBLIC", "ANON"}.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    return [word.upper() for word in _WORDS.findall(name)]


def secret_value(text: str, *, final: bool = False) -> str | None:
    """The rule that a text has the shape of: `url-userinfo`, `private-key`, `aws-key`, …; None where it has none."""
    if final and _FINAL.search(text):
        return "url-userinfo"
    return next((rule for rule, shape in _VALUES if shape.search(text)), None)


@dataclass(frozen=True, slots=True)
class FileRule:
    """Why a file may hold a secret."""

    id: str
    confirmed: Callable[[bytes], object]
    """Whether the first `CONTENT` bytes of the file bear it out."""
    alone: bool = True
    """Whether the name says it where the content cannot be read."""


def file_rule(path: str) -> FileRule | None:
    """The rule that the name of a file meets, None where it meets none."""
    folder, _, name = path.rpartition("/")
    folder = folder.rpartition("/")[2]
    return next((rule for rule, named in _FILES if named(folder, name)), None)


def _has(pattern: bytes) -> Callable[[bytes], object]:
    return re.compile(pattern, re.IGNORECASE).search


def _name(*names: str) -> Callable[[str, str], bool]:
    return lambda _, name: name in names


def _in(folder: str, *names: str) -> Callable[[str, str], bool]:
    return lambda inside, name: inside == folder and name in names


def _ends(*ends: str) -> Callable[[str, str], bool]:
    return lambda _, name: name.lower().endswith(ends)


_EXAMPLES = frozenset(("example", "sample", "template", "dist", "defaults", "schema"))


def _env(_: str, name: str) -> bool:
    return name.startswith(".env") and name.rpartition(".")[2].lower() not in _EXAMPLES


def _named_env(_: str, name: str) -> bool:
    return name.lower().endswith(".env") and _EXAMPLES.isdisjoint(re.split(r"[._-]", name.lower()))


def _sets_secret(content: bytes) -> bool:
    lines = (line.strip().removeprefix("export ") for line in content.decode("utf-8", "replace").splitlines())
    pairs = (line.partition("=")[::2] for line in lines if not line.startswith("#"))
    return any(assigns_secret(name.strip(), value, final=True) for name, value in pairs)


def assigns_secret(name: str, value: str, *, final: bool = False) -> bool:
    """Whether a variable holds a secret, by its name or by the shape of its value."""
    value = value.strip("\"' ")
    rule = secret_value(value, final=final)
    return secret_key(name, value, final=final) or (rule is not None and not (rule == "jwt" and public(name)))


def _ssh_key(_: str, name: str) -> bool:
    return name.startswith("id_") and "." not in name


_SOMETHING = _has(rb"\S")
_PRIVATE = _has(rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY")
_FILES: tuple[tuple[FileRule, Callable[[str, str], bool]], ...] = (
    (FileRule("env-file", _SOMETHING), _env),
    (FileRule("private-key", _PRIVATE), _ends(".pem", ".key")),
    (FileRule("private-key", _PRIVATE), _ssh_key),
    (FileRule("key-store", _SOMETHING), _ends(".p12", ".pfx", ".jks")),
    (FileRule("npmrc", _has(rb"(_authToken|_auth|_password)\s*=\s*[^\s$]")), _name(".npmrc")),
    (FileRule("pypirc", _has(rb"password\s*[=:]\s*\S")), _name(".pypirc")),
    (FileRule("netrc", _has(rb"password\s+\S")), _name(".netrc", "_netrc")),
    (FileRule("git-credentials", _SOMETHING), _name(".git-credentials")),
    (FileRule("pgpass", _SOMETHING), _name(".pgpass")),
    (FileRule("aws-credentials", _SOMETHING), _in(".aws", "credentials")),
    (FileRule("git-config", _has(rb"https?://[^\s/@]+@")), _in(".git", "config")),
    (FileRule("docker-config", _has(rb'"(auth|identitytoken|password)"\s*:\s*"[^"]')), _in(".docker", "config.json")),
    (FileRule("docker-config", _has(rb'"auth"\s*:\s*"[^"]')), _name(".dockercfg", ".dockerconfigjson")),
    (FileRule("env-file", _sets_secret, alone=False), _named_env),
    (FileRule("service-account", _has(rb'"private_key"\s*:\s*"-----BEGIN'), alone=False), _ends(".json")),
    (FileRule("kube-config", _has(rb"(token|client-key-data|password)\s*:\s*\S")), _in(".kube", "config")),
)
