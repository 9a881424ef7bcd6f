"""What labs share whose target lbcheck starts on this machine: a real loop, a guarded folder, measured slack."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lbcheck import clock
from lbcheck.lab.belongings import Belongings
from lbcheck.lab.placing import Ground
from lbcheck.lab.slack import Lateness
from lbcheck.spec.model import Spec
from lbcheck.targets.base import Rendering, Target
from lbcheck.targets.warped import Warped

T = TypeVar("T")
Render = Callable[[Spec, Path], Rendering]


class LocalLab:
    """Owns a real loop and a guarded folder, in which each scene has one of its own.

    `configs`: the user's own configuration files, which the target runs instead of a rendered one (the gate).
    """

    name: str
    limit_s = 300.0
    identity = None

    def __init__(self, target: Target, ground: Ground, *, keep: bool, configs: Sequence[Path]) -> None:
        self.target = target.name
        self.ground = ground
        self.loop = new_loop()
        self.rng = random.Random(f"lab {ground.worker}")
        self.rate = target.rate if isinstance(target, Warped) else 1
        self._target = target
        self._render: Render = (lambda _, folder: target.adopt(configs, folder)) if configs else target.render
        self._keep = keep
        self._lateness = Lateness(self.loop)
        self._belongings: Belongings | None = None
        self._scenes = 0

    def run(self, work: Awaitable[T]) -> T:
        self._lateness.start()
        try:
            return self.loop.run_until_complete(work)
        finally:
            self._lateness.stop()

    def now(self) -> float:
        return clock.now(self.loop)

    def slack(self) -> float:
        return self._lateness.p999_s

    def worst(self) -> float:
        return self._lateness.worst_s

    async def measure(self) -> None:
        await self._lateness.measure(self.ground.client)

    # --- for scenes --------------------------------------------------------------------------------------------------

    def _owned(self) -> Belongings:
        """The guarded folder, made with the first scene."""
        if self._belongings is None:
            self._belongings = Belongings(keep=self._keep)
        return self._belongings

    def _next_folder(self, belongings: Belongings) -> Path:
        """A scene's own."""
        self._scenes += 1
        folder = belongings.folder / str(self._scenes)
        folder.mkdir(mode=0o755)
        return folder

    def _time(self, ending: contextlib.AsyncExitStack) -> None:
        """The scene stands: from now until its end timers are looked at."""
        ending.callback(self._lateness.shut)
        self._lateness.open()

    # --- its end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends what is left and removes the folder, also after an interrupt in the middle of a check."""
        if self.loop.is_closed():
            return
        try:
            self.loop.run_until_complete(self._end())
            self.loop.close()
        finally:
            if self._belongings is not None:
                self._belongings.close()

    async def _end(self) -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed: the harness must be faster than what it measures."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
