"""How to read logs within bounds: lines, records, errors."""
