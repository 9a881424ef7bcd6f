"""Targets: what they render (golden files), and that the real products take it and answer."""
