"""A timer that is moved with every message and fires hardly ever: moving it is an assignment, not a new timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """Calls `action` once its moment has passed without having been moved or cleared; `now` is the balancer's clock."""

    __slots__ = ("_action", "_armed", "_due", "_lives_on", "_loop", "_now", "_timer")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
        action: Callable[[], None],
        *,
        lives_on: bool = True,
    ) -> None:
        """`lives_on`: can it be set again once it has fired? (Only a defect's cannot.)"""
        self._lives_on = lives_on
        self._loop = loop
        self._now = now
        self._action = action
        self._due = inf
        self._armed = inf  # when the timer fires
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay_s: float) -> None:
        """In `delay_s` from now, instead of whatever was set."""
        self.move(self._now() + delay_s)

    def move(self, due: float) -> None:
        """At `due`, instead of whatever was set."""
        self._due = due
        if due < self._armed:
            self._arm(due)

    def clear(self) -> None:
        """No moment for now; a timer that runs on finds nothing to do."""
        self._due = inf

    def cancel(self) -> None:
        """The end: nothing is left in the loop."""
        self._due = self._armed = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = due
        # a millisecond at least: a loop that counts whole ones would else come back early, again and again
        self._timer = self._loop.call_later(max(due - self._now(), 0.001), self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._lives_on:
            self._armed = inf
        due = self._due
        if self._now() < due:
            if due < inf:
                self._arm(due)
            return
        self._due = inf
        self._action()
