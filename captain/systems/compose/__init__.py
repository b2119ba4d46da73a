"""How to read compose files and what they say. No verdicts."""
