"""captain.yaml and checklists: node trees into models, or every problem at once. Runs nothing."""

from captain.loader.verbs import Home, lint, load, load_pinned, load_service

__all__ = ["Home", "lint", "load", "load_pinned", "load_service"]
