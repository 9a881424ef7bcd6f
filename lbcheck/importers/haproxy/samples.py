"""Samples and how they are matched (section 7) as conditions of the spec."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lbcheck.importers.conjunction import either
from lbcheck.importers.directive import Unreadable
from lbcheck.importers.rules import Choices
from lbcheck.spec.model import Conditions
from lbcheck.spec.regex import RegexError, parse
from lbcheck.spec.syntax import TOKEN

_SUFFIXES = ("_beg", "_end", "_sub", "_reg", "_dir", "_dom", "_len", "_cnt")
_SAMPLE = re.compile(
    r"(?P<name>[a-z0-9_.]+)(?:\((?P<argument>[^()]*)\))?(?P<converters>(?:,[a-z0-9_.]+(?:\([^()]*\))?)*)"
)
_FIELDS = {
    "path": "path",
    "pathq": "path",
    "url": "path",
    "uri": "path",
    "base": "",
    "method": "method",
    "src": "source",
}
_NAMED = {"hdr": "header", "fhdr": "header", "cook": "cookie", "url_param": "query", "urlp": "query"}
METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE")


@dataclass(frozen=True, slots=True)
class Sample:
    """`field` is a field of `Conditions`; `name` that of the header, key or cookie; `match` how values are compared."""

    field: str
    name: str
    match: str
    word: str
    folded: bool = False  # in lower case before it is compared

    @property
    def is_host(self) -> bool:
        return self.field == "header" and self.name.lower() == "host"


@dataclass(frozen=True, slots=True)
class Matched:
    choices: Choices
    remarks: tuple[str, ...] = ()


def sample(word: str) -> Sample:
    """Unreadable for what the spec has no condition for."""
    found = _SAMPLE.fullmatch(word)
    if not found:
        raise Unreadable(f"no condition of the spec looks at {word}")
    name, match = found["name"].removeprefix("req."), "str"
    suffix = next((s for s in _SUFFIXES if name.endswith(s)), "")
    if suffix:
        name, match = name.removesuffix(suffix), suffix[1:]
    argument = (found["argument"] or "").partition(",")[0]
    converters = [part for part in found["converters"].split(",") if part]
    field = _NAMED.get(name, "") if argument else _FIELDS.get(name, "")
    if not field or (name in ("pathq", "url", "uri") and match not in ("beg", "dir")):
        raise Unreadable(f"no condition of the spec looks at {word}")
    made = Sample(field, argument, match, word, folded="lower" in converters)
    if odd := [c for c in converters if not _harmless(c, made)]:
        raise Unreadable(f"the converter {odd[0]} has no word in the spec")
    if field in ("header", "cookie") and not TOKEN.fullmatch(argument):
        raise Unreadable(f"{argument!r} is no name of a {field}")
    return made


def _harmless(converter: str, of: Sample) -> bool:
    if of.is_host:
        return converter in ("lower", "host_only", "field(1") or converter.startswith(("field(1,:", ":)"))
    return (converter == "lower" and of.field == "header") or (converter.startswith("url_dec") and of.field == "query")


def matched(of: Sample, match: str, values: Sequence[str], *, fold: bool) -> Matched:
    """Any of the values, compared by `match` ("str", "beg", ...). `fold`: whatever their case (-i)."""
    fold = fold or of.folded
    if match == "found":
        if not of.name:
            raise Unreadable(f"-m found on {of.word}")
        return Matched((_named(of, ["*"]),))
    if not values:
        raise Unreadable("nothing to compare with")
    if of.field == "source":
        return Matched((Conditions(source=tuple(_network(value) for value in values)),))
    if of.field == "method":
        return Matched((Conditions(method=tuple(values)),))
    if of.field == "path":
        return Matched(_paths(of, match, values, fold))
    globs = tuple(glob for value in values for glob in _globs(match, value))
    remarks = () if fold or of.field != "header" else ("without -i, and the spec's values have no case",)
    if of.is_host:
        if "host_only" not in of.word and "field(1" not in of.word and match in ("str", "end", "reg"):
            remarks = (*remarks, "a Host with a port in it is not matched, and the spec's host is without")
        if match in ("str", "end"):
            remarks = (*remarks, "a Host with a final dot names the same host, and is not matched")
        return Matched((Conditions(host=tuple(glob.lower() for glob in globs)),), remarks)
    if fold and of.field != "header":
        raise Unreadable(f"-i on {of.word}: keys' and cookies' values have case in the spec")
    return Matched((_named(of, globs),), remarks)


def _named(of: Sample, patterns: Sequence[str]) -> Conditions:
    pairs = ((of.name, tuple(patterns)),)
    if of.is_host and patterns == ["*"]:
        return Conditions(host=("*",))
    return Conditions(**{of.field: pairs})  # type: ignore[arg-type]


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise Unreadable(f"{value} is no address") from None


# --- paths -----------------------------------------------------------------------------------------------------------


def _paths(of: Sample, match: str, values: Sequence[str], fold: bool) -> Choices:
    if of.word.split(",")[0].partition("_")[0] in ("url", "uri", "pathq") and any("?" in value for value in values):
        raise Unreadable("a pattern that reaches into the query")
    if fold and any(value.lower() != value.upper() for value in values):
        raise Unreadable("-i on the path: paths have case in the spec")
    return either(_path(match, value) for value in values)


def _path(match: str, value: str) -> Conditions:
    if match == "reg":
        glob = glob_of(value)
        fits = len(glob) == 1 and glob[0][:1] in ("/", "*", "?")
        return Conditions(path=glob) if fits else Conditions(path_regex=(_regex(value),))
    if match == "dir":
        stem = value.strip("/")
        return Conditions(path=(f"*/{stem}", f"*/{stem}/*"))
    if match == "str":
        if not value.startswith("/"):
            raise Unreadable(f"a path is never {value!r}")
        return Conditions(path_exact=(value,))
    if set(value) & set("*?"):
        shape = {"beg": "^{}", "end": "{}$", "sub": "{}"}.get(match)
        if shape:
            return Conditions(path_regex=(shape.format(re.escape(value)),))
    return _globbed(*_globs(match, value))


def _globbed(glob: str) -> Conditions:
    if glob.startswith("/") and not set(glob) & set("*?"):
        return Conditions(path_exact=(glob,))
    return Conditions(path=(glob,)) if glob[:1] in ("/", "*", "?") else Conditions(path_regex=(f"^{re.escape(glob)}",))


def _regex(value: str) -> str:
    try:
        parse(value)
    except RegexError as error:
        raise Unreadable(f"a regular expression beyond the spec's subset: {error}") from None
    return value


# --- patterns --------------------------------------------------------------------------------------------------------


def _globs(match: str, value: str) -> tuple[str, ...]:
    shapes: dict[str, Callable[[str], tuple[str, ...]]] = {
        "str": lambda text: (text,),
        "beg": lambda text: (f"{text}*",),
        "end": lambda text: (f"*{text}",),
        "sub": lambda text: (f"*{text}*",),
        "dom": lambda text: (text, f"{text}.*", f"*.{text}", f"*.{text}.*"),
    }
    if match == "reg":
        globs = glob_of(value)
        if not globs:
            raise Unreadable(f"the regular expression {value} is no pattern with * and ?")
        return globs
    if match not in shapes:
        raise Unreadable(f"-m {match} has no word in the spec")
    if set(value) & set("*?"):
        raise Unreadable(f"{value}: * and ? are wildcards in the spec")
    return shapes[match](value)


def glob_of(regex: str) -> tuple[str, ...]:
    """Patterns with * and ? that match what the expression does; () where there are none."""
    head, body = ("", regex[1:]) if regex.startswith("^") else ("*", regex)
    ended = body.endswith("$") and not body.endswith("\\$")
    body, tail = (body[:-1], "") if ended else (body, "*")
    body = body.removesuffix("\\.?")  # a host's final dot, which names the same host
    branches = re.fullmatch(r"\(([^()]*)\)([^()|]*)", body)
    bodies = [part + branches[2] for part in branches[1].split("|")] if branches else [body]
    globs = [_plain(part) for part in bodies]
    if any(glob is None for glob in globs):
        return ()
    return tuple(re.sub(r"\*+", "*", f"{head}{glob}{tail}") for glob in globs)


def _plain(body: str) -> str | None:
    """Literals, `.`, `.*` and `.+` alone."""
    glob, at = "", 0
    while at < len(body):
        found = re.compile(r"\.\*|\.\+|\.|\\([^A-Za-z0-9])|([^\\.^$*+?{}()\[\]|])").match(body, at)
        if not found or (body[found.end() : found.end() + 1] in ("*", "+", "?", "{") and found[0][:1] != "."):
            return None
        literal = found[1] or found[2]
        if literal and literal in "*?":
            return None
        glob += literal or {".*": "*", ".+": "?*", ".": "?"}[found[0]]
        at = found.end()
        if body[at : at + 1] in ("?", "{"):
            return None
    return glob
