"""The world behind `captain demo`: a service on loopback, a repository and a log in a temporary folder.

No Docker, no network, nothing to prepare; everything is removed at the end.
"""

from __future__ import annotations

GOOD = "1.4.0"
"""What runs when the demo begins."""
NEW = "1.5.0"
"""What is released: healthy at a glance, broken where customers pay."""
ENVIRONMENT = "production"
CHECKLIST = "deploy"
