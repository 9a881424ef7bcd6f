"""A timer that is moved with every message and fires hardly ever: moving it is an assignment, not a new timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `action` once its moment has passed without having been moved or cleared."""

    __slots__ = ("_action", "_armed", "_due", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
        self._loop = loop
        self._action = action
        self._due: float | None = None
        self._armed = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay_s: float) -> None:
        """In `delay_s` from now, instead of whatever was set."""
        due = self._loop.time() + delay_s
        self._due = due
        if self._timer is None:
            self._arm(due)
        elif due < self._armed:
            self._timer.cancel()
            self._arm(due)

    def clear(self) -> None:
        """No moment for now; a timer that runs on finds nothing to do."""
        self._due = None

    def cancel(self) -> None:
        """The end: nothing is left in the loop."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, due: float) -> None:
        self._armed = due
        # a millisecond at least: a loop that counts whole ones would else come back early, again and again
        self._timer = self._loop.call_later(max(due - self._loop.time(), 0.001), self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._arm(self._due)
            return
        self._due = None
        self._action()
