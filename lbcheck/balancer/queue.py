"""Those who wait because every backend of their pool is full: first in, first out, for `timeouts.queue`."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING

from lbcheck.balancer.decisions import Nobody, PoolState

if TYPE_CHECKING:
    from lbcheck.balancer.exchange import Exchange
    from lbcheck.balancer.server import Balancer


class Queue:
    """One line a pool: `lines` holds those that are not empty, by the pool's name."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self.lines: dict[str, deque[Exchange]] = {}
        self._timers: dict[Exchange, asyncio.TimerHandle] = {}
        self._moving: set[str] = set()
        self._looks: dict[str, asyncio.TimerHandle] = {}  # for who is free again by time alone

    def __len__(self) -> int:
        return len(self._timers)

    def length(self, pool: str) -> int:
        return len(self.lines.get(pool, ()))

    def add(self, exchange: Exchange, pool: PoolState, *, first: bool) -> None:
        """`first`: it has had its turn before and lost it to a failure."""
        line = self.lines.setdefault(pool.name, deque())
        if first:
            line.appendleft(exchange)
        else:
            line.append(exchange)
        delay_s = pool.spec.timeouts.queue
        self._timers[exchange] = self._balancer.loop.call_later(delay_s, self._late, exchange)
        self._look_later(pool)

    def leave(self, exchange: Exchange) -> None:
        timer = self._timers.pop(exchange, None)
        if timer is None or exchange.pool is None:
            return
        timer.cancel()
        line = self.lines[exchange.pool.name]
        line.remove(exchange)
        if not line and self._balancer.decisions.forgets_empty_lines:
            del self.lines[exchange.pool.name]

    def move(self, pool: PoolState) -> None:
        """Somebody may be free: the first in line goes, as long as there is a backend for it."""
        if pool.name in self._moving:
            return
        self._moving.add(pool.name)
        try:
            while line := self.lines.get(pool.name):
                now = self._balancer.now()
                exchange = line[self._balancer.decisions.next_waiting(len(line))]
                chosen = exchange.choose(pool, now)
                if chosen is Nobody.FULL:
                    self._look_later(pool)
                    return
                self.leave(exchange)
                exchange.go(pool, chosen, now)
                if not self._balancer.decisions.moves_everybody:
                    return
        finally:
            self._moving.discard(pool.name)

    def _look_later(self, pool: PoolState) -> None:
        """When an ejection ends somebody may be free, though nothing else happens."""
        if pool.changes_at < inf and pool.name not in self._looks:
            # A millisecond at least, as in Deadline; and a pool that is stale knows of no moment yet.
            delay_s = max(pool.changes_at - self._balancer.now(), 0.001)
            self._looks[pool.name] = self._balancer.loop.call_later(delay_s, self._look, pool.name)

    def _look(self, name: str) -> None:
        del self._looks[name]
        pool = self._balancer.decisions.pools.get(name)
        if pool is not None and self._balancer.decisions.frees("ejection"):
            self.move(pool)

    def _late(self, exchange: Exchange) -> None:
        if self._balancer.decisions.forgets_the_late:
            self.leave(exchange)
        exchange.waited_too_long()
