"""Inline SVG drawings; every one says in words what it shows."""
