"""How long a body is: RFC 9112 section 6.3, strictly. What two servers could read differently is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbcheck.history import Headers
from lbcheck.wire.head import Fault, listed, values

_DIGITS = re.compile(r"[0-9]{1,18}")  # RFC 9110 section 8.6: expect large numbers; 18 digits are below 2**63


@dataclass(frozen=True, slots=True)
class Framing:
    """`length` bytes, or chunked, or (answers only) until the connection ends."""

    length: int | None = None
    chunked: bool = False
    until_close: bool = False


EMPTY = Framing(length=0)


def of_request(version: str, fields: Headers, size: int) -> Framing:
    """A request's framing; `size` is what a Fault says of the head."""
    framing = _declared(version, fields, size)
    if framing is None:
        return Framing()
    if framing.until_close:
        raise Fault("a Transfer-Encoding that does not end in chunked alone", size)
    return framing


def of_response(method: str, status: int, version: str, fields: Headers, size: int) -> Framing:
    """An answer's framing, which depends on the request's method."""
    if method == "HEAD" or status in (204, 304) or status < 200:
        return EMPTY
    framing = _declared(version, fields, size)
    return framing or Framing(until_close=True)


def _declared(version: str, fields: Headers, size: int) -> Framing | None:
    lengths = values(fields, "content-length")
    codings = listed(fields, "transfer-encoding")
    if codings and lengths:
        raise Fault("both Transfer-Encoding and Content-Length", size)
    if codings:
        if version == "1.0":
            raise Fault("a Transfer-Encoding in HTTP/1.0", size)
        return Framing(chunked=True) if codings == ["chunked"] else Framing(until_close=True)
    if not lengths:
        return None
    if len(lengths) > 1:
        raise Fault("more than one Content-Length", size)
    if not _DIGITS.fullmatch(lengths[0]):
        raise Fault("a Content-Length that is no number", size)
    return Framing(length=int(lengths[0]))


def keeps_alive(version: str, fields: Headers) -> bool:
    """RFC 9112 section 9.3: does the connection persist after this message?"""
    options = listed(fields, "connection")
    if "close" in options:
        return False
    return version == "1.1" or "keep-alive" in options


def one_host(version: str, fields: Headers, size: int) -> None:
    """RFC 9112 section 3.2: a server refuses HTTP/1.1 without Host, and any request with more than one."""
    hosts = len(values(fields, "host"))
    if hosts > 1:
        raise Fault("more than one Host", size)
    if hosts == 0 and version == "1.1":
        raise Fault("no Host in HTTP/1.1", size)
