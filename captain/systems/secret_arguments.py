"""What tells a secret among the arguments of commands. Pure; never gives a value back."""

from __future__ import annotations

import re

from captain.systems.secret_names import secret_key

_OPTION = re.compile(
    r"(?<![\w-])(--?[A-Za-z][\w.-]{2,80})[\"']?(=|[\s,]+(?![\"']?-))(\"[^\"]*\"|'[^']*'|[^\s;&|\"']+)",
)
"""`--password=x`, `--requirepass x`, `-storepass x`; in a list, as the engine writes it, `"--requirepass" "x"`."""
_SERVERS = ("requirepass", "masterauth", "storepass", "keypass", "sshpass")
"""Names of passwords that are written in one word."""
_SWITCHES = ("no", "disabled", "disable", "without", "skip", "empty", "ask", "prompt")
_NO_PASSWORD = re.compile(
    # A redirection, the parts of a secret that the build mounts, a file.
    r"[<>(\[].*|(id|src|source|env|type)=.*|id_[a-z0-9]+|[\w./-]*\.(pem|key|crt|pub|asc|gpg|txt|json|ya?ml|env|conf|cfg)",
    re.IGNORECASE,
)
_ONLY_WITH_EQUALS = re.compile(r"\b(mysql|mariadb)\w*\b[^;&|]*$")
"""Clients whose `--password` without `=` asks for one."""
_CURL = re.compile(
    r"\bcurl\b[^;&|\n]{0,500}?\s(?:-[A-Za-z]{0,10}u|--(?:proxy-)?user)[\s=]{0,3}[\"']?"
    r"[^\s:\"'$/]{1,100}:(?!//|\$|[x*]+(?:[\s\"']|$))[^\s\"']{1,200}"
)


def secret_arguments(command: str) -> set[str]:
    """Options that were given a secret, `--db-password`, and `curl-user` where curl was given a password."""
    found = set()
    for match in _OPTION.finditer(command):
        option, between, value = match.groups()
        if _is_secret(option.lstrip("-"), value.strip("\"'")) and not (
            between != "=" and _ONLY_WITH_EQUALS.search(command[max(match.start() - 300, 0) : match.start()])
        ):
            found.add(option)
    if _CURL.search(command):
        found.add("curl-user")
    return found


def _is_secret(name: str, value: str) -> bool:
    if re.split(r"[._-]", name.lower())[0] in _SWITCHES or _NO_PASSWORD.fullmatch(value):
        return False
    return secret_key("password" if name.lower() in _SERVERS else name, value)
