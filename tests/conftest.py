"""Property tests are bounded by their number of examples, never by the pace of the machine."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("lbcheck", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lbcheck")


def pytest_configure() -> None:
    """A shell that runs this in its background ignores Ctrl-C, and so would each process that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
