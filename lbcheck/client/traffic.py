"""Open-loop traffic: requests go out when they are due, whatever has become of those before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lbcheck.client.call import Call
from lbcheck.client.http import Endpoint, HttpClient, Kept
from lbcheck.clock import now
from lbcheck.history import Exchange
from lbcheck.spec.request import Request


class SteadyTraffic:
    """`rate` requests a second; `request(n)` makes the n-th, counted from 0. Options are those of `HttpClient.start`.

    `lateness` has for each request the seconds between the moment it was due and the moment it was invoked: a harness
    that can't keep up shows here, and no request is left out for it.
    """

    def __init__(
        self,
        client: HttpClient,
        to: Endpoint,
        request: Callable[[int], Request],
        *,
        rate: float,
        keep_alive: bool = False,
        **options: Any,
    ) -> None:
        self.lateness: list[float] = []
        self._client = client
        self._to = to
        self._request = request
        self._period_s = 1.0 / rate
        self._options = options
        self._kept = Kept() if keep_alive else None
        self._calls: list[Call] = []
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0

    @property
    def exchanges(self) -> list[Exchange]:
        """Those that are over so far, in order of invocation. Raises HarnessFault if one could not be sent."""
        return [call.done.result() for call in self._calls if call.over]

    def start(self) -> None:
        """The first request is due at once."""
        self._loop = asyncio.get_running_loop()
        self._began = now(self._loop)
        self._tick()

    async def stop(self) -> list[Exchange]:
        """Sends no more, waits for those on their way (each is bounded by its `within`), and returns all."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        pending = [call.done for call in self._calls if not call.over]
        if pending:
            await asyncio.wait(pending)
        if self._kept:
            self._kept.close()
        return self.exchanges

    def _tick(self) -> None:
        """Sends all that is due, and comes back when the next is."""
        while (wait_s := self._due() - now(self._loop)) <= 0:
            self.lateness.append(-wait_s)
            request = self._request(len(self._calls))
            self._calls.append(self._client.start(self._to, request, on=self._kept, open_loop=True, **self._options))
        self._timer = self._loop.call_later(wait_s, self._tick)

    def _due(self) -> float:
        return self._began + len(self._calls) * self._period_s
