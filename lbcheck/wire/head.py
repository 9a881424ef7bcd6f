"""Heads, strictly after RFC 9112 sections 2 to 5: where one ends, and what its lines say."""

from __future__ import annotations

import re
from collections.abc import Callable

from lbcheck.history import Headers
from lbcheck.wire.events import KEPT

HEAD_LIMIT = 256 * 1024  # nginx and HAProxy stop at 8 to 64 KiB, Envoy at 60

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/(1\.[01])\r\n")
_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9][0-9])(?: ([^\r\n\0]*))?\r\n")
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb"):([^\r\n\0]*)\r\n")
# A line ends with CRLF. RFC 9112 section 2.2 lets a recipient take a bare LF; a strict one refuses it, and a bare CR
# and NUL with it, since servers that read them differently are how requests are smuggled.
_FORBIDDEN = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\0")
_NAMES = {b"\n": "bare LF", b"\r": "bare CR", b"\0": "NUL"}


class Fault(Exception):  # noqa: N818
    """Not HTTP: the reason, and how many bytes of the buffer belong to it."""

    def __init__(self, reason: str, size: int) -> None:
        self.reason = reason
        self.size = min(size, KEPT)
        super().__init__(reason)


def head_end(
    buffer: bytearray,
    looked: int,
    limit: int = HEAD_LIMIT,
    first_line: Callable[[bytearray], object] | None = None,
) -> int:
    """Where the head at the start of `buffer` ends, or -1; `looked` is how far earlier calls have looked.

    `first_line` judges the first line as soon as it is whole. The answer depends on the bytes alone, never on the
    pieces in which they came: of several faults the first one is told. Raises Fault.
    """
    start = max(0, looked - 3)
    stop = min(len(buffer), limit)
    end = buffer.find(b"\r\n\r\n", start, stop)
    forbidden = _FORBIDDEN.search(buffer, start, stop if end < 0 else end + 4)
    line_end = buffer.find(b"\n", 0, stop) + 1 if first_line else 0
    if forbidden and not 0 < line_end < forbidden.end():
        raise _forbidden(forbidden)
    if first_line and line_end > looked:
        first_line(buffer)
    if forbidden:
        raise _forbidden(forbidden)
    if end < 0 and len(buffer) >= limit:
        raise Fault(f"a head longer than {limit} bytes", limit)
    return end + 4 if end >= 0 else -1


def _forbidden(found: re.Match[bytes]) -> Fault:
    return Fault(f"a {_NAMES[found[0]]} in the head", found.end())


def request_line(head: bytes | bytearray) -> tuple[str, str, str, int]:
    """(method, target, version, where the fields begin). Raises Fault."""
    match = _REQUEST_LINE.match(head)
    if match is None:
        raise Fault("no request line", _first_line(head))
    return match[1].decode(), match[2].decode("latin-1"), match[3].decode(), match.end()


def status_line(head: bytes | bytearray) -> tuple[int, str, str, int]:
    """(status, reason, version, where the fields begin). Raises Fault.

    The blank after the status may be missing where the reason is: common enough to be read (as by h11).
    """
    match = _STATUS_LINE.match(head)
    if match is None:
        raise Fault("no status line", _first_line(head))
    return int(match[2]), (match[3] or b"").decode("latin-1"), match[1].decode(), match.end()


def _first_line(head: bytes | bytearray) -> int:
    end = head.find(b"\n")
    return end + 1 if end >= 0 else len(head)


def field_lines(head: bytes | bytearray, position: int) -> Headers:
    """The fields from `position` to the empty line. Raises Fault for folded lines, blanks before the colon and such."""
    fields = []
    end = len(head) - 2
    while position < end:
        match = _FIELD_LINE.match(head, position)
        if match is None:
            raise Fault(_line_fault(head, position), len(head))
        fields.append((match[1].decode(), match[2].strip(b" \t").decode("latin-1")))
        position = match.end()
    return tuple(fields)


def _line_fault(head: bytes | bytearray, position: int) -> str:
    line = bytes(head[position : head.index(b"\r\n", position)])
    name, colon, _ = line.partition(b":")
    if line[:1] in (b" ", b"\t"):
        return "a folded field line"
    if not colon:
        return "a field line without a colon"
    if name != name.strip(b" \t"):
        return "white space before a colon"
    return "a field name that is no token"


def values(fields: Headers, name: str) -> list[str]:
    """All values of a field, in order; `name` in lower case."""
    return [v for n, v in fields if n.lower() == name]


def listed(fields: Headers, name: str) -> list[str]:
    """The members of a comma list over all lines of a field, in lower case."""
    return [part.strip(" \t").lower() for value in values(fields, name) for part in value.split(",")]
