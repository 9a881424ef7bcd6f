"""Backends that are none of lbcheck's: nobody tells what arrives at them, and they take no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from lbcheck.backends.script import Behaviour
from lbcheck.errors import Unsupported
from lbcheck.history import Arrival, Exchange, History, Journey

_REMEDY = "register an `lbcheck backend` in place of each, and name them with --lb-backend"


def _unseen() -> NoReturn:
    raise Unsupported("nobody tells what arrives at backends that are none of lbcheck's", remedy=_REMEDY)


class Unwitnessed(History):
    """What clients saw, alone. Whatever would need a backend's word is Unsupported when it is asked for."""

    witnessed = False

    @property
    def arrivals(self) -> Sequence[Arrival]:
        _unseen()

    @property
    def probes(self) -> Sequence[Arrival]:
        _unseen()

    @property
    def strays(self) -> Sequence[Arrival]:
        _unseen()

    def arrivals_of(self, exchange_id: str) -> tuple[Arrival, ...]:  # noqa: ARG002
        _unseen()

    def of(self, kind: type[Any]) -> Sequence[Any]:
        return super().of(kind) if kind is Exchange else _unseen()

    def journey(self, exchange: Exchange) -> Journey:  # noqa: ARG002
        _unseen()

    def doubtful(self) -> Iterable[Exchange]:
        _unseen()


class Unscripted:
    """A backend that serves as it does; implements `lbcheck.lab.base.BackendNode` where it can."""

    def __init__(self, name: str, pool: str, host: str, port: int) -> None:
        self.name = name
        self.pool = pool
        self.host = host
        self.port = port

    def alive(self) -> bool:
        """Nobody here knows."""
        return True

    async def behave(self, behaviour: Behaviour) -> None:  # noqa: ARG002
        self._refuse()

    async def release(self, ids: Sequence[str] | None = None) -> None:  # noqa: ARG002
        self._refuse()

    async def kill(self) -> None:
        self._refuse()

    async def restart(self) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Unsupported(f"backend {self.pool}/{self.name} is none of lbcheck's, and takes no script", remedy=_REMEDY)
