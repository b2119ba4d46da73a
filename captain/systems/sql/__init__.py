"""How to ask databases and migrations one question that only reads."""
