"""The one clock. I/O code asks the loop it runs on; nothing else in lbcheck reads the time.

A simulated loop says so by an attribute `simulated = True`; its `time()` is the clock. On a real loop the clock is
CLOCK_MONOTONIC, the same in all processes of a machine (uvloop's `time()` is cached, so it is for scheduling only).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def now(loop: asyncio.AbstractEventLoop | None = None) -> float:
    """Seconds on the monotonic clock of this loop (default: the running one)."""
    loop = loop or asyncio.get_running_loop()
    return loop.time() if getattr(loop, "simulated", False) else time.monotonic()


def reader(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """What `now(loop)` would call, for those who ask it several times a request."""
    return loop.time if getattr(loop, "simulated", False) else time.monotonic


def process_now() -> float:
    """Seconds on CLOCK_MONOTONIC outside every loop: how long a run takes, and when its budget is spent."""
    return time.monotonic()


def wall_time() -> str:
    """The date and time for people, ISO 8601 in UTC; nothing is ever computed from it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
