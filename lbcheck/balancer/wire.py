"""HTTP/1.1 heads as bytes: strict reading and plain writing (RFC 9112 sections 2 to 5). Pure.

One reader serves requests and answers. It is as strict as the RFC allows, since a balancer that forgives what its
backend reads differently is how one request becomes two: lines end in CRLF and nothing else, names are tokens that
touch their colon, no folded lines, no controls in values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

MAX_HEAD = 64 * 1024  # bytes, of a request's or an answer's head
MAX_TARGET = 32 * 1024  # bytes of a request target
MAX_FIELDS = 256

Fields = list[tuple[str, str]]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r'[!"$-~]+')  # visible ASCII without "#": a fragment is never sent
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(r"https?://([^/?]+)(.*)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: .*)?")
# every byte that may stand in a head; what is left after they are taken out must be exactly the line ends
_PLAIN = bytes(b for b in range(256) if b == 9 or (b >= 32 and b != 127))

# Fields that the shell itself acts on. The map grows by the names that it meets: a known name costs one look-up.
_ACTED_ON = ("host", "content-length", "transfer-encoding", "connection", "expect")
_kinds: dict[str, str] = {}
_MAX_KNOWN_NAMES = 2048


class BadMessage(Exception):  # noqa: N818  (a message, not a mistake of ours)
    """A head or a body that is not HTTP/1.1; `status` is what a client is told."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def _kind(name: str) -> str:
    """The lower-case name where the shell acts on the field, else ""; BadMessage where the name is no token."""
    if _TOKEN.fullmatch(name) is None:
        raise BadMessage(400, "a field name that is no token")
    kind = name.lower()
    kind = kind if kind in _ACTED_ON else ""
    if len(_kinds) < _MAX_KNOWN_NAMES and len(name) <= 64:
        _kinds[name] = kind
    return kind


def _lines(head: bytes) -> list[str]:
    """The lines of a head that ended in an empty line (which is not passed)."""
    lines = head.decode("latin-1").split("\r\n")
    if head.translate(None, _PLAIN) != b"\r\n" * (len(lines) - 1):
        raise BadMessage(400, "a bare CR or LF, or a control character")
    return lines


def parse_fields(lines: Sequence[str]) -> tuple[Fields, Fields]:
    """(all fields in order, those that the shell acts on with their names in lower case)."""
    fields: Fields = []
    acted_on: Fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        kind = _kinds.get(name)
        if kind is None:
            kind = _kind(name)
        if not colon:
            raise BadMessage(400, "a field line without a colon")
        value = value.strip(" \t")
        fields.append((name, value))
        if kind:
            acted_on.append((kind, value))
    if len(fields) > MAX_FIELDS:
        raise BadMessage(431, f"more than {MAX_FIELDS} fields")
    return fields, acted_on


def parse_request(head: bytes) -> tuple[str, str, str, Fields, Fields]:
    """(method, target, version, fields, fields acted on) of a request's head without its last empty line.

    The target is as received; `version` is "1.0" or "1.1". BadMessage says with which status to refuse.
    """
    lines = _lines(head)
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise BadMessage(400, "not a request line")
    method, target, protocol = words
    version = protocol[5:]
    if version not in ("1.1", "1.0"):
        known = re.fullmatch(r"[0-9]\.[0-9]", version)
        raise BadMessage(505 if known else 400, "a version that is not HTTP/1.0 or HTTP/1.1")
    if len(target) > MAX_TARGET:
        raise BadMessage(414, f"a target of more than {MAX_TARGET} bytes")
    if _TOKEN.fullmatch(method) is None or _TARGET.fullmatch(target) is None:
        raise BadMessage(400, "a method or a target with characters that have no place there")
    del lines[0]
    fields, acted_on = parse_fields(lines)
    return method, target, version, fields, acted_on


def origin_form(method: str, target: str, version: str, hosts: Sequence[str]) -> tuple[str, str]:
    """(target in origin form, host) by RFC 9112 sections 3.2 and 3.3; an absolute target's authority wins over Host."""
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise BadMessage(400, "not exactly one Host field")
    host = hosts[0] if hosts else ""
    if _AUTHORITY.fullmatch(host) is None:
        raise BadMessage(400, "a Host field that is no authority")
    if target[0] == "/" and method != "CONNECT":
        return target, host
    if method == "CONNECT":
        raise BadMessage(501, "no tunnels here")
    if target == "*" and method == "OPTIONS":
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or _AUTHORITY.fullmatch(absolute[1]) is None:
        raise BadMessage(400, "a target that is neither a path nor a URL")
    rest = absolute[2]
    if not rest:
        return ("*" if method == "OPTIONS" else "/"), absolute[1]
    return (rest if rest[0] == "/" else "/" + rest), absolute[1]


def parse_answer(head: bytes) -> tuple[int, str, str, Fields, Fields]:
    """(status, status line's rest after the version, version, fields, fields acted on) of an answer's head."""
    lines = _lines(head)
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise BadMessage(502, "not a status line")
    del lines[0]
    fields, acted_on = parse_fields(lines)
    return int(match[2]), match[0][9:], "1.1" if match[1] != "0" else "1.0", fields, acted_on


def answer_framing(acted_on: Fields, version: str, bodiless: bool) -> int | str:
    """An answer body's framing (RFC 9112 section 6.3): a length, "chunked" or "close"; stricter than a user agent's.

    Both framings at once, two lengths and codings other than chunked are BadMessage: the answer is not passed.
    """
    length: str | None = None
    coding: str | None = None
    for name, value in acted_on:
        if name == "content-length":
            if length is not None:
                raise BadMessage(502, "two lengths")
            length = value
        elif name == "transfer-encoding":
            coding = value.lower() if coding is None else f"{coding}, {value.lower()}"
    if coding is not None and (coding != "chunked" or length is not None or version == "1.0"):
        raise BadMessage(502, "a framing that is not plainly chunked")
    if length is not None and not (length.isascii() and length.isdigit() and len(length) <= 18):
        raise BadMessage(502, "a length that is no number")
    if bodiless:
        return 0
    if coding is not None:
        return "chunked"
    return "close" if length is None else int(length)


def keeps_alive(version: str, acted_on: Fields) -> bool:
    """Does the sender mean to keep the connection (RFC 9112 section 9.3)?"""
    keep = version == "1.1"
    for name, value in acted_on:
        if name == "connection":
            options = [option.strip().lower() for option in value.split(",")]
            if "close" in options:
                return False
            keep = keep or "keep-alive" in options
    return keep


def bare_line_feed(data: bytes | bytearray) -> bool:
    """Does a line of this unfinished head end without a CR? Then it would never be whole."""
    return data.count(b"\n") != data.count(b"\r\n")


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def own_answer(
    status: int,
    *,
    head_only: bool,
    close: bool,
    extra: Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
    content_type: str = "text/plain",
) -> bytes:
    """A whole answer of the balancer's own; without `body` a line that says the status."""
    bodiless = status in (204, 304)
    text = f"{status} {phrase(status)}\n".encode() if body is None else body
    head = [f"HTTP/1.1 {status} {phrase(status)}\r\n"]
    head.extend(f"{name}: {value}\r\n" for name, value in extra)
    if not bodiless:
        head.append(f"Content-Type: {content_type}\r\nContent-Length: {len(text)}\r\n")
    if close:
        head.append("Connection: close\r\n")
    head.append("\r\n")
    return "".join(head).encode("latin-1", "replace") + (b"" if head_only or bodiless else text)
