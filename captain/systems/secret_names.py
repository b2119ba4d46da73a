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
    r"\$\{?[A-Za-z_]|\$\(|`|/(run|var|etc|usr|opt|app|home|srv|tmp|root|mnt|secrets?)(/|$)|(true|false|none|null|yes|no|on|off)$",
    re.IGNORECASE,
)
_VALUES = (
    (
        "url-userinfo",
        re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^\s:/@$]{0,100}:(?![$*x]+@)[^\s/@$]{1,200}@", re.IGNORECASE),
    ),
    ("private-key", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY")),
    ("aws-key", re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("github-token", re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})")),
    ("gitlab-token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("slack-token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("stripe-key", re.compile(r"\b[sr]k_live_[A-Za-z0-9]{10,}")),
)


def secret_key(name: str, value: str) -> bool:
    """Whether a variable of this name holds a secret: SECRET_KEY, pgPassword, STRIPE_API_KEY.

    Not where its value is none: empty, a path, a switch, the name of another variable.
    """
    if not value.strip() or _NO_VALUE.match(value.strip()) or name in _WORKING_DIRECTORY:
        return False
    words = [word.upper() for word in _WORDS.findall(name)]
    while words and (words[-1].isdecimal() or words[-1] in _SUFFIXES):
        words.pop()
    if not words or "PUBLIC" in words:
        return False
    return words[-1] in _LAST_WORDS or tuple(words[-2:]) in _PAIRS or _RUN_TOGETHER.search(words[-1]) is not None


def secret_value(text: str) -> str | None:
    """The rule that a text has the shape of: `url-userinfo`, `private-key`, `aws-key`, …; None where it has none."""
    return next((rule for rule, shape in _VALUES if shape.search(text)), None)


@dataclass(frozen=True, slots=True)
class FileRule:
    """Why a file may hold a secret."""

    id: str
    confirmed: Callable[[bytes], object]
    """Whether the first `CONTENT` bytes of the file bear it out."""


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


def _env(_: str, name: str) -> bool:
    examples = ("example", "sample", "template", "dist", "defaults", "schema")
    return name.startswith(".env") and name.rpartition(".")[2].lower() not in examples


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
    (FileRule("kube-config", _has(rb"(token|client-key-data|password)\s*:\s*\S")), _in(".kube", "config")),
)
