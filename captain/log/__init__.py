"""The audit log: one SQLite file of ordered, immutable entries. The only code that opens that file."""
