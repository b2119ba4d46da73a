"""Questions to the person at the terminal: each shows frozen facts and returns a small answer, or None on escape.

No dialog calls the engine. The screen that asked does, with the answer.
"""
