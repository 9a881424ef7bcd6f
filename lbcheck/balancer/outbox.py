"""Whole answers that wait for the end of the loop's turn, so that they go to clients in one go.

What goes to backends in a turn goes first, then what goes to clients. A process that sleeps on another core is woken by
the first of a row of messages and finds the others when it looks; written in turns with those to backends, each message
would wake it anew, which costs more than all the rest of a write (most of all on virtual machines).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbcheck.balancer.http1 import Client


class Outbox:
    """At most one piece a client; `take` it before anything else is done with the client's connection."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Client, bytes] = {}

    def put(self, client: Client, data: bytes) -> None:
        waiting = self._waiting
        if not waiting:
            self._loop.call_soon(self._deliver)
        waiting[client] = waiting[client] + data if client in waiting else data

    def take(self, client: Client) -> bytes:
        """What waits for this client; it waits no more."""
        return self._waiting.pop(client, b"") if self._waiting else b""

    def _deliver(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for client, data in waiting.items():
            if not client.transport.is_closing():
                client.transport.write(data)
