"""Strings and regular expressions (PCRE) that nginx compares a part of a request with, as conditions of the spec."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbcheck.importers.directive import Unreadable
from lbcheck.spec.model import Conditions
from lbcheck.spec.syntax import CIDR, HOST_PATTERN, METHOD, PATH, PATH_PATTERN, REGEX, Syntax

_NESTLESS = re.compile(r"\((?:\?:)?([^()\\*+?\[\]]*(?:\|[^()\\*+?\[\]]*)+)\)(?![*+?{])")
_TOKEN = re.compile(r"\\([^A-Za-z0-9*?])|(\.\*)|(\.\+)|(\.)(?![*+?{])|([^\\^$*+?{}\[\]()|.])(?![*+?{])")
_IN_QUERY = re.compile(r"\(\^\|&\)(?P<key>[^=&()]+?)(?P<value>=.*?|\(=(?P<maybe>.*?)\)\?)\(&\|\$\)")
_MOST = 64  # globs of one expression


@dataclass(frozen=True, slots=True)
class Part:
    """Of a request: `kind` is a field of `Conditions`, or `args` for the whole query."""

    kind: str
    name: str = ""


_VARIABLES = {
    "host": Part("host"),
    "http_host": Part("host"),
    "request_method": Part("method"),
    "uri": Part("path"),
    "document_uri": Part("path"),
    "request_uri": Part("path"),
    "args": Part("args"),
    "query_string": Part("args"),
    "remote_addr": Part("source"),
    "binary_remote_addr": Part("source"),
    "realip_remote_addr": Part("source"),
}


def part_of(variable: str) -> Part | None:
    """Embedded variables (ngx_http_core_module); $http_NAME has dashes as underscores."""
    for prefix, kind in (("http_", "header"), ("cookie_", "cookie"), ("arg_", "query")):
        if variable.startswith(prefix) and variable not in _VARIABLES:
            name = variable.removeprefix(prefix)
            return Part(kind, "-".join(w.capitalize() for w in name.split("_")) if kind == "header" else name)
    return _VARIABLES.get(variable)


def equal(part: Part, text: str) -> Conditions | None:
    """Is it this text? None: it never is."""
    match part.kind:
        case "path":
            return exactly(text)
        case "host":
            return Conditions(host=(_checked(HOST_PATTERN, text),))
        case "method":
            return _methods((text,))
        case "source":
            return network(text)
        case "args":
            raise Unreadable("the whole query at once")
    if set(text) & set("*?"):
        raise Unreadable(f"{text!r}, of which * and ? would be wildcards in the spec")
    return _valued(part, (text,))


def present(part: Part) -> Conditions:
    """Is there anything in it?"""
    if part.kind in ("header", "cookie", "query"):
        return _valued(part, ("*",))
    if part.kind == "args":
        raise Unreadable("whether there is a query")
    return Conditions()


def found(part: Part, regex: str, *, fold: bool) -> Conditions | None:
    """Does the expression find something in it? None: it never does. `fold`: in either case (`~*`)."""
    if part.kind == "path":
        return found_in_path(regex, fold=fold)
    if part.kind == "args":
        return _in_query(regex)
    globs = globs_of(regex)
    if globs is None:
        raise Unreadable(f"{part.kind} {part.name} by {regex}".replace("  ", " "))
    if part.kind == "host":
        return Conditions(host=tuple(_checked(HOST_PATTERN, glob) for glob in globs))
    if part.kind == "method":
        return _methods(globs)
    if part.kind == "source":
        return Conditions(source=tuple(_network(glob) for glob in globs))
    return _valued(part, globs)


def exactly(path: str) -> Conditions:
    return Conditions(path_exact=(_checked(PATH, path),))


def network(text: str) -> Conditions:
    return Conditions(source=(_checked(CIDR, text),))


def begins(prefix: str) -> Conditions:
    """Paths that begin with this text, not by elements."""
    if prefix == "/":
        return Conditions()
    if set(prefix) & set("*?"):
        return Conditions(path_regex=(_checked(REGEX, f"^{re.escape(prefix)}"),))
    return Conditions(path=(_checked(PATH_PATTERN, f"{prefix}*"),))


def globs_of(regex: str) -> tuple[str, ...] | None:
    """The same as wildcards over the whole text; None where it takes more than literal text, `.`, `.*` and choices."""
    inner = re.fullmatch(r"\(\^\|, \)(.*)\(, \|\$\)", regex)  # one line among several that are joined
    alternatives = _alternatives(f"^{inner[1]}$" if inner else regex)
    globs = [_glob(one) for one in alternatives]
    return None if len(globs) > _MOST or None in globs else tuple(glob for glob in globs if glob is not None)


def as_re2(regex: str, *, fold: bool) -> str:
    """For `path_regex`; Unreadable where it is outside of what RE2 reads alike."""
    text = re.sub(r"\(\?<(?![=!])", "(?P<", regex).replace(r"\/", "/")
    if fold and not text.startswith("(?i)"):
        text = f"(?i){text}"
    return _checked(REGEX, text)


def _alternatives(regex: str) -> list[str]:
    group = _NESTLESS.search(regex)
    if group is None or (group.start() and regex[group.start() - 1] == "\\"):
        return [regex]
    head, tail = regex[: group.start()], regex[group.end() :]
    found = [one for choice in group[1].split("|") for one in _alternatives(f"{head}{choice}{tail}")]
    return found[: _MOST + 1]


def _glob(regex: str) -> str | None:
    start, end = regex.startswith("^"), bool(re.search(r"(?<!\\)\$$", regex))
    body = regex[1 if start else 0 : -1 if end else None]
    at, glob = 0, "" if start else "*"
    while at < len(body):
        token = _TOKEN.match(body, at)
        if token is None:
            return None
        glob += token[1] or (token[2] and "*") or (token[3] and "?*") or (token[4] and "?") or token[5]
        at = token.end()
    return re.sub(r"\*+", "*", glob if end else f"{glob}*")


def found_in_path(regex: str, *, fold: bool) -> Conditions:
    if fold or not regex.startswith("^"):
        globs = globs_of(regex) if not fold and regex.endswith("$") else None
        return Conditions(path=globs) if globs else Conditions(path_regex=(as_re2(regex, fold=fold),))
    by_element = re.fullmatch(r"\^(/.*)\((?:\?:)?(?:/\|\$|\$\|/)\)", regex)
    if by_element and (stem := _glob(f"^{by_element[1]}$")) and not set(stem) & set("*?"):
        return Conditions(path_prefix=(stem,))
    globs = globs_of(regex) or ()
    if regex == "^(/|$)":
        return Conditions(path_prefix=("/",))
    if globs and not any(set(glob) & set("*?") for glob in globs):
        return Conditions(path_exact=globs)
    whole = globs and all(glob.startswith(("/", "*")) for glob in globs)
    return Conditions(path=globs) if whole else Conditions(path_regex=(as_re2(regex, fold=False),))


def _in_query(regex: str) -> Conditions:
    asked = _IN_QUERY.fullmatch(regex)
    if not asked:
        raise Unreadable(f"the query by {regex}")
    if asked["maybe"] is not None:
        values: tuple[str, ...] | None = ("*",) if asked["maybe"] == "[^&]*" else None
    else:
        values = globs_of(f"^{asked['value'][1:].replace('[^&]*', '.*').replace('[^&]', '.')}$")
    key = _glob(f"^{asked['key']}$")
    if values is None or key is None:
        raise Unreadable(f"the query by {regex}")
    return Conditions(query=((key, values),))


def _methods(names: tuple[str, ...]) -> Conditions | None:
    """nginx answers 405 to TRACE and CONNECT before it looks for a server (ngx_http_process_request_header)."""
    met = tuple(_checked(METHOD, name) for name in names if name not in ("TRACE", "CONNECT"))
    return Conditions(method=met) if met else None


def _valued(part: Part, patterns: tuple[str, ...]) -> Conditions:
    return Conditions(**{part.kind: ((part.name, patterns),)})  # type: ignore[arg-type]


def _network(glob: str) -> str:
    """`^10\\.1\\.` as the network 10.1.0.0/16."""
    octets = glob.removesuffix("*").rstrip(".").split(".")
    if not glob.endswith(".*") or not all(octet.isdigit() for octet in octets) or len(octets) > 3:
        return _checked(CIDR, glob)
    return f"{'.'.join([*octets, *['0'] * (4 - len(octets))])}/{8 * len(octets)}"


def _checked(syntax: Syntax, text: str) -> str:
    if problem := syntax.refuses(text):
        raise Unreadable(f"{text!r}: {problem}")
    return text
