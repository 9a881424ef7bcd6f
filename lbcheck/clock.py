"""The one clock. I/O code asks the loop it runs on; nothing else in lbcheck reads the time.

A simulated loop says so by an attribute `simulated = True`; its `time()` is the clock. On a real loop the clock is
CLOCK_MONOTONIC, the same in all processes of a machine (uvloop's `time()` is cached, so it is used for scheduling only).
"""

from __future__ import annotations

import asyncio
import time


def now(loop: asyncio.AbstractEventLoop | None = None) -> float:
    """Seconds on the monotonic clock of this loop (default: the running one)."""
    loop = loop or asyncio.get_running_loop()
    return loop.time() if getattr(loop, "simulated", False) else time.monotonic()
