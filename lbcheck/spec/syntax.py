"""What the fields of the model may hold, as annotations: units, ranges, syntaxes, and how a list is written down.

The model's own types carry these marks, and the loader, the documents and the JSON Schema read them: one list for all.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from lbcheck.spec.regex import RegexError, parse

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: names of headers, methods and cookies
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
FAILURES = ("connect", "reset", "timeout")


@dataclass(frozen=True, slots=True)
class Range:
    low: int
    high: int | None = None

    def __str__(self) -> str:
        if self.low == self.high:
            return f"that is {self.low}"
        return f"of at least {self.low}" if self.high is None else f"between {self.low} and {self.high}"


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds in code, text with a unit in lb.yaml, a number of seconds in JSON documents.

    `of_work`: what work may take, on whatever clock; all others pass on the balancer's own.
    """

    positive: bool = False
    of_work: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """0..1 in code and in JSON documents, per cent in lb.yaml."""


@dataclass(frozen=True, slots=True)
class Syntax:
    """A text with a grammar. `refuses` gives "" for a right one, else what was expected."""

    noun: str
    refuses: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Among:
    """Only these members of an enumeration."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Called:
    """Items of a list are told apart by this field in paths (`backends.a`, `rules.10`); a bare text stands for
    `scalar`.
    """

    field: str
    scalar: str = ""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A list of records that is written as a mapping whose keys are this field."""

    field: str


@dataclass(frozen=True, slots=True)
class Silence:
    """The word that may be written for None."""

    word: str


@dataclass(frozen=True, slots=True)
class Says:
    """One sentence about the field, for the schema and for editors."""

    text: str


# --- syntaxes --------------------------------------------------------------------------------------------------------


def _fullmatch(noun: str, pattern: str) -> Syntax:
    compiled = re.compile(pattern)
    return Syntax(noun, lambda text: "" if compiled.fullmatch(text) else f"expected {noun}")


def _refuses_regex(text: str) -> str:
    try:
        parse(text)
    except RegexError as error:
        return f"expected a regular expression of the RE2 subset, found {error}"
    return ""


def _refuses_cidr(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return f"expected an address or a network such as 10.0.0.0/8 ({error})"
    return ""


def _refuses_address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        return "expected host:port with a port between 1 and 65535, such as 127.0.0.1:9001"
    if bracketed and _is_ipv6(host[1:-1]):
        return ""
    return "" if _is_hostname(host) else "expected host:port, such as 127.0.0.1:9001 or [::1]:9001"


def _refuses_listen(text: str) -> str:
    return "" if _is_ipv6(text) or _is_hostname(text) else "expected an address to listen on, without a port"


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _is_hostname(text: str) -> bool:
    if re.fullmatch(r"[0-9.]+", text):
        return bool(re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", text)) and all(int(x) < 256 for x in text.split("."))
    return len(text) < 254 and all(re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})", x) for x in text.split("."))


def _refuses_codes(text: str) -> str:
    for part in text.split(","):
        bounds = re.fullmatch(r"\s*([0-9]{1,3})(?:-([0-9]{1,3}))?\s*", part)
        if not bounds:
            return 'expected status codes such as "200", "200-299" or "200-299,301"'
        low, high = int(bounds[1]), int(bounds[2] or bounds[1])
        if high < low or high > 599:
            return f"expected a rising range of codes of at most 599, found {part.strip()}"
    return ""


def _refuses_hash_key(text: str) -> str:
    if text in ("source_ip", "path"):
        return ""
    kind, _, name = text.partition(":")
    if kind in ("header", "cookie") and TOKEN.fullmatch(name):
        return ""
    return "" if kind == "query" and name else "expected source_ip, path, header:NAME, cookie:NAME or query:NAME"


def _refuses_failure(text: str) -> str:
    if text in FAILURES or text in ("4xx", "5xx") or re.fullmatch(r"[45][0-9]{2}", text):
        return ""
    return "expected connect, reset, timeout, 5xx or a status code of 400 or more"


def _refuses_web_port(text: str) -> str:
    right = text == "#{port}" or (re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535)
    return "" if right else "expected a port between 1 and 65535 or #{port}"


LINE = _fullmatch("one line of text without control characters", r"[^\x00-\x1f\x7f]*")
WEB_PROTOCOL = _fullmatch("HTTP, HTTPS or #{protocol}", r"(?i:https?)|#\{protocol\}")
WEB_PORT = Syntax("a port or #{port}", _refuses_web_port)
NEW_HOST = _fullmatch("a host without port, #{host} in it or not", r"([A-Za-z0-9._-]|\[[0-9a-fA-F:.]+\]|#\{host\})+")
NEW_PATH = _fullmatch("a path that starts with /, in which #{path} and others may stand", r"/[!->@-~]*")
NEW_QUERY = _fullmatch("a query without ?, in which #{query} and others may stand", r"[!-~]*")
MEDIA_TYPE = _fullmatch("a media type such as text/plain", r"[A-Za-z0-9.+*-]+/[A-Za-z0-9.+*-]+( *;[ -~]+)?")
HOST = _fullmatch("a host, with a port if need be", r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9a-fA-F:.]+\](:[0-9]+)?")
CERTIFICATE_NAME = _fullmatch("a host's name or *.name", r"(\*\.)?[A-Za-z0-9._-]+")
PATH = _fullmatch("a path that starts with /", r"/[^\s#?\x00-\x1f\x7f]*")
PATH_PATTERN = _fullmatch("a path pattern that starts with / or *", r"[/*?][^\s#\x00-\x1f\x7f]*")
PROBE_PATH = _fullmatch("a path that starts with /, with a query or not", r"/[^\s#\x00-\x1f\x7f]*")
NAME_SYNTAX = _fullmatch("a name of letters, digits, - and _", r"[A-Za-z0-9_][A-Za-z0-9_-]*")
OPTIONAL_NAME = _fullmatch("a name of letters, digits, - and _, or nothing", r"([A-Za-z0-9_][A-Za-z0-9_-]*)?")
BACKEND_NAME = _fullmatch("a name of letters, digits and - _ . : [ ]", r"[A-Za-z0-9_\[][A-Za-z0-9_.:\[\]-]*")
METHOD = _fullmatch("a method such as GET", r"[A-Z][A-Z-]*")
COOKIE = Syntax("a cookie's name", lambda text: "" if TOKEN.fullmatch(text) else "expected a cookie's name (a token)")
HEADER = Syntax("a header's name", lambda text: "" if TOKEN.fullmatch(text) else "expected a header's name (a token)")
HOST_PATTERN = _fullmatch("a host pattern without port, such as *.example.com", r"[A-Za-z0-9.*?_-]+")
REGEX = Syntax("a regular expression of the RE2 subset, searched for", _refuses_regex)
CIDR = Syntax("an address or a network", _refuses_cidr)
ADDRESS = Syntax("host:port", _refuses_address)
LISTEN = Syntax("an address to listen on", _refuses_listen)
CODES = Syntax("status codes and ranges", _refuses_codes)
HASH_KEY = Syntax("what is hashed", _refuses_hash_key)
FAILURE = Syntax("a kind of failure", _refuses_failure)
