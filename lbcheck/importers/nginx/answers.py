"""What nginx answers by itself: `return`, its pages, and `rewrite` that redirects (ngx_http_rewrite_module)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbcheck.importers.directive import Unreadable
from lbcheck.importers.nginx.levels import Levels
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.variables import REFERENCE, Setting, alias, texts
from lbcheck.importers.redirects import HOST, PATH, QUERY, redirect_to
from lbcheck.spec.model import Redirect, Respond
from lbcheck.spec.syntax import MEDIA_TYPE

VERSION = "1.22.1"  # that its pages name, unless `server_tokens off`
REDIRECTS = (301, 302, 303, 307, 308)
CLOSED = 444  # "closes a connection without sending a response header"

# Of nginx 1.22: ngx_http_special_response.c.
_TITLES = {
    400: "Bad Request",
    401: "Authorization Required",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Not Allowed",
    406: "Not Acceptable",
    408: "Request Time-out",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    415: "Unsupported Media Type",
    416: "Requested Range Not Satisfiable",
    421: "Misdirected Request",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}
_HOSTS = {"host", "http_host"}
_PATHS = {"uri", "document_uri"}
_QUERIES = {"args", "query_string"}


@dataclass(frozen=True, slots=True)
class Answer:
    action: Redirect | Respond
    remark: str = ""


def page(status: int, levels: Levels) -> Answer:
    """nginx's own page; it names the version where `server_tokens` does not forbid it."""
    title = _TITLES.get(status)
    if title is None:
        return Answer(Respond(status, "", _media_type(levels)))
    tokens = levels.last("server_tokens")
    hidden = tokens is not None and tokens.words == ("off",)
    if tokens is not None:
        levels.ledger.understood(tokens.directive)
    name = "nginx" if hidden else f"nginx/{VERSION}"
    text = (
        f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {title}</h1></center>\r\n<hr><center>{name}</center>\r\n</body>\r\n</html>\r\n"
    )
    remark = "" if hidden else f"its page names nginx's version, here {VERSION}: `server_tokens off` keeps it out"
    return Answer(Respond(status, text, "text/html"), remark)


def returned(node: Node, levels: Levels, setting: Setting) -> Answer:
    """`return code [text]`, `return code URL` and `return URL`, which is 302."""
    words = node.words
    if len(words) == 1 and not words[0].isdigit():
        words = ("302", words[0])
    if not words or not words[0].isdigit() or len(words) > 2:
        raise Unreadable("expected a code, and a text or URL")
    status = int(words[0])
    if len(words) == 2 and status in REDIRECTS:
        return redirected(words[1], status, setting)
    if status == CLOSED:
        raise Unreadable("the connection is closed without an answer")
    if not 200 <= status <= 599:
        raise Unreadable(f"an answer of status {status}")
    if len(words) == 1 and status >= 400:
        return page(status, levels)
    body = _one(words[1], setting) if len(words) == 2 else ""
    return Answer(Respond(status, body, _media_type(levels)), _by_ending(levels) if body else "")


def redirected(text: str, status: int, setting: Setting) -> Answer:
    """What is not absolute gets the request's scheme, host and port (ngx_http_core_module, "absolute_redirect")."""
    remarks: list[str] = []
    whole = text.replace("$is_args$args", f"?{QUERY}").replace("$is_args$query_string", f"?{QUERY}")
    marked = REFERENCE.sub(lambda found: _mark(found[1] or found[2], setting, remarks), whole)
    if marked.count("?") > 1:  # `$uri?$args` and the like come to this with what the URI's own query has given
        raise Unreadable(f"a Location with two queries: {text}")
    return Answer(redirect_to(marked, status), "; ".join(remarks))


def _mark(name: str, setting: Setting, remarks: list[str]) -> str:
    if name in setting.known:
        return setting.known[name]
    if name in _HOSTS:
        if name == "http_host":
            remarks.append("a port in Host stays in the Location")
        return HOST
    if name == "request_uri":
        return f"{PATH}?{QUERY}"
    if name in _PATHS or alias(name, setting) == "path":
        return PATH
    if alias(name, setting) == "tail":
        return PATH
    if name in _QUERIES:
        return QUERY
    return _one(f"${name}", setting)


def _one(text: str, setting: Setting) -> str:
    found = texts(text, setting)
    if len(found) > 1:
        raise Unreadable(f"{text} differs from request to request")
    return found[0].value


def _media_type(levels: Levels) -> str:
    """`default_type`, by itself text/plain (ngx_http_core_module)."""
    node = levels.last("default_type")
    if node is None or not node.words:
        return "text/plain"
    if problem := MEDIA_TYPE.refuses(node.words[0]):
        levels.ledger.refused(node.directive, problem)
        return "text/plain"
    levels.ledger.understood(node.directive)
    return node.words[0]


def _by_ending(levels: Levels) -> str:
    """`types`, which has some by itself, goes before `default_type`; a path that is known may have no ending."""
    types = levels.last("types")
    if types is not None and not types.block:
        levels.ledger.understood(types.directive)
        return ""
    known = next((block.words[1] for block in levels.blocks if block.name == "location" and block.words[0] == "="), "")
    plain = known and "." not in known.rpartition("/")[2]
    return "" if plain else "the media type follows the path's ending where `types` knows it"


# --- rewrite ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rewriting:
    """`rewrite regex replacement [flag]`: a redirect where the flag or the replacement says so."""

    regex: str
    replacement: str
    flag: str

    @property
    def status(self) -> int | None:
        if self.flag == "permanent":
            return 301
        absolute = re.match(r"(https?://|\$scheme)", self.replacement)
        return 302 if self.flag == "redirect" or absolute else None

    @property
    def location(self) -> str:
        """The query is added unless the replacement ends with a question mark; a whole path in a group is $uri."""
        text = self.replacement
        if re.search(r"\$[1-9]", text):
            text = self._without_groups(text)
        if text.endswith("?"):
            return text.removesuffix("?")
        return f"{text}&$args" if "?" in text else f"{text}$is_args$args"

    def _without_groups(self, text: str) -> str:
        if re.fullmatch(r"\^?(\(\.\*\)|\(/\.\*\)|\(\.\+\))\$?", self.regex):
            return text.replace("$1", "$uri")
        if re.fullmatch(r"\^?/(\(\.\*\)|\(\.\+\))\$?", self.regex):
            return text.replace("/$1", "$uri")
        raise Unreadable(f"a redirect to a part of the path: {self.replacement}")


def rewriting(node: Node) -> Rewriting:
    if len(node.words) not in (2, 3):
        raise Unreadable("expected an expression, what comes in its place and perhaps a flag")
    flag = node.words[2] if len(node.words) == 3 else ""
    if flag not in ("", "last", "break", "redirect", "permanent"):
        raise Unreadable(f"{flag}: not known")
    return Rewriting(node.words[0], node.words[1], flag)
