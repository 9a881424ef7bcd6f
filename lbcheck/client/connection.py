"""A client's connection: exact bytes out, one answer at a time in, nothing ever sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from lbcheck.client.call import Call
from lbcheck.client.outgoing import Pace
from lbcheck.wire.events import Cut, End, Interim, Malformed, ResponseHead, WireEvent
from lbcheck.wire.reader import ResponseReader
from lbcheck.wire.reset import reset

CONTINUE_S = 1.0  # RFC 9110 section 10.1.1: a client does not wait for 100 (Continue) for ever


class ClientConnection(asyncio.Protocol):
    """Carries calls one after another; `kept` says whether it stays open after a complete answer."""

    transport: asyncio.Transport

    def __init__(
        self, loop: asyncio.AbstractEventLoop, name: str, *, kept: bool, gone: Callable[[ClientConnection], None]
    ) -> None:
        self.name = name
        self._loop = loop
        self._kept = kept
        self._gone = gone
        self._reader = ResponseReader()
        self._call: Call | None = None
        self._index = 0
        self._left = b""  # still to be sent
        self._pace: Pace | None = None
        self._waiting = False  # for 100 (Continue)
        self._timer: asyncio.TimerHandle | None = None
        self.open = False

    @property
    def idle(self) -> bool:
        """Open, as far as is known, and free for the next call."""
        return self.open and self._call is None

    # --- sending -----------------------------------------------------------------------------------------------------

    def begin(self, call: Call, pace: Pace | None = None, deaf_s: float = 0.0) -> None:
        """Sends a call's bytes; the connection must be idle. Reads nothing for `deaf_s`."""
        self._reader.expect(call.outgoing.method)
        self._call = call
        call.connection, call.index = self.name, self._index
        call.source = self.transport.get_extra_info("sockname")[0]
        call.leave = self.leave
        self._index += 1
        self._pace = pace
        self._waiting = call.outgoing.waits
        if self._waiting:
            self.transport.write(call.outgoing.head)
            self._left = call.outgoing.body
            self._timer = self._loop.call_later(CONTINUE_S, self._send)
        else:
            self._left = call.outgoing.head + call.outgoing.body
            self._send()
        if deaf_s:
            self.transport.pause_reading()
            self._loop.call_later(deaf_s, self._hear)
        self._read(b"")  # what came unasked is taken for the answer, as by any client

    def _send(self) -> None:
        """Writes what is left, or the next piece of it."""
        self._timer = None
        self._waiting = False
        call = self._call
        if call is None or self.transport.is_closing():
            return
        size = self._pace.size if self._pace else len(self._left)
        piece, self._left = self._left[:size], self._left[size:]
        if self._left and self._pace:
            self._timer = self._loop.call_later(self._pace.pause_s, self._send)
        else:
            call.mark_sent()  # before they leave: no backend reads the end of a request before it was sent
        self.transport.write(piece)

    def _hear(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    # --- the transport's calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        if self._call:
            self._call.mark_byte()
        self._read(data)

    def eof_received(self) -> None:
        self.open = False
        for event in self._reader.eof():
            self._take(event)
        self._over("closed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._over("reset" if exc else "closed")
        self._gone(self)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        for event in self._reader.feed(data):
            self._take(event)

    def _take(self, event: WireEvent) -> None:
        call = self._call
        if call is None:
            if isinstance(event, Malformed):
                self.leave(rst=False)
            return
        call.mark_byte()
        call.take(event)
        if isinstance(event, ResponseHead):
            self._kept = self._kept and event.keep_alive
            if self._waiting:
                self._stop_sending()  # answered without the body: it is not sent any more
        elif isinstance(event, Interim):
            if event.status == 100 and self._waiting:
                self._stop_sending()
                self._send()
        elif isinstance(event, End):
            self._answered()
        elif isinstance(event, Malformed):
            self._over("garbage")
            self.leave(rst=False)
        elif isinstance(event, Cut):
            self._over("cut" if event.within == "body" else "closed")

    def _answered(self) -> None:
        unsent = bool(self._left)
        self._over(None)
        if not self._kept or unsent:  # a request that was not sent whole leaves nothing usable behind
            self.leave(rst=False)

    def _over(self, error: str | None) -> None:
        call, self._call = self._call, None
        self._stop_sending()
        if call:
            call.leave = None
            call.finish(error)

    # --- ending ------------------------------------------------------------------------------------------------------

    def leave(self, rst: bool = False) -> None:
        """Closes with FIN, or with RST; what could not be sent yet is dropped."""
        self.open = False
        self._call = None
        self._stop_sending()
        if rst:
            reset(self.transport)
        else:
            hang_up(self.transport)

    def quit(self) -> None:
        """Leaves, and what is on its way ends as `aborted`."""
        if self._call:
            self._call.cancel()
        else:
            self.leave()

    def half_close(self) -> None:
        """FIN in the client's direction; answers are still read."""
        self.transport.write_eof()

    def _stop_sending(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None


def hang_up(transport: asyncio.Transport) -> None:
    """Closes now: a peer that does not read must not keep the connection open by what is still to be sent."""
    if transport.get_write_buffer_size():
        transport.abort()
    else:
        transport.close()
