"""Where a message ends: RFC 9112 section 6, read strictly. (`wire.py` refuses heads that are not HTTP/1.1 at all.)

Whatever two parsers could read differently is refused: that is what request smuggling lives on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

LARGEST_LENGTH_DIGITS = 18  # below 2**63 in every reader


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
