"""The balancer under test in a check's hands: told to stop, killed, started again, and looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from lbcheck.client.http import Endpoint
from lbcheck.errors import TargetDied
from lbcheck.lab.base import TargetNode
from lbcheck.lab.presence import missing

SERVES_WITHIN_S = 2.0  # how long a listener may take to accept, and to react to nonsense

Do = Callable[[Awaitable[Any]], Any]
Note = Callable[[str, str], object]


class StagedTarget:
    """A target. Every verb returns when it is in effect, but `retire`: finishing takes its time."""

    def __init__(self, name: str, node: TargetNode, do: Do, note: Note) -> None:
        self.name = name
        self._node = node
        self._do = do
        self._note = note
        self._expected = True  # to be there: nobody has told it to go

    @property
    def runs(self) -> bool:
        return self._node.alive()

    def retire(self) -> None:
        """Tells it to finish what it has and to exit; returns at once."""
        self._expected = False
        self._note("retire", self.name)
        self._do(self._node.retire())

    def crash(self) -> None:
        """Kills it, as SIGKILL does."""
        self._expected = False
        self._note("crash", self.name)
        self._do(self._node.kill())

    def start_again(self) -> None:
        """One that was retired or crashed runs again, with the configuration it had."""
        self._do(self._node.restart())
        self._expected = True
        self._note("start", self.name)

    # --- for evidence ------------------------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """Its last output."""
        return self._node.log()

    @property
    def files(self) -> dict[str, str]:
        """Its configuration."""
        return dict(self._node.files())

    @property
    def left_out(self) -> list[str]:
        """ "path: reason" of what its configuration could not say of the spec."""
        return list(self._node.left_out())

    # --- is it there? ------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """TargetDied where it has exited without having been told."""
        if self._expected and not self.runs:
            raise TargetDied(self._gone, log=self.log)

    async def departed(self, listeners: Iterable[Endpoint], slack_s: float, *, ask: bool) -> str:
        """Why it is gone although nobody told it to go, in words; "" where it serves.

        It has exited, does not accept on a listener any more, or (looked at with `ask`) accepts and reads nothing.
        """
        if not self._expected:
            return ""
        if not self.runs:
            return self._gone
        for listener in listeners:
            why = await missing(listener, SERVES_WITHIN_S + slack_s, ask=ask)
            if why:
                return f"the target {self.name} stopped serving without having been told: {why}"
        return ""

    @property
    def _gone(self) -> str:
        return f"the target {self.name} went without having been told"
