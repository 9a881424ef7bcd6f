"""What claims look at in a request and an answer."""

from __future__ import annotations

_HEADERS = """
    host cookie set-cookie connection upgrade content-length transfer-encoding location lbcheck-id te trailer
    content-type keep-alive proxy-connection
"""

HEADERS_OF_CLAIMS = frozenset(_HEADERS.split())
