"""Property tests are bounded by their number of examples, never by the pace of the machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("lbcheck", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lbcheck")
