"""How to ask Prometheus, read an exposition, and put load on a product."""
