"""Steady traffic in a check's hands: one request at each intended moment, whatever became of those before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lbcheck import clock
from lbcheck.client.call import Call
from lbcheck.history import Exchange


class Traffic:
    """Open loop: `begin` sends one request without waiting; it is called `rate` times a second from `start` to `stop`.

    A moment that has passed while the loop stood still (a check that computes between two verbs) is left out and
    counted in `missed`: sent late in a burst it would be another traffic. `late_s` is the worst lateness of the others.
    """

    def __init__(self, begin: Callable[[], Call], rate: float) -> None:
        self.missed = 0
        self.late_s = 0.0
        self._begin = begin
        self._period = 1.0 / rate
        self._calls: list[Call] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    @property
    def exchanges(self) -> list[Exchange]:
        """Those that are over so far, by invocation; once stopped all of them."""
        return [call.done.result() for call in self._calls if call.over]

    async def start(self) -> None:
        self._next = clock.now()
        self._tick()

    async def stop(self) -> None:
        """Sends no more; returns when the last answer is in or given up."""
        if self._timer is not None:
            self._timer.cancel()
        for call in self._calls:
            await call.done

    def _tick(self) -> None:
        now = clock.now()
        late = now - self._next
        if late >= self._period:
            gone = int(late / self._period)
            self.missed += gone
            self._next += gone * self._period
            late = now - self._next
        self.late_s = max(self.late_s, late)
        self._calls.append(self._begin())
        self._next += self._period
        self._timer = asyncio.get_running_loop().call_later(self._next - now, self._tick)
