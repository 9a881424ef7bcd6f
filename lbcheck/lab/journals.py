"""From backends' journals into the history; what the harness itself asked a backend directly is left out."""

from __future__ import annotations

from lbcheck.client.http import twin
from lbcheck.history import Connected, Event, Exchange, History


class Recorder:
    """Takes backends' events into `history`.

    Requests of a control run come straight from the address `control`: their connections are known by it, and nothing
    that happened on them is the target's doing.
    """

    def __init__(self, history: History, control: str) -> None:
        self.history = history
        self._control = (f"{control}:", f"{twin(control)}:")
        self._hidden: set[tuple[str, int]] = set()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Connected) and event.peer.startswith(self._control):
            self._hidden.add((event.backend, event.connection))
        if not self._hides(event):
            self.history.append(event)

    def _hides(self, event: Event) -> bool:
        if isinstance(event, Exchange) or not self._hidden:
            return False
        return (getattr(event, "backend", None), getattr(event, "connection", None)) in self._hidden
