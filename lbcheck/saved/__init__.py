"""Saved histories: written as evidence, read back line by line into lean memory, and judged again."""
