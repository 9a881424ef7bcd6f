"""An address that answers no attempt to connect, as behind a partition: neither taken nor refused."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
from typing import Protocol

FILLERS = 8  # the queue holds one; the kernel may let a few more in
TAKEN_S = 0.05  # a connection over loopback is there at once, or not at all


class Silence(Protocol):
    """Ended by `close`."""

    def close(self) -> None: ...


def blackhole(loop: asyncio.AbstractEventLoop, host: str, port: int) -> Silence:
    """From now on, until it is closed. OSError where the address can't be bound; a simulated loop has its own way."""
    simulated = getattr(loop, "blackhole", None)
    return simulated(host, port) if simulated is not None else FullQueue(host, port)


class FullQueue:
    """A listening socket that nobody accepts from, its queue filled by connections of its own.

    Linux drops the SYN of whoever comes while the queue is full (listen(2), tcp_abort_on_overflow in tcp(7)).
    """

    def __init__(self, host: str, port: int) -> None:
        self._sockets: list[socket.socket] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = self._socket(family)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(0)
            for _ in range(FILLERS):
                if not self._taken(family, listener.getsockname()):
                    return
            raise OSError(f"{host}:{port} takes connections though its queue should be full")
        except OSError:
            self.close()
            raise

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        made = socket.socket(family)
        self._sockets.append(made)
        return made

    def _taken(self, family: socket.AddressFamily, address: tuple[str, int]) -> bool:
        filler = self._socket(family)
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            filler.connect(address)
        with selectors.DefaultSelector() as selector:
            selector.register(filler, selectors.EVENT_WRITE)
            return bool(selector.select(TAKEN_S))

    def close(self) -> None:
        for made in self._sockets:
            made.close()
        self._sockets = []
