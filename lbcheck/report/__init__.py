"""What a run shows: the record of a run, and the page, JSON and lines made from it."""
