"""How to ask Redis, and what task queues keep in it."""
