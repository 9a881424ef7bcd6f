"""Hard limits: for one check by the alarm clock of the process, for the run by its budget."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lbcheck import clock
from lbcheck.plugin.outcome import HardLimit

AGAIN_S = 20.0


@contextmanager
def hard_limit(limit_s: float) -> Iterator[None]:
    """Raises HardLimit inside the block when it has taken `limit_s` of real time.

    An alarm also ends what never comes back to an event loop. It rings again, since tearing down may hang as well.
    It needs the main thread; elsewhere nothing is limited.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise HardLimit(f"not done after {limit_s:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Budget:
    """The run's time: `began` is on the monotonic clock of the machine, the same for every worker."""

    def __init__(self, budget_s: float | None, began: float) -> None:
        self.budget_s = budget_s
        self.began = began

    def left_s(self) -> float | None:
        """None: unlimited."""
        return None if self.budget_s is None else self.began + self.budget_s - clock.process_now()

    def allows(self, cost_s: float) -> bool:
        """Is there time for a check of this cost?"""
        left_s = self.left_s()
        return left_s is None or left_s > cost_s

    def limit_s(self, limit_s: float) -> float:
        """A check's hard limit, cut to what is left."""
        left_s = self.left_s()
        return limit_s if left_s is None else max(0.001, min(limit_s, left_s))
