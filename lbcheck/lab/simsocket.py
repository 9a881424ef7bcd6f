"""One end of a simulated TCP connection, with the whole contract of an asyncio transport.

As on Linux: a paused reader fills a bounded receive window and then stops the sender; closing with unread data, and
data that arrives at a closed end, are answered with RST; data that arrived before an RST can still be read.
`abort()` is RST (on a real socket that needs SO_LINGER).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from lbcheck.lab.simloop import SimLoop

Address: TypeAlias = tuple[str, int]

WINDOW = 64 * 1024  # bytes that fly or wait unread, in one direction
READ_SIZE = 256 * 1024  # asyncio reads so much at once
HIGH_WATER = 64 * 1024


class Mark(Enum):
    FIN = "FIN"
    RST = "RST"


def pair(loop: SimLoop, near: Address, far: Address) -> tuple[SimTransport, SimTransport]:
    """The two ends of a connection from `near` to `far`; each waits for its `begin`."""
    client, server = SimTransport(loop, near, far), SimTransport(loop, far, near)
    client._peer, server._peer = server, client
    return client, server


class SimTransport(asyncio.Transport):
    _peer: SimTransport

    def __init__(self, loop: SimLoop, local: Address, remote: Address) -> None:
        super().__init__({"sockname": local, "peername": remote, "socket": None})
        self._loop = loop
        self._protocol: Any = None
        # reading
        self._inbox: deque[bytes | Mark] = deque()
        self._paused = True  # until `begin`
        self._was_reset = False
        # writing
        self._window = WINDOW
        self._last_arrival = 0.0
        self._buffer: deque[bytes] = deque()
        self._buffered = 0
        self._eof = False  # write_eof was called
        self._fin_sent = False
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._protocol_paused = False
        # ending
        self._closing = False
        self._ending = False  # connection_lost is scheduled
        self._aborted = False
        self._closed = False

    def begin(self, protocol: asyncio.BaseProtocol) -> None:
        """Connects the protocol; what has come in meanwhile is delivered next."""
        self._protocol = protocol
        protocol.connection_made(self)
        if not self._closing:
            self._paused = False
            if self._inbox:
                self._loop.call_soon(self._read)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _arrive(self, item: bytes | Mark) -> None:
        """A segment has come over the network."""
        if self._closed:
            if isinstance(item, bytes):
                self._send(Mark.RST)
            return
        self._inbox.append(item)
        if item is Mark.RST:
            self._was_reset = True
            if self._buffer:
                self._fail(_reset_error())
                return
        if not self._paused:
            self._read()

    def _read(self) -> None:
        """Gives the protocol what has arrived, as long as it wants it."""
        while self._inbox and not self._paused and not self._closing:
            item = self._inbox.popleft()
            try:
                if isinstance(item, bytes):
                    self._give(self._joined(item))
                elif item is Mark.RST:
                    self._fail(_reset_error())
                elif not self._protocol.eof_received():
                    self.close()
            except Exception as error:
                self._loop.call_exception_handler(
                    {"message": "a protocol's callback failed", "exception": error, "transport": self}
                )
                self._fail(error)

    def _joined(self, first: bytes) -> bytes:
        """As one read of a real socket would return it."""
        if not self._inbox or not isinstance(self._inbox[0], bytes):
            return first
        parts, size = [first], len(first)
        while self._inbox and isinstance(self._inbox[0], bytes) and size + len(self._inbox[0]) <= READ_SIZE:
            part = self._inbox.popleft()
            assert isinstance(part, bytes)
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _give(self, data: bytes) -> None:
        self._peer._acknowledged(len(data))
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(data)
            return
        rest = memoryview(data)
        while rest:
            room = memoryview(self._protocol.get_buffer(len(rest)))
            size = min(len(room), len(rest))
            room[:size] = rest[:size]
            self._protocol.buffer_updated(size)
            rest = rest[size:]

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused and not self._closing:
            self._paused = False
            if self._inbox:
                self._loop.call_soon(self._read)

    def is_reading(self) -> bool:
        return not self._closing and not self._paused

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        if self._was_reset:
            self._fail(_reset_error())
            return
        data = bytes(data)
        if not self._buffer and len(data) <= self._window:
            self._window -= len(data)
            self._send(data)
            return
        self._buffer.append(data)
        self._buffered += len(data)
        self._flush()
        if self._buffered > self._high and not self._protocol_paused:
            self._protocol_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        if not self._eof and not self._closing:
            self._eof = True
            self._flush()

    def can_write_eof(self) -> bool:
        return True

    def _flush(self) -> None:
        """Sends what the window allows; then what was waiting for an empty buffer."""
        while self._buffer and self._window:
            chunk = self._buffer.popleft()
            if len(chunk) > self._window:
                self._buffer.appendleft(chunk[self._window :])
                chunk = chunk[: self._window]
            self._window -= len(chunk)
            self._buffered -= len(chunk)
            self._send(chunk)
        if not self._buffer:
            if self._eof and not self._fin_sent:
                self._fin()
            if self._closing:
                self._end(None)
                return
        if self._protocol_paused and self._buffered <= self._low:
            self._protocol_paused = False
            self._protocol.resume_writing()

    def _acknowledged(self, size: int) -> None:
        self._window += size
        if self._buffer:
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._buffer and not self._ending:
            self._flush()

    def _fin(self) -> None:
        self._fin_sent = True
        self._send(Mark.FIN)

    def _send(self, item: bytes | Mark) -> None:
        """Puts a segment on the way; segments never overtake each other."""
        loop = self._loop
        at = loop.time() + loop.network.flight_s()
        if at < self._last_arrival:
            at = self._last_arrival
        self._last_arrival = at
        loop.call_at(at, self._peer._arrive, item)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low
        if self._buffered > high and not self._protocol_paused:
            self._protocol_paused = True
            self._protocol.pause_writing()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (self._low, self._high)

    def get_write_buffer_size(self) -> int:
        return self._buffered

    # --- ending ------------------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Reads no more, sends what is buffered, then FIN."""
        if not self._closing:
            self._closing = True
            if not self._buffer:
                self._end(None)

    def abort(self) -> None:
        """RST: what is buffered is lost."""
        if not self._ending:
            self._aborted = True
            self._drop()
            self._end(None)

    def _fail(self, error: Exception) -> None:
        """The connection broke, or a protocol's callback did."""
        if not self._ending:
            self._aborted = not self._was_reset
            self._drop()
            self._end(error)

    def _drop(self) -> None:
        self._closing = True
        self._buffer.clear()
        self._buffered = 0

    def _end(self, error: Exception | None) -> None:
        if not self._ending:
            self._ending = True
            self._loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        try:
            if self._protocol is not None:
                self._protocol.connection_lost(error)
        finally:
            self._closed = True
            unread = any(isinstance(item, bytes) for item in self._inbox)
            if (self._aborted or unread) and not self._was_reset:
                self._send(Mark.RST)
            elif not self._fin_sent and not self._was_reset:
                self._fin()
            self._inbox.clear()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol  # type: ignore[no-any-return]


def _reset_error() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
