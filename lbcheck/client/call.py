"""One request on its way: what has come of its answer so far, and the exchange that is recorded in the end."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from lbcheck.client.outgoing import Outgoing
from lbcheck.clock import now
from lbcheck.history import Exchange, Headers
from lbcheck.wire.events import Data, Interim, Malformed, ResponseHead, WireEvent

KEPT_BODY = 4 * 1024


class Call:
    """`done` holds the Exchange once the request is over; it is recorded at that moment, and once."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        record: Callable[[Exchange], None],
        listener: str,
        outgoing: Outgoing,
        source: str,
        sign: Callable[[Exchange], Exchange] | None = None,
    ) -> None:
        """`sign`: what is made of its exchange before anybody sees it."""
        self.id = outgoing.id
        self.outgoing = outgoing
        self.done: asyncio.Future[Exchange] = loop.create_future()
        self.listener = listener
        self.source = source
        self.connection = ""
        self.index = 0
        self.invoked = now(loop)
        self.sent: float | None = None
        self.status: int | None = None
        self.leave: Callable[[bool], None] | None = None  # ends its connection; True: with RST
        self.timer: asyncio.TimerHandle | None = None
        self._loop = loop
        self._record = record
        self._sign = sign
        self._first_byte: float | None = None
        self._headers: Headers = ()
        self._body = bytearray()
        self._body_len = 0
        self._sha = hashlib.sha256()
        self._interim: list[int] = []

    @property
    def over(self) -> bool:
        return self.done.done()

    # --- its answer --------------------------------------------------------------------------------------------------

    def mark_sent(self) -> None:
        self.sent = now(self._loop)

    def mark_byte(self) -> None:
        """Bytes of the answer have come."""
        if self._first_byte is None:
            self._first_byte = now(self._loop)

    def take(self, event: WireEvent) -> None:
        if isinstance(event, Data):
            room = KEPT_BODY - len(self._body)
            if room > 0:
                self._body += event.data[:room]
            self._body_len += len(event.data)
            self._sha.update(event.data)
        elif isinstance(event, ResponseHead):
            self.status, self._headers = event.status, event.headers
        elif isinstance(event, Interim):
            self._interim.append(event.status)
        elif isinstance(event, Malformed) and self.status is None:
            self._body += event.raw[:KEPT_BODY]  # evidence: what came in place of an answer

    # --- its end -----------------------------------------------------------------------------------------------------

    def finish(self, error: str | None = None) -> None:
        """The request is over: complete, or with one of the errors of `Exchange`."""
        if self.over:
            return
        self._rest()
        exchange = self._exchange(error)
        if self._sign is not None:
            exchange = self._sign(exchange)
        self.done.set_result(exchange)
        self._record(exchange)

    def fail(self, fault: Exception) -> None:
        """The harness could not send it."""
        if not self.over:
            self._rest()
            self.done.set_exception(fault)

    def end(self, error: str, *, rst: bool = False) -> None:
        """Gives up: records the error and leaves the connection."""
        if not self.over:
            leave = self.leave
            self.finish(error)
            if leave:
                leave(rst)

    def cancel(self) -> None:
        """The client goes away, with FIN, before its answer is complete."""
        self.end("aborted")

    def reset(self) -> None:
        """The client goes away with RST."""
        self.end("aborted", rst=True)

    def _rest(self) -> None:
        if self.timer:
            self.timer.cancel()
        self.timer = None

    def _exchange(self, error: str | None) -> Exchange:
        out = self.outgoing
        return Exchange(
            id=out.id,
            listener=self.listener,
            method=out.method,
            target=out.target,
            source=self.source,
            connection=self.connection,
            index=self.index,
            invoked=self.invoked,
            request=out.head,
            sent=self.sent,
            first_byte=self._first_byte,
            done=now(self._loop),
            status=self.status,
            headers=self._headers,
            body=bytes(self._body),
            body_len=self._body_len,
            body_sha=self._sha.hexdigest() if self.status is not None else "",
            complete=error is None,
            error=error,
            interim=tuple(self._interim),
        )
