"""How to list backups, read dumps to their end and restore one."""
