"""A drill over the shop, in an environment where it may run."""

from __future__ import annotations

from typing import Any

import yaml

from tests.shop import CHECKLIST, SERVICE, Shop


def drill(shop: Shop, parameters: dict[str, Any], **keys: Any) -> None:
    """A checklist whose only step before the deployment is this drill."""
    service = SERVICE.replace("staging: {{}}", "staging: {{ allow: [active, drill] }}")
    shop.write(service, CHECKLIST)
    path = shop.root / "checklists" / "deploy.yaml"
    checklist = yaml.safe_load(path.read_text())
    checklist["sections"][0]["steps"] = [{"id": "drilled", "title": "Drilled", "drill": parameters, **keys}]
    path.write_text(yaml.safe_dump(checklist, sort_keys=False))
