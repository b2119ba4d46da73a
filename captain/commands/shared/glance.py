"""What captain.yaml seems to say, for the first frame alone. Judges nothing; the loader has the last word."""

from __future__ import annotations

from pathlib import Path

from captain.documents import MAX_BYTES, Node, read_yaml

UNKNOWN = "?"


def glance(cwd: Path, environment: str | None) -> tuple[str, str, bool]:
    """Service, environment and whether that is protected, as far as the text of captain.yaml shows."""
    for folder in (cwd, *cwd.parents):
        for name in ("captain.yaml", "captain.yml"):
            if (folder / name).is_file():
                return _said(folder / name, environment)
        if (folder / ".git").exists():
            break
    return cwd.name, environment or UNKNOWN, False


def _said(file: Path, environment: str | None) -> tuple[str, str, bool]:
    try:
        with file.open("rb") as opened:
            root = read_yaml(opened.read(MAX_BYTES + 1), file.name).root
    except OSError:
        root = None
    service = _text(root, "service") or file.parent.name
    declared = root.get("environments") if root is not None else None
    names = list(declared.mapping) if declared is not None else []
    if environment is None and len(names) == 1:
        environment = names[0]
    protected = environment is not None and _text(root, "environments", environment, "protected") == "true"
    return service, environment or UNKNOWN, protected


def _text(root: Node | None, *names: str) -> str | None:
    found = root.get(*names) if root is not None else None
    return found.text if found is not None else None
