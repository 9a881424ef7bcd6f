"""One connection to a backend: reads strictly, journals what it sees, answers as scripted, one after another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Protocol, cast

from lbcheck.backends.echo import echo
from lbcheck.backends.reply import Reply, reply_to
from lbcheck.backends.script import Answer
from lbcheck.backends.turn import Turn
from lbcheck.clock import now
from lbcheck.history import ID_HEADER, Answered, Arrival, BodyRead, Connected, Disconnected, Event, Garbage
from lbcheck.wire.events import KEPT, Cut, Data, End, Malformed, RequestHead, WireEvent
from lbcheck.wire.reader import RequestReader
from lbcheck.wire.reset import reset

DRAIN_S = 1.0  # how long a closed connection is read on: a close with unread data would be an RST
BEFORE_RESET_S = 0.02  # an RST on the heels of bytes may overtake them in the reader's eyes

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Owner(Protocol):
    """The backend that a connection belongs to."""

    name: str

    def journal(self, event: Event) -> None: ...
    def answer_to(self, head: RequestHead, id: str | None, port: int) -> tuple[Answer, bool]:
        """How to answer what came to this port, and whether it is a probe."""
        ...

    def opened(self, connection: BackendConnection) -> int: ...
    def closed(self, connection: BackendConnection) -> None: ...


class BackendConnection(asyncio.Protocol):
    """Pipelined requests are read, and journalled, as they come; they are answered in order."""

    transport: asyncio.Transport

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._reader = RequestReader()
        self._turns: deque[Turn] = deque()  # not answered yet, in order
        self._reading: Turn | None = None  # whose body is being read
        self._index = 0
        self._bytes_in = 0
        self._bad = False  # garbage came: 400 after what is still to be answered
        self._peer_done = False  # the peer sent FIN
        self._stray_told = False
        self._closing = False  # FIN has been sent, or is about to be: no new request is taken
        self._by = "peer"
        self._drain: asyncio.TimerHandle | None = None
        self._pieces: Iterator[tuple[bytes, float]] = iter(())
        self._piece: tuple[bytes, float] | None = None  # goes out next, with the seconds to wait after it
        self._paused = False
        self.muted = False  # a killed backend writes no more

    # --- the transport's calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}"
        self._port: int = transport.get_extra_info("sockname")[1]
        self.number = self._owner.opened(self)
        self._journal(Connected(self._owner.name, self.number, self._now(), self._peer))

    def data_received(self, data: bytes) -> None:
        self._bytes_in += len(data)
        for event in self._reader.feed(data):
            if self.transport.is_closing():  # reset meanwhile: what came with the head is not read
                return
            self._take(event)
        if self._reader.closed and self._reader.rest and not self._stray_told:
            self._stray_told = True
            self._garbage(self._reader.rest, "bytes after the last request of a connection")

    def eof_received(self) -> bool:
        self._peer_done = True
        for event in self._reader.eof():
            self._take(event)
        if self._turns and self._turns[0].started and not self._turns[0].over:
            return True  # half closed: what has begun is sent to its end
        self._abandon("abandoned", "closed")
        self.transport.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._abandon("abandoned", "reset" if exc else "closed")
        if self._drain:
            self._drain.cancel()
        error = None if exc is None else "reset" if isinstance(exc, ConnectionError) else str(exc)
        self._journal(Disconnected(self._owner.name, self.number, self._now(), self._bytes_in, self._by, error))
        self._owner.closed(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._piece is not None and self._turns[0].timer is None:
            self._go_on(self._turns[0])

    # --- reading -----------------------------------------------------------------------------------------------------

    def _take(self, event: WireEvent) -> None:
        if isinstance(event, RequestHead):
            self._head(event)
        elif isinstance(event, Data):
            if self._reading:
                self._reading.body(event.data)
        elif isinstance(event, End):
            self._body_over(complete=True)
            self._advance()
        elif isinstance(event, Malformed):
            self._malformed(event)
        elif isinstance(event, Cut):
            self._body_over(complete=False, error="closed")
            if event.within == "head":
                self._garbage(event.raw, "the connection ended within a head")

    def _head(self, head: RequestHead) -> None:
        if self._closing:
            return  # came after our FIN: drained, never processed
        request_id = head.field(ID_HEADER.lower())
        answer, probe = self._owner.answer_to(head, request_id, self._port)
        turn = Turn(self._index, head, request_id, answer)
        self._index += 1
        self._reading = turn
        self._turns.append(turn)
        self._journal(
            Arrival(
                self._owner.name,
                self.number,
                turn.index,
                self._now(),
                request_id,
                head.method,
                head.target,
                head.raw,
                self._peer,
                probe,
            )
        )
        self._advance()

    def _body_over(self, *, complete: bool, error: str | None = None) -> None:
        turn, self._reading = self._reading, None
        if turn is None:
            return
        turn.body_read = complete
        self._journal(
            BodyRead(
                self._owner.name, self.number, turn.index, self._now(), turn.body_len, turn.sha, complete, error=error
            )
        )

    def _malformed(self, event: Malformed) -> None:
        self._garbage(event.raw + self._reader.rest, event.reason)
        if self._reading:
            self._reading.broken = True
        self._body_over(complete=False, error=f"garbage: {event.reason}")
        self._bad = True
        self._advance()

    def _garbage(self, raw: bytes, reason: str) -> None:
        self._journal(Garbage(self._owner.name, self.number, self._now(), raw[:KEPT], reason))

    # --- answering ---------------------------------------------------------------------------------------------------

    def release(self, turn: Turn) -> None:
        """Lets a held request go on."""
        turn.held = False
        self._advance()

    @property
    def turns(self) -> list[Turn]:
        """Requests that are not answered yet."""
        return list(self._turns)

    def _advance(self) -> None:
        """Carries the first unanswered request as far as it can go, then the next."""
        while self._turns and not self._closing:
            turn = self._turns[0]
            if turn.broken and not turn.started:
                self._turns.popleft()
                self._tell(turn, "answered", 400)
                self._refuse()
                return
            if not turn.started and self._ready(turn):
                turn.started = True
                self._answer(turn)
            if self._turns and self._turns[0] is turn:
                return
        if self._bad and not self._closing:
            self._refuse()

    def _ready(self, turn: Turn) -> bool:
        """Has everything come that the answer waits for? Asks for what has not."""
        if not turn.at_head and not turn.body_read:
            if not turn.continued:
                turn.continued = True
                self.transport.write(_CONTINUE)
            return False
        if turn.held:
            return False
        if not turn.waited and turn.timer is None:
            turn.timer = self._loop.call_later(turn.answer.delay, self._waited, turn)
        return turn.waited

    def _waited(self, turn: Turn) -> None:
        turn.timer = None
        turn.waited = True
        self._advance()

    def _refuse(self) -> None:
        """What a strict server says to garbage; not signed, since no request has arrived."""
        self.transport.write(_BAD_REQUEST)
        self._finish_connection()

    def _answer(self, turn: Turn) -> None:
        answer = turn.answer
        moment = answer.moment if answer.fault else None
        if moment in ("head_read", "all_read"):
            self._fault(turn, status=None)
            return
        reply = self._reply(turn)
        if moment == "within_head":
            self.transport.write(reply.head[: len(reply.head) // 2])
            self._fault(turn, status=None, after_bytes=True)
        elif moment == "after_head":
            self.transport.write(reply.head)
            self._fault(turn, status=reply.status, after_bytes=True)
        else:
            self._send(turn, reply, half=moment == "within_body")

    def _reply(self, turn: Turn) -> Reply:
        answer, name = turn.answer, self._owner.name
        body = b""
        if answer.body is None and answer.body_size is None and answer.raw is None:
            body = echo(
                turn.head,
                backend=name,
                id=turn.id,
                connection=self.number,
                index=turn.index,
                body_sha=turn.sha,
                body_len=turn.body_len,
            )
        return reply_to(turn.head, answer, backend=name, id=turn.id, echo=body)

    def _send(self, turn: Turn, reply: Reply, *, half: bool) -> None:
        """Head and body; `half` of the body where a fault comes within it."""
        self._reply_sent = reply
        self._pieces = reply.pieces(turn.answer.rate, half=half)
        if turn.answer.torn:
            middle = len(reply.head) // 2 if turn.answer.torn_at is None else turn.answer.torn_at
            halves = (reply.head[:middle], turn.answer.torn), (reply.head[middle:], 0.0)
            self._pieces = chain(halves, self._pieces)
            self._piece = next(self._pieces)
            self._pump(turn)
            return
        self._piece = next(self._pieces, None)
        if self._piece is None:
            self._end(turn, reply.head)
            return
        data, pause_s = self._piece
        if pause_s:
            self.transport.write(reply.head)
        else:
            self._piece = (reply.head + data, 0.0)
        self._pump(turn)

    def _pump(self, turn: Turn) -> None:
        """Writes pieces while the transport takes them; the journal hears of the answer before its last bytes leave."""
        while self._piece is not None and not self._paused:
            data, pause_s = self._piece
            self._piece = next(self._pieces, None)
            if self._piece is None:
                self._end(turn, data)
                return
            self.transport.write(data)
            if pause_s:
                turn.timer = self._loop.call_later(pause_s, self._go_on, turn)
                return

    def _go_on(self, turn: Turn) -> None:
        turn.timer = None
        self._pump(turn)
        self._advance()

    def _end(self, turn: Turn, last: bytes) -> None:
        """The last bytes of an answer, or those before a fault within its body."""
        self._piece = None
        reply = self._reply_sent
        if turn.answer.fault:
            self.transport.write(last)
            self._fault(turn, status=reply.status, after_bytes=True)
            return
        self._tell(turn, "answered", reply.status)
        self.transport.write(last)
        self._turns.popleft()
        if reply.closes or self._peer_done:
            self._finish_connection()

    def _tell(self, turn: Turn, how: str, status: int | None) -> None:
        turn.over = True
        self._journal(Answered(self._owner.name, self.number, turn.index, self._now(), how, status))

    # --- faults and endings ------------------------------------------------------------------------------------------

    def _fault(self, turn: Turn, *, status: int | None, after_bytes: bool = False) -> None:
        fault = turn.answer.fault
        if fault == "hang":
            self._tell(turn, "hung", status)
        elif fault == "close":
            self._tell(turn, "cut", status)
            self._finish_connection()
        elif after_bytes:
            turn.timer = self._loop.call_later(BEFORE_RESET_S, self._reset, turn, status)
        else:
            self._reset(turn, status)

    def _reset(self, turn: Turn, status: int | None) -> None:
        self._tell(turn, "reset", status)
        self._by = "backend"
        self._closing = True
        reset(self.transport)

    def _finish_connection(self) -> None:
        """FIN, then what the peer still sends is read for a bounded time, or the kernel would make it an RST."""
        self._closing = True
        self._by = "backend"
        if self._peer_done or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._drain = self._loop.call_later(DRAIN_S, self.transport.close)
        self.transport.write_eof()

    def _abandon(self, how: str, error: str) -> None:
        """Nothing more will be read or sent: what was not answered never will be."""
        self._body_over(complete=False, error=error)
        for turn in self._turns:
            turn.cancel()
            if not turn.over:
                self._tell(turn, how, turn.answer.status if turn.started else None)
        self._turns.clear()
        self._piece = None

    def shut(self) -> None:
        """The backend stops, in order: FIN follows what has been sent."""
        self._closing = True
        self._by = "backend"
        self._abandon("cut", "stopped")
        self.transport.close()

    def kill(self) -> None:
        """As when the process is killed: the journal hears nothing more."""
        self.muted = True
        self._abandon("cut", "killed")
        self.transport.abort()

    def _journal(self, event: Event) -> None:
        if not self.muted:
            self._owner.journal(event)

    def _now(self) -> float:
        return now(self._loop)
