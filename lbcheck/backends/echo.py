"""What answers carry: the echo of a request, given bytes, or a repeatable body of any size."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from lbcheck.wire.events import RequestHead

_LINE = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n"
_BLOCK = _LINE * 1024


class Content(Protocol):
    """A body that is made as it is sent."""

    @property
    def size(self) -> int: ...
    def slice(self, start: int, stop: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Given:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def slice(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]


@dataclass(frozen=True, slots=True)
class Repeatable:
    """The same 64 characters again and again: `size` bytes of them, whatever the size, at the cost of one slice."""

    size: int

    def slice(self, start: int, stop: int) -> bytes:
        stop = min(stop, self.size)
        first = start % len(_LINE)
        if first + stop - start <= len(_BLOCK):
            return _BLOCK[first : first + stop - start]
        repeats = (first + stop - start) // len(_LINE) + 1
        return (_LINE * repeats)[first : first + stop - start]


def echo(
    head: RequestHead, *, backend: str, id: str | None, connection: int, index: int, body_sha: str, body_len: int
) -> bytes:
    """What a backend saw of a request, as JSON. `body_sha` is of what had come when the answer began."""
    return json.dumps(
        {
            "backend": backend,
            "id": id,
            "connection": connection,
            "index": index,
            "method": head.method,
            "target": head.target,
            "headers": head.headers,
            "body_sha": body_sha,
            "body_len": body_len,
        }
    ).encode()
