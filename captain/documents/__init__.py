"""Untrusted YAML and JSON text as bounded plain values with positions. Knows no key, no model and no meaning."""

from captain.documents.foreign_yaml import read_foreign_yaml
from captain.documents.json_text import parse_json
from captain.documents.nodes import Document, Node
from captain.documents.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_NODES, read_yaml

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Document", "Node", "parse_json", "read_foreign_yaml", "read_yaml"]
