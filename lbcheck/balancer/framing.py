"""Where a message ends and which heads are refused: RFC 9112 sections 3, 5 and 6, read strictly.

Whatever two parsers could read differently is refused: that is what request smuggling lives on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_HEAD = re.compile(
    rb"%b++ [\x21\x22\x24-\x7e]++ HTTP/1\.[01]\r\n(?:%b++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n" % (_TOKEN, _TOKEN)
)
_VERSION = re.compile(rb"[^\r\n]* HTTP/[0-9]\.[0-9]\r\n")
_OWN_VERSION = re.compile(rb"[^\r\n]* HTTP/1\.[01]\r\n")

LARGEST_LENGTH_DIGITS = 18  # below 2**63 in every reader


def acceptable_head(head: bytes) -> int | None:
    """The status to refuse raw head bytes with, or None; `head` ends with its empty line.

    Sees what parsers hide: obs-fold, bare CR or LF, whitespace around the name, control characters, other versions.
    """
    if _HEAD.fullmatch(head):
        return None
    if _VERSION.match(head) and not _OWN_VERSION.match(head):
        return 505
    return 400


def acceptable(method: str, target: str, version: str, headers: Sequence[tuple[str, str]]) -> int | None:
    """The status to refuse a parsed head with, or None: target form, exactly one Host, framing."""
    if method == "CONNECT":
        return 501
    if not (target.startswith(("/", "http://", "https://")) or (target == "*" and method == "OPTIONS")):
        return 400
    hosts = [value for name, value in headers if name.lower() == "host"]
    if len(hosts) > 1 or (not hosts and not version.endswith("1.0")) or (hosts and not _plain_host(hosts[0])):
        return 400
    return None if framing(headers, version) is not None else 400


def _plain_host(host: str) -> bool:
    return not any(c in host for c in "/?#@, \t\\")


def framing(headers: Sequence[tuple[str, str]], version: str) -> int | Literal["chunked"] | None:
    """A request body's length, "chunked", or None for a message to refuse with 400 (RFC 9112 section 6.3).

    Refused: Content-Length beside Transfer-Encoding, a second Content-Length even of the same value, a list of lengths,
    anything but digits, more digits than every reader holds, any coding but exactly `chunked`, one in HTTP/1.0.
    """
    length: str | None = None
    coding: str | None = None
    for name, value in headers:
        size = len(name)
        if size == 14 and name.lower() == "content-length":
            if length is not None:
                return None
            length = value.strip(" \t")
        elif size == 17 and name.lower() == "transfer-encoding":
            if coding is not None:
                return None
            coding = value.strip(" \t").lower()
    if coding is not None:
        return "chunked" if coding == "chunked" and length is None and not version.endswith("1.0") else None
    if length is None:
        return 0
    return int(length) if length.isascii() and length.isdigit() and len(length) <= LARGEST_LENGTH_DIGITS else None


BODILESS = frozenset({204, 304})


def body_expected(method: str, status: int) -> bool:
    """Does an answer of this status to this method have a body? (RFC 9112 section 6.3, items 1 and 2)"""
    return not (method == "HEAD" or status < 200 or status in BODILESS)
