"""captain walks a release from one terminal: checklists, live probes, an audit log, a verified rollback."""

__version__ = "0.1.0"
