"""Histories made by hand: exchanges with the arrivals that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lbcheck.history import Answered, Arrival, Exchange, History


def answered(backend: str | None, number: int = 0, **changes: Any) -> Exchange:
    """An exchange that this backend answered (None: the balancer made the answer)."""
    identity = f"r{number}"
    signature = (("Lbcheck-Backend", backend), ("Lbcheck-Id", identity)) if backend else ()
    values: dict[str, Any] = {
        "id": identity,
        "listener": "public",
        "method": "GET",
        "target": "/",
        "source": "127.0.0.2",
        "connection": f"c{number}",
        "index": 0,
        "invoked": float(number),
        "sent": float(number),
        "first_byte": number + 0.1,
        "done": number + 0.2,
        "status": 200,
        "headers": signature,
        "complete": True,
    }
    return Exchange(**(values | changes))


def exchanges(backends: Sequence[str | None]) -> list[Exchange]:
    return [answered(name, number) for number, name in enumerate(backends)]


def arrival(backend: str, number: int = 0, **changes: Any) -> Arrival:
    values: dict[str, Any] = {
        "backend": backend,
        "connection": number + 1,
        "index": 0,
        "at": number + 0.05,
        "id": f"r{number}",
        "method": "GET",
        "target": "/",
        "head": b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n",
        "peer": "127.0.0.1:1",
    }
    return Arrival(**(values | changes))


def history_of(backends: Sequence[str]) -> History:
    """Each request arrived at the backend that answered it."""
    history = History()
    for number, name in enumerate(backends):
        history.append(arrival(name, number))
        history.append(answered(name, number))
    return history


def probe(history: History, backend: str, at: float, status: int | None, *, connection: int, took: float = 0.0) -> None:
    """A probe at this backend, answered with this status `took` seconds later (None: never answered)."""
    history.append(
        Arrival(
            backend, connection, 0, at, None, "GET", "/health", b"GET /health HTTP/1.1\r\n\r\n", "127.0.0.1:1", True
        )
    )
    if status is not None:
        history.append(Answered(backend, connection, 0, at + took, "answered", status))
