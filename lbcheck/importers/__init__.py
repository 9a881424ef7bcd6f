"""Balancers' own configurations read as specs: what each field rests on, and what of a file could not be said."""
