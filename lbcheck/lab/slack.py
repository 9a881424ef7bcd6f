"""How late timers are on this machine, now: what every bound in time is widened by.

Lateness is sampled all the time that a check runs, under the load that the check itself makes, and for a short while
before the first check and before each timed one. It is never less than what the slowest of many small exchanges over
loopback took, nor than `LEAST_S`: a quiet machine's timers are finer than those of the program under test.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence

from lbcheck import clock

SAMPLE_EVERY_S = 0.005
KEPT = 2000  # 10 s from before a check are kept, and all from its own time
FIRST_S = 0.25  # long enough for 50 samples
AGAIN_S = 0.1
ENOUGH = 50
QUANTILE = 0.999
LEAST_S = 0.005  # programs count milliseconds, round up, and pass more than one timer between two probes


def quantile(samples: Sequence[float], q: float) -> float:
    """The smallest sample that at least a share `q` of them does not exceed; 0.0 of none."""
    if not samples:
        return 0.0
    return sorted(samples)[max(math.ceil(q * len(samples)) - 1, 0)]


class Lateness:
    """Samples timer lateness between `start` and `stop` while it is `open`; `p999_s` is the p99.9 of what it has.

    It is shut while the lab sets up and tears down: what blocks the loop then is no lateness of a check.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._samples: deque[float] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._echo_s = 0.0
        self._due = 0.0
        self._open = False
        self.worst_s = 0.0  # of the check that is or was open last

    def open(self) -> None:
        """A check's world stands: what was sampled long before it no longer counts."""
        while len(self._samples) > KEPT:
            self._samples.popleft()
        if not self._open:
            self.worst_s = 0.0
        self._open = True
        self.start()

    def shut(self) -> None:
        self.stop()
        self._open = False

    def start(self) -> None:
        """The loop runs."""
        if self._open and self._timer is None:
            self._next()

    def stop(self) -> None:
        """The loop stops: the time until it runs again is nobody's lateness."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def p999_s(self) -> float:
        return max(quantile(self._samples, QUANTILE), self._echo_s, LEAST_S)

    def __len__(self) -> int:
        return len(self._samples)

    async def measure(self, host: str) -> None:
        """A look at the machine as it is now, with loopback exchanges running meanwhile; short where samples exist."""
        was_open = self._open
        self.open()
        self._echo_s = await _echo(host, AGAIN_S if len(self._samples) >= ENOUGH else FIRST_S)
        if not was_open:
            self.shut()

    def _next(self) -> None:
        self._due = clock.now(self._loop) + SAMPLE_EVERY_S
        self._timer = self._loop.call_later(SAMPLE_EVERY_S, self._sample)

    def _sample(self) -> None:
        late_s = max(clock.now(self._loop) - self._due, 0.0)
        self.worst_s = max(self.worst_s, late_s)
        self._samples.append(late_s)
        self._next()


async def _echo(host: str, seconds: float) -> float:
    """The slowest of many small exchanges over loopback, in seconds."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(64):
            writer.write(data)
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(answer, host, 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    slowest, end = 0.0, clock.now() + seconds
    while (began := clock.now()) < end:
        writer.write(b"x")
        await reader.readexactly(1)
        slowest = max(slowest, clock.now() - began)
        await asyncio.sleep(SAMPLE_EVERY_S)
    writer.close()
    await writer.wait_closed()
    await ended.wait()
    server.close()
    await server.wait_closed()
    return slowest
