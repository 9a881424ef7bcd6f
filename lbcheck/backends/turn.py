"""One request on a backend's connection, from its head to its answer."""

from __future__ import annotations

import asyncio
import hashlib

from lbcheck.backends.script import Answer
from lbcheck.wire.events import RequestHead


class Turn:
    """A request whose head has been read. `over` says that the journal knows what became of it."""

    def __init__(self, index: int, head: RequestHead, request_id: str | None, answer: Answer) -> None:
        self.index = index
        self.head = head
        self.answer = answer
        self.id = request_id
        self.held = answer.hold
        self.started = False  # its answer has begun
        self.over = False
        self.body_read = False  # to its end
        self.broken = False  # its body turned out to be garbage
        self.body_len = 0
        self.timer: asyncio.TimerHandle | None = None
        self.waited = answer.delay <= 0
        self.continued = not self._expects_continue()
        self._sha = hashlib.sha256()

    def _expects_continue(self) -> bool:
        """RFC 9110 section 10.1.1: in HTTP/1.0 the expectation is ignored; without a body it means nothing."""
        has_body = self.head.chunked or bool(self.head.length)
        return has_body and self.head.version == "1.1" and (self.head.field("expect") or "").lower() == "100-continue"

    @property
    def at_head(self) -> bool:
        """Its answer, or its fault, does not wait for the body."""
        return self.answer.early or (self.answer.fault is not None and self.answer.moment == "head_read")

    def body(self, data: bytes) -> None:
        self._sha.update(data)
        self.body_len += len(data)

    @property
    def sha(self) -> str:
        """Of what has come so far, SHA-256 in hexadecimal."""
        return self._sha.hexdigest()

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
