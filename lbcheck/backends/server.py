"""The instrumented backend: listens, keeps its script, and hands connections what they need."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from lbcheck.backends.blackhole import Silence, blackhole
from lbcheck.backends.connection import BackendConnection
from lbcheck.backends.script import Answer, Behaviour, ProbeShape
from lbcheck.history import Event
from lbcheck.wire.events import RequestHead

BACKLOG = 1024
PER_GENERATION = 1_000_000  # connections that one life of a backend may number
STOP_S = 1.0


class BackendServer:
    """A scripted HTTP/1 backend on the running loop, a simulated one too.

    Every event goes to `journal` before the bytes that follow from it leave. Connections are numbered from 1;
    `generation` (0, 1, ... with each life) keeps the numbers of a restarted backend apart in one journal.
    """

    def __init__(
        self,
        name: str,
        journal: Callable[[Event], None],
        probe: ProbeShape | None = None,
        pool: str = "",
        *,
        generation: int = 0,
    ) -> None:
        self.name = name
        self.pool = pool
        self.host = ""
        self.port = 0
        self.journal = journal
        self._shape = probe
        self._number = generation * PER_GENERATION
        self._connections: dict[int, BackendConnection] = {}
        self._servers: list[asyncio.Server] = []  # listening; one, or another for probes beside it
        self._silences: list[Silence] = []  # in their place
        self._empty: asyncio.Future[None] | None = None  # done when a stopping backend has no connection left
        self._set(Behaviour())

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self, host: str, port: int) -> int:
        """Listens, on the port of probes too; returns the port of requests, chosen by the system where 0 was given.

        OSError where one can't be bound.
        """
        self.host = host
        self.port = port
        await self._listen()
        return self.port

    async def stop(self) -> None:
        """Closes the listening socket and every connection, in order; returns when they are gone, within a bound."""
        self._deafen()
        for connection in list(self._connections.values()):
            connection.shut()
        self._empty = asyncio.get_running_loop().create_future()
        if self._connections:
            await asyncio.wait([self._empty], timeout=STOP_S)
        for connection in list(self._connections.values()):
            connection.transport.abort()

    def kill(self) -> None:
        """As SIGKILL does: connections end at once, later ones are refused, nothing more is journalled."""
        self._deafen()
        for connection in list(self._connections.values()):
            connection.kill()
        self._connections.clear()

    async def _listen(self) -> None:
        self.port = await self._listen_on(self.port)
        for own in self._further_ports():
            try:
                await self._listen_on(own)
            except OSError:
                self._deafen()
                raise

    def _further_ports(self) -> list[int]:
        own = self._shape.port if self._shape is not None else None
        return [] if own in (None, self.port) else [own]

    async def _go_dark(self) -> None:
        """Who connects hears nothing, and who was connected is reset."""
        self._deafen()
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        self._silences = [blackhole(loop, self.host, port) for port in (self.port, *self._further_ports())]
        for connection in list(self._connections.values()):
            connection.transport.abort()

    async def _listen_on(self, port: int) -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: BackendConnection(self, loop), self.host, port, backlog=BACKLOG, reuse_address=True
        )
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]  # type: ignore[no-any-return]

    def _deafen(self) -> None:
        for listening in (*self._servers, *self._silences):
            listening.close()
        self._servers, self._silences = [], []

    # --- the script --------------------------------------------------------------------------------------------------

    async def behave(self, behaviour: Behaviour) -> None:
        """Takes effect for requests whose head is read from now on; the sequence of probes begins anew."""
        self._set(behaviour)
        if behaviour.blackhole:
            if not self._silences:
                await self._go_dark()
        elif not behaviour.accepting:
            self._deafen()
            await asyncio.sleep(0)
        elif not self._servers and self.port:
            self._deafen()
            await asyncio.sleep(0)
            await self._listen()

    async def release(self, ids: Sequence[str] | None = None) -> None:
        """Lets held requests go on: those with these ids, or all."""
        for connection in list(self._connections.values()):
            for turn in connection.turns:
                if turn.held and (ids is None or turn.id in ids):
                    connection.release(turn)

    def _set(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._by_id = dict(behaviour.by_id)
        self._probes = deque(behaviour.probes)

    def answer_to(self, head: RequestHead, id: str | None, port: int) -> tuple[Answer, bool]:
        """How to answer, and whether this is a probe: no id, and the shape that the health check declares."""
        if id is not None:
            return self._by_id.get(id, self._behaviour.answer), False
        if not self._is_probe(head, port):
            return self._behaviour.answer, False
        return (self._probes.popleft() if self._probes else self._behaviour.probe), True

    def _is_probe(self, head: RequestHead, port: int) -> bool:
        shape = self._shape
        if shape is None or head.method != shape.method or shape.port not in (None, port):
            return False
        return shape.path in (head.target, head.target.partition("?")[0])

    # --- connections -------------------------------------------------------------------------------------------------

    def opened(self, connection: BackendConnection) -> int:
        self._number += 1
        self._connections[self._number] = connection
        return self._number

    def closed(self, connection: BackendConnection) -> None:
        self._connections.pop(connection.number, None)
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)
