"""Panels and bars that screens share."""
