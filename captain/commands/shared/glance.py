"""What captain.yaml seems to say, for the first frame alone. Judges nothing; the loader has the last word."""

from __future__ import annotations

import re
from pathlib import Path

from captain.documents import MAX_BYTES, Node, read_yaml

UNKNOWN = "?"
MAX_EXTENDS = 5


def glance(cwd: Path, environment: str | None) -> tuple[str, str, bool]:
    """Service, environment and whether that is protected, as far as the text of captain.yaml shows."""
    for folder in (cwd, *cwd.parents):
        for name in ("captain.yaml", "captain.yml"):
            if (folder / name).is_file():
                return _said(folder / name, environment)
        if (folder / ".git").exists():
            break
    return cwd.name, environment or UNKNOWN, False


def stands(cwd: Path, checklist: str, depth: int = 0) -> bool:
    """Whether a checklist looks like the review of a service: which screen is drawn before anything is loaded."""
    text = _checklist(cwd, checklist)
    said = re.search(r"^per:\s*[\"']?(\w+)", text, re.MULTILINE)
    if said is not None:
        return said[1] == "service"
    base = re.search(r"^extends:\s*[\"']?([^\s\"'#]+)", text, re.MULTILINE)
    return base is not None and depth < MAX_EXTENDS and stands(cwd, base[1], depth + 1)


def _checklist(cwd: Path, checklist: str) -> str:
    """Text of the file that CHECKLIST seems to mean; empty where there is none."""
    if "/" in checklist or checklist.endswith((".yaml", ".yml")):
        return _read(cwd / checklist)
    for folder in (cwd, *cwd.parents):
        file = next((folder / name for name in ("captain.yaml", "captain.yml") if (folder / name).is_file()), None)
        if file is None:
            continue
        begins = re.compile(rf"^checklist:\s*[\"']?{re.escape(checklist)}[\"']?\s*(#|$)", re.MULTILINE)
        found = (text for one in _listed(file) if begins.search(text := _read(folder / one)))
        declared = next(found, None)
        if declared is not None:
            return declared
        break
    # Only here: the loader takes longer to import than the first frame to draw.
    from captain.loader.sheets import shipped_files

    shipped = shipped_files().get(checklist)
    return "" if shipped is None else _read(shipped)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _listed(file: Path) -> list[str]:
    root = _root(file)
    found = root.get("checklists") if root is not None else None
    return [one.text for one in found.items if one.text] if found is not None else []


def _said(file: Path, environment: str | None) -> tuple[str, str, bool]:
    root = _root(file)
    service = _text(root, "service") or file.parent.name
    declared = root.get("environments") if root is not None else None
    names = list(declared.mapping) if declared is not None else []
    if environment is None and len(names) == 1:
        environment = names[0]
    protected = environment is not None and _text(root, "environments", environment, "protected") == "true"
    return service, environment or UNKNOWN, protected


def _root(file: Path) -> Node | None:
    try:
        with file.open("rb") as opened:
            return read_yaml(opened.read(MAX_BYTES + 1), file.name).root
    except OSError:
        return None


def _text(root: Node | None, *names: str) -> str | None:
    found = root.get(*names) if root is not None else None
    return found.text if found is not None else None
