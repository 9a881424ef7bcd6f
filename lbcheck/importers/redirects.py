"""A Location that holds parts of the request, as a redirect of the spec."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from lbcheck.importers.directive import Unreadable
from lbcheck.spec.model import Redirect

HOST, PATH, QUERY = "\x01", "\x02", "\x03"  # stand for a request's parts while the URL is cut


def redirect_to(text: str, code: int) -> Redirect:
    """The path as it is goes by `/#{path}`: the spec's `#{path}` comes without its slash."""
    absolute = re.match(r"(https?)://", text, re.IGNORECASE)
    if not absolute and not text.startswith(("/", PATH)):
        raise Unreadable(f"a Location that is relative to the path: {text!r}")
    rest = text[absolute.end() :] if absolute else ""
    host = re.match(r"[^/?\x02]*", rest)[0] if absolute else ""  # type: ignore[index]
    tail = rest[len(host) :] if absolute else text
    path, _, query = tail.partition("?")
    try:
        port = urlsplit(f"//{host.replace(HOST, 'h')}").port
    except ValueError:
        raise Unreadable(f"a Location without a port that is a number: {text!r}") from None
    name = host.rpartition(":")[0] if port else host
    scheme = absolute[1].upper() if absolute else "#{protocol}"
    usual = {"HTTP": "80", "HTTPS": "443"}.get(scheme, "#{port}")
    return Redirect(
        code,
        scheme,
        name.replace(HOST, "#{host}") if absolute else "#{host}",
        str(port) if port else usual,
        path.replace(PATH, "/#{path}").replace("//#{path}", "/#{path}") or "/",
        query.replace(QUERY, "#{query}"),
    )
