"""A request's body on its way to a backend: what has come of it, and what could be sent once more. Pure."""

from __future__ import annotations

from lbcheck.balancer.bodies import Body, chunk, last_chunk

MAX_HELD = 64 * 1024  # bytes that are kept so that they can be sent again


class Upload:
    """Reads a body as the client framed it, and frames it again for a backend.

    `pieces` is the payload so far as long as it is `replayable`: nothing of it has been let go.
    """

    __slots__ = ("_reader", "chunked", "field", "pieces", "replayable", "size")

    def __init__(self, framing: int | str, reader: Body) -> None:
        self._reader = reader
        self.chunked = framing == "chunked"
        self.field = "Transfer-Encoding: chunked\r\n" if self.chunked else f"Content-Length: {framing}\r\n"
        self.pieces: list[bytes] = []
        self.size = 0
        self.replayable = True

    @property
    def done(self) -> bool:
        """Has it come to its end?"""
        return self._reader.done

    @property
    def heavy(self) -> bool:
        return self.size > MAX_HELD

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """(payload, what follows the body); BadMessage where it is not framed as it must."""
        return self._reader.feed(data)

    def hold(self, payload: bytes) -> None:
        self.pieces.append(payload)
        self.size += len(payload)

    def let_go(self) -> None:
        """What has come is in a backend's hands alone; from now on nothing can be sent again."""
        if self.size or not self.done:
            self.replayable = False
            self.pieces = []

    def framed(self, payload: bytes) -> bytes:
        return chunk(payload) if self.chunked else payload

    def end(self) -> bytes:
        """What follows the last payload."""
        return last_chunk(self._reader.trailers) if self.chunked else b""

    def so_far(self) -> list[bytes]:
        """All that has come, as a backend reads it."""
        written = [self.framed(piece) for piece in self.pieces]
        if self.done and self.chunked:
            written.append(self.end())
        return written
