"""What a reader makes of bytes: heads, pieces of a body, ends, and what is no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lbcheck.history import Headers


def field(headers: Headers, name: str) -> str | None:
    """The first value of a field; `name` in lower case."""
    for n, value in headers:
        if n.lower() == name:
            return value
    return None


@dataclass(frozen=True, slots=True)
class RequestHead:
    """`raw` runs from the request line to the empty line. `length` None and `chunked` False: no body."""

    method: str
    target: str
    version: str  # "1.0" or "1.1"
    headers: Headers  # names as received, values without surrounding white space, latin-1
    raw: bytes
    length: int | None
    chunked: bool
    keep_alive: bool

    def field(self, name: str) -> str | None:
        return field(self.headers, name)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A final answer's head; `keep_alive` is False also where the body runs until the connection ends."""

    status: int
    reason: str
    version: str
    headers: Headers
    raw: bytes
    keep_alive: bool

    def field(self, name: str) -> str | None:
        return field(self.headers, name)


@dataclass(frozen=True, slots=True)
class Interim:
    """A 1xx answer other than 101; the final one is still to come."""

    status: int
    headers: Headers


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of the body, decoded; where pieces end means nothing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The message is complete."""

    trailers: Headers = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ended inside a message: within its head or within its body."""

    within: str  # "head" or "body"
    raw: bytes = b""  # of a head, at most KEPT


@dataclass(frozen=True, slots=True)
class Malformed:
    """What came is not HTTP; the reader reads no further. `raw` is the head or line up to the fault, at most KEPT."""

    reason: str
    raw: bytes


WireEvent: TypeAlias = RequestHead | ResponseHead | Interim | Data | End | Cut | Malformed

KEPT = 64 * 1024  # bytes of evidence
