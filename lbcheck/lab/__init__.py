"""Where nodes live: labs start backends and a target, own the loop and the time, and hand a stage to a check."""
