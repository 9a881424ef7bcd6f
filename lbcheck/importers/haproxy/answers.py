"""What HAProxy answers by itself: deny, return, redirect ("http-request"), and its pages (section 1.3.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lbcheck.importers.directive import Unreadable
from lbcheck.importers.redirects import HOST, PATH, QUERY, redirect_to
from lbcheck.spec.model import Redirect, Respond

# The pages built into HAProxy 2.6: title and text by status.
_PAGES = {
    200: ("OK", "Service ready."),
    400: ("Bad request", "Your browser sent an invalid request."),
    401: ("Unauthorized", "You need a valid user and password to access this content."),
    403: ("Forbidden", "Request forbidden by administrative rules."),
    404: ("Not Found", "The resource could not be found."),
    405: (
        "Method Not Allowed",
        "A request was made of a resource using a request method not supported by that resource",
    ),
    407: ("Unauthorized", "You need a valid user and password to access this content."),
    408: ("Request Time-out", "Your browser didn't send a complete request in time."),
    410: ("Gone", "The resource is no longer available and will not be available again."),
    413: ("Payload Too Large", "The request entity exceeds the maximum allowed."),
    425: ("Too Early", "Your browser sent early data."),
    429: ("Too Many Requests", "You have sent too many requests in a given amount of time."),
    500: ("Internal Server Error", "An internal server error occurred."),
    502: ("Bad Gateway", "The server returned an invalid or incomplete response."),
    503: ("Service Unavailable", "No server is available to handle this request."),
    504: ("Gateway Time-out", "The server didn't respond in time."),
}
_REST_OF_URI = ("%[capture.req.uri]", "%[url]", "%[pathq]", "%HU")
_HOSTS = (
    "%[req.hdr(host),host_only]",
    "%[hdr(host),host_only]",
    "%[req.hdr(host)]",
    "%[hdr(host)]",
    "%[base,field(1,/)]",
)
_PATHS = ("/%[path,bytes(1)]", "%[path]", "%HP", "%HPO")
_QUERY = "%[query]"


@dataclass(frozen=True, slots=True)
class Answer:
    action: Redirect | Respond
    rest: tuple[str, ...]  # the condition
    remark: str = ""


def page(status: int) -> Respond:
    """HAProxy's own page of that status."""
    if status not in _PAGES:
        raise Unreadable(f"HAProxy's page of status {status} is not known")
    title, text = _PAGES[status]
    return Respond(status, f"<html><body><h1>{status} {title}</h1>\n{text}\n</body></html>\n", "text/html")


def denied(words: Sequence[str]) -> Answer:
    """`deny [deny_status N]`: 403 where nothing is said."""
    if words[:1] != ["deny_status"]:
        if words and words[0] not in ("if", "unless"):
            raise Unreadable(f"deny with {words[0]}")
        return Answer(page(403), tuple(words))
    return Answer(page(int(words[1])), tuple(words[2:]))


def returned(words: Sequence[str]) -> Answer:
    """`return [status N] [content-type T] [string S | lf-string S]`: 200, and no body where none is given."""
    status, kind, body, remark, at = 200, "text/plain", "", "", 0
    while at < len(words) and words[at] not in ("if", "unless"):
        word, argument = words[at], "".join(words[at + 1 : at + 2])
        if word == "status":
            status = int(argument)
        elif word == "content-type":
            kind = argument
        elif word == "string" or (word == "lf-string" and "%" not in argument):
            body = argument
        elif word == "default-errorfiles":
            return Answer(page(status), tuple(words[at + 1 :]))
        elif word == "hdr":
            remark, at = "the header that it adds is no claim", at + 1
        else:
            raise Unreadable(f"an answer by {word}, which is known at run time only")
        at += 2
    if not 200 <= status <= 599:
        raise Unreadable(f"an answer of status {status}")
    return Answer(Respond(status, body, kind), tuple(words[at:]), remark)


def redirected(words: Sequence[str]) -> Answer:
    """`redirect location|prefix|scheme X`, with `code N` and `drop-query` in any order: 302 where no code is given."""
    code, kind, to, remark, at = 302, "", "", "", 0
    drop = False
    while at < len(words) and words[at] not in ("if", "unless"):
        word, argument = words[at], "".join(words[at + 1 : at + 2])
        at += 1 if word in ("drop-query", "append-slash", "ignore-empty") else 2
        if word == "code":
            code = int(argument)
        elif word in ("location", "prefix", "scheme"):
            kind, to = word, argument
        elif word == "drop-query":
            drop = True
        elif word in ("append-slash", "ignore-empty"):
            remark = f"{word} has no word in the spec"
        else:
            raise Unreadable(f"a redirect with {word}")
    if kind == "scheme":
        remark = remark or "a port in Host stays in the Location"
    return Answer(_redirect(kind, to, code, drop), tuple(words[at:]), remark)


def _redirect(kind: str, to: str, code: int, drop: bool) -> Redirect:
    query = "" if drop else "#{query}"
    if kind == "scheme":
        if to.lower() not in ("http", "https"):
            raise Unreadable(f"a redirect to the scheme {to}")
        return Redirect(code, to.upper(), port="443" if to.lower() == "https" else "80", query=query)
    if kind == "prefix":
        return _location(to.rstrip("/") + "%[path]" + ("" if drop else f"?{_QUERY}"), code)
    if kind != "location":
        raise Unreadable(f"a redirect by {kind}")
    return _location(to, code)


def _location(text: str, code: int) -> Redirect:
    """A Location with the request's parts in it, as log-format samples."""
    for whole in _REST_OF_URI:
        text = text.replace(whole, f"%[path]?{_QUERY}")
    for host in _HOSTS:
        text = text.replace(host, HOST)
    for path in _PATHS:
        text = text.replace(path, PATH)
    text = text.replace(_QUERY, QUERY)
    if re.search(r"%(?!%)", text.replace("%%", "")):
        raise Unreadable(f"a Location that is made of {text!r}")
    return redirect_to(text.replace("%%", "%"), code)
