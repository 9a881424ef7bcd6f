"""Exact bytes on a fresh connection, and every answer that comes back until the peer closes or time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from lbcheck.client.call import Call
from lbcheck.client.connection import hang_up
from lbcheck.client.outgoing import Outgoing, Pace
from lbcheck.wire.events import Cut, End, Malformed, WireEvent
from lbcheck.wire.reader import ResponseReader

MOST_ANSWERS = 100


class RawConversation(asyncio.Protocol):
    """Gives the n-th answer to the n-th call; answers beyond those get calls of their own from `further`.

    It is over when the peer closes, or when every call has had its whole answer and nothing came for `linger_s`.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        calls: list[Call],
        further: Callable[[int], Call],
        linger_s: float,
    ) -> None:
        self.name = name
        self.calls = calls
        self.done: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._further = further
        self._linger_s = linger_s
        self._wanted = len(calls)
        self._lingering: asyncio.TimerHandle | None = None
        self._reader = ResponseReader()
        self._current = 0  # which call's answer is read next
        self._ended = False  # has the peer said that nothing more comes?
        self._left = b""

    def send(self, data: bytes, *, half_close: bool, pace: Pace | None, deaf_s: float = 0.0) -> None:
        if deaf_s:
            self.transport.pause_reading()
            self._loop.call_later(deaf_s, self._hear)
        for number, call in enumerate(self.calls):
            self._adopt(call, number)
        self._reader.expect(self.calls[0].outgoing.method)
        self._left = data
        self._go_on(half_close, pace)
        self._take_all(self._reader.feed(b""))  # what came before anything was sent

    def _hear(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _adopt(self, call: Call, index: int) -> None:
        call.connection, call.index = self.name, index
        call.source = self.transport.get_extra_info("sockname")[0]

    def _go_on(self, half_close: bool, pace: Pace | None) -> None:
        if self.transport.is_closing():
            return
        size = pace.size if pace else len(self._left)
        piece, self._left = self._left[:size], self._left[size:]
        if not self._left:
            for call in self.calls:
                call.mark_sent()
        self.transport.write(piece)
        if self._left and pace:
            self._loop.call_later(pace.pause_s, self._go_on, half_close, pace)
        elif half_close:
            self.transport.write_eof()

    # --- the transport's calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._take_all(self._reader.feed(data))

    def eof_received(self) -> None:
        self._ended = True
        self._take_all(self._reader.eof())
        self.end("closed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end("reset" if exc else "closed")

    def end(self, error: str) -> None:
        """Nothing more will be read: calls without a whole answer end so."""
        for call in self.calls:
            call.finish(error)
        if self._lingering is not None:
            self._lingering.cancel()
        if not self.done.done():
            self.done.set_result(None)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _take_all(self, events: list[WireEvent]) -> None:
        while events and not self.done.done():
            for event in events:
                self._take(event)
            events = [] if self.done.done() else self._reader.feed(b"")
        if self._current >= self._wanted and not self._left and not self.done.done():
            self._linger()

    def _linger(self) -> None:
        """All is answered; what comes now was asked for by nobody, and is waited for."""
        if self._lingering is not None:
            self._lingering.cancel()
        self._lingering = self._loop.call_later(self._linger_s, self.end, "timeout")

    def _take(self, event: WireEvent) -> None:
        if isinstance(event, Cut) and event.within == "head":
            return  # the end of the connection tells it
        call = self._call()
        call.mark_byte()
        call.take(event)
        if isinstance(event, End):
            call.finish()
            self._current += 1
            if self._current == MOST_ANSWERS:
                hang_up(self.transport)
                self.end("garbage")
                return
            following = self.calls[self._current] if self._current < len(self.calls) else None
            if not self._ended:  # else the answer was ended by the end of the connection
                self._reader.expect(following.outgoing.method if following else "GET")
        elif isinstance(event, Malformed):
            call.finish("garbage")
            hang_up(self.transport)
            self.end("garbage")
        elif isinstance(event, Cut):
            call.finish("cut")

    def _call(self) -> Call:
        if self._current == len(self.calls):
            call = self._further(self._current)
            self._adopt(call, self._current)
            call.invoked, call.sent = self.calls[0].invoked, self.calls[0].sent
            self.calls.append(call)
        return self.calls[self._current]


def extra(id: str) -> Outgoing:
    """Stands for what an answer that nobody expected belongs to."""
    return Outgoing(id, "", "", b"")
