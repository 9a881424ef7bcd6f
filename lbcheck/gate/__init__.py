"""The gate: a user's lb.yaml beside what an importer read in the configuration, and what of both a run exercised."""
