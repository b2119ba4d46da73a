"""How to ask Docker and git: clients with bounds of their own. They give plain values and know no verdict."""
