"""HTTP/1.1 heads as bytes: strict reading and plain writing (RFC 9112 sections 2 to 5). Pure.

One reader serves requests and answers. It is as strict as the RFC allows, since a balancer that forgives what its
backend reads differently is how one request becomes two: lines end in CRLF and nothing else, names are tokens that
touch their colon, no folded lines, no controls in values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import TypeVar

MAX_HEAD = 64 * 1024  # bytes, of a request's or an answer's head
MAX_TARGET = 32 * 1024  # bytes of a request target
MAX_FIELDS = 256

T = TypeVar("T")
Field = tuple[str, str]
Fields = list[Field]

_FIELD_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(r"https?://([^/?]+)(.*)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"})
_ACTED_ON = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect"})

# Most lines of most heads have been met before (Host, Accept, Server, ...): those cost one look-up, not a reading.
# What is remembered is bounded in number and size, and forgotten as a whole between two heads.
MAX_KNOWN = 1024
_MAX_KNOWN_LENGTH = 256


class BadMessage(Exception):  # noqa: N818  (a message, not a mistake of ours)
    """A head or a body that is not HTTP/1.1; `status` is what a client is told."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Known(dict[bytes, T]):
    """What was read before, by its bytes: `known[data]` reads what it misses, and remembers what is not too long."""

    def __init__(self, read: Callable[[bytes], T], longest: int) -> None:
        super().__init__()
        self._read = read
        self._longest = longest

    def __missing__(self, data: bytes) -> T:
        read = self._read(data)
        if len(data) <= self._longest:
            if len(self) >= MAX_KNOWN:
                self.clear()
            self[data] = read
        return read


# --- fields ----------------------------------------------------------------------------------------------------------


class _FieldLines(dict[str, Field]):
    """Line to field. Reads what it misses, and notes in `acted_on` which lines the shell acts on."""

    def __init__(self) -> None:
        self.acted_on: dict[str, Field] = {}  # line to field, its name in lower case

    def __missing__(self, line: str) -> Field:
        match = _FIELD_LINE.fullmatch(line)
        if match is None:
            raise BadMessage(400, "a line that is no field")
        name, value = match[1], match[2].rstrip(" \t")
        kind = name.lower()
        if kind in _ACTED_ON:
            if len(line) > _MAX_KNOWN_LENGTH * 2:
                raise BadMessage(431, f"a {name} field of more than {_MAX_KNOWN_LENGTH * 2} bytes")
            if kind == "host" and _AUTHORITY.fullmatch(value) is None:
                raise BadMessage(400, "a Host field that is no authority")
            self.acted_on[line] = (kind, value)
        elif len(line) > _MAX_KNOWN_LENGTH:
            return name, value
        self[line] = field = (name, value)
        return field


_known = _FieldLines()
_acted_on = _known.acted_on
_field = _known.__getitem__


def parse_fields(lines: Sequence[str]) -> tuple[Fields, Fields]:
    """(all fields in order, those that the shell acts on with their names in lower case)."""
    if len(lines) > MAX_FIELDS:
        raise BadMessage(431, f"more than {MAX_FIELDS} fields")
    if len(_known) > MAX_KNOWN:
        _known.clear()
        _acted_on.clear()
    return list(map(_field, lines)), list(filter(None, map(_acted_on.get, lines)))


def _closes(value: str) -> bool | None:
    """What a Connection field says: True close, False keep, None neither."""
    if value == "close":
        return True
    options = [option.strip(" \t").lower() for option in value.split(",")]
    if "close" in options:
        return True
    return False if "keep-alive" in options else None


# --- requests --------------------------------------------------------------------------------------------------------


class Section:
    """A request's fields as read, whatever request line they follow; shared by all requests that bring the same.

    `host` is the Host field (None: there is none); `framed`: a field speaks of a body; `closes`, `keeps`: Connection
    says so; `expects`: the client waits for 100 (Continue).
    """

    __slots__ = ("closes", "expects", "fields", "framed", "host", "keeps")

    def __init__(self, data: bytes, host_of: Callable[[Sequence[str]], str | None] = lambda _: None) -> None:
        """`data`: the field lines, CRLF between them; `host_of` says whose word counts where there are several Hosts.

        BadMessage says with which status to refuse.
        """
        fields, acted_on = parse_fields(data.decode("latin-1").split("\r\n") if data else ())
        self.fields = tuple(fields)
        self.host: str | None = None
        self.framed = self.closes = self.keeps = self.expects = False
        for name, value in acted_on:
            if name == "host":
                self.host = value if self.host is None else host_of((self.host, value))
                if self.host is None:
                    raise BadMessage(400, "two Host fields")
            elif name == "connection":
                said = _closes(value)
                self.closes = self.closes or said is True
                self.keeps = self.keeps or said is False
            elif name != "expect":
                self.framed = True
            elif value.lower() != "100-continue":
                raise BadMessage(417, "an expectation that is not known")
            else:
                self.expects = True


def parse_request(head: bytes, sections: Known[Section]) -> tuple[str, str, str, str, bool, Section]:
    """(method, target, host, version, keep_alive, section) of a request's head without its last empty line.

    The target is in origin form (RFC 9112 section 3.2); `host` is an absolute target's authority, or else the Host
    field; `version` is "1.0" or "1.1". BadMessage says with which status to refuse.
    """
    line, _, rest = head.partition(b"\r\n")
    method, target, version = _request_lines[line]
    section = sections[rest]
    host = section.host
    if host is None:
        if version == "1.1":
            raise BadMessage(400, "no Host field")
        host = ""
    if target[0] != "/" or method == "CONNECT":
        target, host = _origin_form(method, target, host)
    return method, target, host, version, not section.closes and (version == "1.1" or section.keeps), section


def known_sections(host_of: Callable[[Sequence[str]], str | None] = lambda _: None) -> Known[Section]:
    """To read requests with; `host_of` as of `Section`."""
    return Known(partial(Section, host_of=host_of), 1024)


def _request_line(line: bytes) -> tuple[str, str, str]:
    """(method, target, version)"""
    words = line.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise BadMessage(400, "not a request line")
    method, target, protocol = words
    if protocol != "HTTP/1.1" and protocol != "HTTP/1.0":
        known = re.fullmatch(r"HTTP/[0-9]\.[0-9]", protocol)
        raise BadMessage(505 if known else 400, "a version that is not HTTP/1.0 or HTTP/1.1")
    if method not in _METHODS and _TOKEN.fullmatch(method) is None:
        raise BadMessage(400, "a method that is no token")
    if len(target) > MAX_TARGET:
        raise BadMessage(414, f"a target of more than {MAX_TARGET} bytes")
    # visible ASCII, and no "#": a fragment is never sent
    if not (target and target.isascii() and target.isprintable()) or "#" in target:
        raise BadMessage(400, "a target with characters that have no place there")
    return method, target, protocol[5:]


_request_lines = Known(_request_line, _MAX_KNOWN_LENGTH)


def _origin_form(method: str, target: str, host: str) -> tuple[str, str]:
    """(target in origin form, host) of every other form; an absolute target's authority wins over Host."""
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


def bare_line_feed(data: bytes | bytearray) -> bool:
    """Does a line of this unfinished head end without a CR? Then it would never be whole."""
    return data.count(b"\n") != data.count(b"\r\n")


# --- answers ---------------------------------------------------------------------------------------------------------


def parse_answer(head: bytes) -> tuple[int, str, str, Fields, Fields]:
    """(status, status line's rest after the version, version, fields, fields acted on) of an answer's head."""
    line, *lines = head.decode("latin-1").split("\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessage(502, "not a status line")
    return (int(match[2]), line[9:], "1.0" if match[1] == "0" else "1.1", *parse_fields(lines))


def answer_framing(
    acted_on: Fields, version: str, speaks: Callable[[Sequence[str]], Sequence[str]] = tuple
) -> tuple[int | str, bool]:
    """(framing, keep_alive) of an answer with a body: a length, "chunked" or "close"; does it let its connection live?

    RFC 9112 section 6.3, and stricter than a user agent: both framings at once, two lengths and codings other than
    chunked are BadMessage, and the answer is not passed. `speaks` says which of several lengths are looked at.
    """
    lengths: list[str] = []
    coding: str | None = None
    keep_alive = version == "1.1"
    closes = False
    for name, value in acted_on:
        if name == "content-length":
            lengths.append(value)
        elif name == "transfer-encoding":
            coding = value.lower() if coding is None else f"{coding}, {value.lower()}"
        elif name == "connection" and value == "keep-alive":
            keep_alive = True
        elif name == "connection":
            said = _closes(value)
            closes = closes or said is True
            keep_alive = keep_alive or said is False
    keep_alive = keep_alive and not closes
    if len(lengths) > 1 and len(lengths := list(speaks(lengths))) > 1:
        raise BadMessage(502, "two lengths")
    length = lengths[0] if lengths else None
    if coding is not None:
        if coding != "chunked" or length is not None or version == "1.0":
            raise BadMessage(502, "a framing that is not plainly chunked")
        return "chunked", keep_alive
    if length is None:
        return "close", keep_alive
    if not (length.isascii() and length.isdigit() and len(length) <= 18):
        raise BadMessage(502, "a length that is no number")
    return int(length), keep_alive


# --- writing ---------------------------------------------------------------------------------------------------------


def written(first_line: str, fields: Sequence[Field]) -> bytes:
    """A whole head."""
    return f"{first_line}\r\n{lines(fields)}\r\n".encode("latin-1")


def lines(fields: Sequence[Field]) -> str:
    """The field lines of a head, each with its end."""
    return "".join([f"{name}: {value}\r\n" for name, value in fields])


def extended(head: bytes, fields: Sequence[Field]) -> bytes:
    """A written head with more fields at its end."""
    return b"%b%b\r\n" % (head[:-2], lines(fields).encode("latin-1"))


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
    extra: Sequence[Field] = (),
    body: bytes | None = None,
    content_type: str = "text/plain",
    length: bool | None = None,
) -> bytes:
    """A whole answer of the balancer's own; without `body` a line that says the status.

    `length`: is it said (None: where the status allows it)?
    """
    bodiless = status in (204, 304)
    text = f"{status} {phrase(status)}\n".encode() if body is None else body
    fields = list(extra)
    if length or (length is None and not bodiless):
        fields += [("Content-Type", content_type), ("Content-Length", str(0 if bodiless else len(text)))]
    if close:
        fields.append(("Connection", "close"))
    head = written(f"HTTP/1.1 {status} {phrase(status)}", fields)
    return head if head_only or bodiless else head + text
