"""Writes the files of the demo's service: texts of the bundles, and what repeats itself. Knows no git."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

BUNDLES = Path(__file__).parent / "bundles"
FIRST = ("backend", "frontend", "stack", "workflows", "docs")
"""Bundles of the version that runs."""
NEXT = ("next",)
"""What the version that is released adds."""

PROVIDERS = (
    *("payment", "invoicing", "tax", "fraud", "currency", "mail", "sms", "push", "search"),
    *("shipping", "tracking", "addresses", "warehouse", "reviews", "translation", "weather", "maps", "newsletter"),
)
UNGUARDED = ("weather", "newsletter")
"""Providers that are asked without a circuit breaker."""
_CLIENT = '''"""Asks the provider for {name}."""

import httpx

from providers.breaker import circuit_breaker

URL = "https://{name}.example.com"


class {title}:
    {guard}def charge(self, request: object) -> None:
        httpx.post(URL, json={{}}, timeout=5).raise_for_status()
'''


def write_first(root: Path) -> None:
    """The files of the version that runs."""
    for bundle in FIRST:
        _write(root, unpacked(bundle))
    _write(root, {f"backend/providers/{name}.py": _client(name) for name in PROVIDERS})
    _write(root, {"frontend/package-lock.json": _lock(root)})
    for script in (root / "scripts").glob("*.sh"):
        script.chmod(0o755)


def write_next(root: Path) -> None:
    """What the version that is released adds."""
    for bundle in NEXT:
        _write(root, unpacked(bundle))


def unpacked(bundle: str) -> Mapping[str, str]:
    """The files of a bundle, by path: each stands behind a line `==> path <==`."""
    text = (BUNDLES / f"{bundle}.txt").read_text(encoding="utf-8")
    for place in ("DIGEST1", "DIGEST2"):
        text = text.replace(place, hashlib.sha256(place.encode()).hexdigest())
    return dict(_files(text))


def _files(text: str) -> Iterator[tuple[str, str]]:
    for part in text.removeprefix("==> ").split("\n==> "):
        path, _, content = part.partition(" <==\n")
        yield path, content.rstrip("\n") + "\n" if content else ""


def _write(root: Path, files: Mapping[str, str]) -> None:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")


def _client(name: str) -> str:
    guard = "" if name in UNGUARDED else f'@circuit_breaker("{name}")\n    '
    return _CLIENT.format(name=name, title=name.capitalize(), guard=guard)


def _lock(root: Path) -> str:
    """What npm makes of package.json, the packages it names themselves."""
    package = json.loads((root / "frontend/package.json").read_text(encoding="utf-8"))
    named = {**package["dependencies"], **package["devDependencies"]}
    head = {name: package[name] for name in ("name", "version")}
    packages = {"": head, **{f"node_modules/{name}": {"version": version} for name, version in named.items()}}
    return json.dumps({**head, "lockfileVersion": 3, "packages": packages}, indent=2) + "\n"
