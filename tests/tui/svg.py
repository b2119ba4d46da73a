"""Pictures of dialogs over a stand-in screen, beside their tests; `screenshots/` holds the real screens."""

from __future__ import annotations

from typing import Any

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.app import App

from tests.tui.snapshots import normalised


class SVG(SingleFileSnapshotExtension):
    """One .svg per picture."""

    file_extension = "svg"
    _write_mode = WriteMode.TEXT


def picture(app: App[Any]) -> str:
    """What is on the screen now, as text that can be compared."""
    return normalised(app.export_screenshot(title="captain"))
