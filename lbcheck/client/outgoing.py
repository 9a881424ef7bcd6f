"""A request as bytes: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbcheck.history import ID_HEADER
from lbcheck.spec.request import Request
from lbcheck.wire.events import KEPT, RequestHead
from lbcheck.wire.reader import RequestReader, unparsed

CHUNK = 16 * 1024

_ID_LINE = re.compile(rb"^" + ID_HEADER.encode() + rb"[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pace:
    """Sends `size` bytes at a time, `pause_s` seconds apart: a slow client."""

    size: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, ready to be written: `body` is framed already. With `waits` it goes after 100 (Continue)."""

    id: str
    method: str
    target: str
    head: bytes
    body: bytes = b""
    waits: bool = False


def outgoing(
    request: Request, new_id: str, *, body: bytes | None = None, chunked: bool = False, expect_continue: bool = False
) -> Outgoing:
    """Host, id, the request's own fields in their order, then framing; what the request names itself is not added.

    `body` None sends no framing at all; `request.headers` may carry its own `Lbcheck-Id`, which then is the id.
    """
    named = {name.lower(): value for name, value in request.headers}
    own_id = named.get(ID_HEADER.lower(), new_id)
    fields = [] if "host" in named else [("Host", request.host)]
    if ID_HEADER.lower() not in named:
        fields.append((ID_HEADER, own_id))
    fields += request.headers
    if expect_continue and "expect" not in named:
        fields.append(("Expect", "100-continue"))
    if body is not None and not named.keys() & {"content-length", "transfer-encoding"}:
        fields.append(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body))))
    line = f"{request.method} {request.target} HTTP/1.1\r\n".encode("latin-1")
    framed = _chunks(body or b"") if chunked else body or b""
    return Outgoing(
        own_id, request.method, request.target, line + unparsed(tuple(fields)) + b"\r\n", framed, waits=expect_continue
    )


def _chunks(body: bytes) -> bytes:
    pieces = (body[i : i + CHUNK] for i in range(0, len(body), CHUNK))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def requests_in(data: bytes, new_id: str) -> tuple[list[Outgoing], list[str]]:
    """(the requests that a strict reader finds at the start of these bytes, ids that stand further on in them).

    Bytes in which there is no request at all count as one: the client did send something.
    """
    heads = [event for event in RequestReader().feed(data) if isinstance(event, RequestHead)]
    ids = [match[1].decode("latin-1") for match in _ID_LINE.finditer(data)]
    if heads:
        found = [Outgoing(h.field(ID_HEADER.lower()) or new_id, h.method, h.target, h.raw) for h in heads]
    else:
        found = [_claimed(data, ids[0] if ids else new_id)]
    known = {request.id for request in found}
    return found, [x for x in ids if x not in known]


def _claimed(data: bytes, id: str) -> Outgoing:
    """What the first line seems to ask for."""
    words = [*data.split(b"\n", 1)[0].split(), b"", b""]
    method, target = words[0][:100].decode("latin-1"), words[1][:1000].decode("latin-1")
    return Outgoing(id, method, target, data[:KEPT])
