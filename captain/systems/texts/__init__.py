"""How to read documents, and whether what they say is there. No verdicts."""
