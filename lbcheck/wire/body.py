"""Bodies: by length, chunked, or until the connection ends. Each takes what it can from the buffer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from lbcheck.history import Headers
from lbcheck.wire.events import Data, WireEvent
from lbcheck.wire.head import Fault, field_lines, head_end

LINE_LIMIT = 4096  # a chunk's size line with its extensions
TRAILER_LIMIT = 64 * 1024

# RFC 9112 section 7.1; 16 hexadecimal digits are below 2**64. Extensions are read over, as the RFC says.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\r\n\0]*)?\r\n")


class Body(Protocol):
    """`take` moves decoded data from the buffer into `out` and says whether the body is over. Raises Fault."""

    trailers: Headers
    ends_with_connection: bool

    def take(self, buffer: bytearray, out: list[WireEvent]) -> bool: ...


class Length:
    trailers: Headers = ()
    ends_with_connection = False

    def __init__(self, length: int) -> None:
        self._left = length

    def take(self, buffer: bytearray, out: list[WireEvent]) -> bool:
        self._left -= _move(buffer, self._left, out)
        return self._left == 0


class UntilClose:
    trailers: Headers = ()
    ends_with_connection = True

    def take(self, buffer: bytearray, out: list[WireEvent]) -> bool:
        _move(buffer, len(buffer), out)
        return False


class Chunked:
    """size line, data, CRLF, again; after the chunk of size 0 the trailers."""

    ends_with_connection = False

    def __init__(self) -> None:
        self.trailers: Headers = ()
        self._left = 0
        self._step: Callable[[bytearray, list[WireEvent]], bool] | None = self._size

    def take(self, buffer: bytearray, out: list[WireEvent]) -> bool:
        while self._step is not None and self._step(buffer, out):
            pass
        return self._step is None

    def _size(self, buffer: bytearray, _: list[WireEvent]) -> bool:
        end = buffer.find(b"\n", 0, LINE_LIMIT)
        if end < 0:
            if len(buffer) >= LINE_LIMIT:
                raise Fault(f"a chunk's size line longer than {LINE_LIMIT} bytes", LINE_LIMIT)
            return False
        match = _SIZE_LINE.fullmatch(buffer, 0, end + 1)
        if match is None:
            raise Fault("a chunk's size line that is none", end + 1)
        self._left = int(match[1], 16)
        del buffer[: end + (1 if self._left else -1)]  # the trailers are read as a head that begins with this CRLF
        self._step = self._data if self._left else self._trailers
        return True

    def _data(self, buffer: bytearray, out: list[WireEvent]) -> bool:
        self._left -= _move(buffer, self._left, out)
        if self._left:
            return False
        self._step = self._data_end
        return True

    def _data_end(self, buffer: bytearray, _: list[WireEvent]) -> bool:
        if not b"\r\n".startswith(buffer[:2]):
            raise Fault("a chunk longer than its size", 1 if buffer[:1] != b"\r" else 2)
        if len(buffer) < 2:
            return False
        del buffer[:2]
        self._step = self._size
        return True

    def _trailers(self, buffer: bytearray, _: list[WireEvent]) -> bool:
        end = head_end(buffer, 0, TRAILER_LIMIT)
        if end < 0:
            return False
        self.trailers = field_lines(buffer[:end], 2)
        del buffer[:end]
        self._step = None
        return False


def _move(buffer: bytearray, most: int, out: list[WireEvent]) -> int:
    size = min(most, len(buffer))
    if size:
        out.append(Data(bytes(buffer[:size])))
        del buffer[:size]
    return size
