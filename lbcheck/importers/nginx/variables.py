"""Variables: `map`, `geo`, `split_clients`, `set`, and those that nginx has by itself, as cases over requests.

A map looks for exact strings first, ignoring case, then for expressions in order, then takes its default; an empty
value meets no expression (ngx_http_map_module). A geo takes the most specific network (ngx_http_geo_module).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from lbcheck.importers.conjunction import ALWAYS
from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.nginx import patterns
from lbcheck.importers.nginx.cases import Case, Cases, Lot, always, decided, simplified
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.patterns import Part
from lbcheck.spec.model import Conditions

REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
BLOCKS = ("map", "geo", "split_clients")
WORDS = ("default", "hostnames", "volatile", "ranges", "proxy", "proxy_recursive", "delete", "include")
PATH_AS_SENT = re.compile(r"~\^\(\?<(\w+)>\[\^\?\]\*\)")  # of $request_uri, without the query
TAIL_AS_SENT = re.compile(r"~\^/\(\?<(\w+)>\[\^\?\]\*\)")  # the same without its first slash
DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Setting:
    """`blocks`: variable -> its map, geo or split_clients. `known`: those that `set` or the listener give a text."""

    blocks: Mapping[str, Node]
    ledger: Ledger
    known: Mapping[str, str] = field(default_factory=dict)
    depth: int = 0

    def knowing(self, name: str, text: str) -> Setting:
        return replace(self, known={**self.known, name: text})

    @property
    def deeper(self) -> Setting:
        if self.depth >= DEEPEST:
            raise Unreadable("variables that are made of each other")
        return replace(self, depth=self.depth + 1)


def blocks_of(http: Node) -> dict[str, Node]:
    """By name; of two blocks for one variable nginx takes the later."""
    found: dict[str, Node] = {}
    for node in http.children(*BLOCKS):
        if node.words and node.words[-1].startswith("$"):
            found[node.words[-1][1:]] = node
    return found


def source_of(node: Node) -> str:
    """What a block looks at: a geo without a word the client's address."""
    return node.words[0] if len(node.words) > 1 else "$remote_addr"


def alias(name: str, setting: Setting) -> str:
    """`path` and `tail` for maps that cut these out of $request_uri, else ""."""
    node = setting.blocks.get(name)
    if node is None or node.name != "map" or source_of(node) != "$request_uri" or len(node.block or ()) != 1:
        return ""
    (line,) = node.block or ()
    for kind, shape in (("path", PATH_AS_SENT), ("tail", TAIL_AS_SENT)):
        cut = shape.fullmatch(line.name)
        if cut and line.words == (f"${cut[1]}",):
            used(node, setting.ledger)
            return kind
    return ""


def used(node: Node, ledger: Ledger) -> None:
    for one in (node, *(node.block or ())):
        ledger.understood(one.directive)
    ledger.understood(node.directive, asked_loosely(node.directive))


def asked_loosely(line: Directive) -> str:
    """How $arg_NAME and $cookie_NAME differ from the spec's keys and cookies, where a line asks for them."""
    if not re.search(r"\$\{?(arg|cookie)_", str(line)):
        return ""
    return "the name is asked for in either case, the first of several counts, and a value is taken as it was sent"


# --- what a text comes to --------------------------------------------------------------------------------------------


def texts(text: str, setting: Setting) -> Cases[str]:
    """Every text that it can be; Unreadable where it holds a part of the request or is drawn."""
    return decided(_parts(text, setting), lambda whole: whole)


def text_or_lot(text: str, setting: Setting) -> Cases[str | Lot]:
    """The same, where one variable alone may be drawn."""
    whole = REFERENCE.fullmatch(text)
    name = whole and (whole[1] or whole[2])
    node = setting.blocks.get(name) if name else None
    if node is None or name in setting.known:
        return tuple(Case(case.when, case.value) for case in texts(text, setting))
    if node.name == "split_clients":
        used(node, setting.ledger)
        return always(_lot(node, setting))
    cases: list[Case[str | Lot]] = []
    for case in _looked_up(node, setting):
        inner = text_or_lot(case.value, setting.deeper)
        if len(inner) > 1:
            raise Unreadable(f"{case.value} in ${name}")
        cases.append(Case(case.when, inner[0].value))
    return simplified(cases)


def holds(text: str, setting: Setting) -> Cases[bool]:
    """`if ($variable)`: false where it is empty or "0" (ngx_http_rewrite_module, "if")."""
    part = _request_part(text, setting)
    if part is not None:
        return _with_part(patterns.present(part))
    return decided(_parts(text, setting), lambda whole: whole not in ("", "0"))


def compared(text: str, sign: str, other: str, setting: Setting) -> Cases[bool]:
    """`=` compares with case, `~` searches, `~*` searches in either case."""
    part = _request_part(text, setting)
    if part is not None and other == "" and sign == "=":
        return tuple(Case(case.when, not case.value) for case in _with_part(patterns.present(part)))
    if part is not None:
        met = patterns.equal(part, other) if sign == "=" else patterns.found(part, other, fold=sign == "~*")
        return _with_part(met)
    if sign == "=":
        return decided(_parts(text, setting), lambda whole: whole == other)
    regex = _expression(other, fold=sign == "~*")
    return decided(_parts(text, setting), lambda whole: bool(regex.search(whole)))


def _with_part(met: Conditions | None) -> Cases[bool]:
    if met is None:
        return always(False)
    return always(True) if met == ALWAYS else (Case(met, True), Case(ALWAYS, False))


def _expression(text: str, *, fold: bool) -> re.Pattern[str]:
    try:
        return re.compile(patterns.as_re2(text, fold=False), re.ASCII | (re.IGNORECASE if fold else 0))
    except re.error as error:
        raise Unreadable(f"the expression {text}: {error}") from None


def _parts(text: str, setting: Setting) -> list[Cases[str]]:
    found: list[Cases[str]] = []
    at = 0
    for reference in REFERENCE.finditer(text):
        if reference.start() > at:
            found.append(always(text[at : reference.start()]))
        found.append(_variable(reference[1] or reference[2], setting.deeper))
        at = reference.end()
    return [*found, always(text[at:])] if at < len(text) else found


def _variable(name: str, setting: Setting) -> Cases[str]:
    if name in setting.known:
        return always(setting.known[name])
    node = setting.blocks.get(name)
    if node is None or alias(name, setting):
        raise Unreadable(f"${name}, which is known at run time only")
    if node.name == "split_clients":
        raise Unreadable(f"${name}, which is drawn")
    return simplified(
        [
            Case(case.when, inner.value)
            for case in _looked_up(node, setting)
            for inner in _only(texts(case.value, setting), name)
        ]
    )


def _only(cases: Cases[str], name: str) -> Cases[str]:
    if len(cases) > 1:
        raise Unreadable(f"${name}, whose values are other variables")
    return cases


def _request_part(text: str, setting: Setting) -> Part | None:
    """The part of the request that a text is and nothing else."""
    whole = REFERENCE.fullmatch(text)
    if not whole or (name := whole[1] or whole[2]) in setting.known:
        return None
    if alias(name, setting) == "path":
        return Part("path")
    return None if name in setting.blocks else patterns.part_of(name)


# --- map, geo, split_clients -----------------------------------------------------------------------------------------


def _looked_up(node: Node, setting: Setting) -> Cases[str]:
    used(node, setting.ledger)
    lines = _lines(node, setting.ledger)
    default = next((line.words[0] for line in lines if line.name == "default"), "")
    entries = [line for line in lines if line.name not in WORDS]
    source = source_of(node)
    part = _request_part(source, setting)
    if node.name == "geo":
        return _networks(entries, default, part or Part(""))
    if part is None:
        return decided(_parts(source, setting), lambda text: _entry(text, entries, default))
    hostnames = any(line.name == "hostnames" for line in lines)
    return _by_part(part, entries, default, hostnames)


def _lines(node: Node, ledger: Ledger) -> list[Node]:
    """Those that have the right number of words."""
    found = []
    for line in node.block or ():
        name = line.name
        if name in ("hostnames", "volatile") and not line.words and node.name == "map":
            found.append(line)
        elif name in WORDS[2:] and name != "default":
            ledger.refused(line.directive, f"{name}: the {node.name} is looked up in another way")
        elif len(line.words) != 1 or line.block is not None:
            ledger.refused(line.directive, "not known: expected a value and what it comes to")
        else:
            found.append(line)
    return found


def _by_part(part: Part, entries: Sequence[Node], default: str, hostnames: bool) -> Cases[str]:
    exact = [line for line in entries if not line.name.startswith("~") and line.name != ""]
    regexes = [line for line in entries if line.name.startswith("~")]
    empty = [line.words[0] for line in entries if line.name == ""]
    found: list[Case[str]] = []
    for line in sorted(exact, key=lambda line: _rank(line.name) if hostnames else (0, 0)):
        for met in _named(part, line.name.removeprefix("\\"), hostnames):
            found += [Case(met, line.words[0])] if met else []
    for line in regexes:
        fold = line.name.startswith("~*")
        one = patterns.found(part, line.name.lstrip("~").removeprefix("*"), fold=fold)
        found += [Case(one, line.words[0])] if one else []
    if empty:
        found.append(Case(patterns.present(part), default))
    return simplified([*found, Case(ALWAYS, empty[0] if empty else default)])


def _rank(name: str) -> tuple[int, int]:
    """Exact names, then `*.x` by length, then `x.*` by length ("hostnames")."""
    if name.startswith(("*.", ".")):
        return 1, -len(name)
    return (2, -len(name)) if name.endswith(".*") else (0, 0)


def _named(part: Part, name: str, hostnames: bool) -> list[Conditions | None]:
    if hostnames and part.kind == "host":
        return [patterns.equal(part, one) for (one,) in host_patterns(name)]
    return [patterns.equal(part, name)]


def host_patterns(name: str) -> list[tuple[str, ...]]:
    """`.x` is x and *.x."""
    return [(name[1:],), (f"*{name}",)] if name.startswith(".") else [(name,)]


def _entry(text: str, entries: Sequence[Node], default: str) -> str:
    for line in entries:
        if not line.name.startswith("~") and line.name.removeprefix("\\").lower() == text.lower():
            return line.words[0]
    for line in entries if text else ():
        if line.name.startswith("~"):
            fold = line.name.startswith("~*")
            if _expression(line.name.lstrip("~").removeprefix("*"), fold=fold).search(text):
                return line.words[0]
    return default


def _networks(entries: Sequence[Node], default: str, part: Part) -> Cases[str]:
    if part.kind != "source":
        raise Unreadable("a geo of anything but the client's address")
    try:
        networks = [(ipaddress.ip_network(line.name, strict=False), line) for line in entries]
    except ValueError as error:
        raise Unreadable(str(error)) from None
    ordered = sorted(networks, key=lambda pair: -pair[0].prefixlen)
    cases = [Case(Conditions(source=(str(network),)), line.words[0]) for network, line in ordered]
    return simplified([*cases, Case(ALWAYS, default)])


def _lot(node: Node, setting: Setting) -> Lot:
    """Shares in hundredths of a per cent; `*` is the rest (ngx_http_split_clients_module)."""
    shares: list[tuple[str, Fraction]] = []
    for line in _lines(node, setting.ledger):
        share = re.fullmatch(r"([0-9]+(?:\.[0-9]{1,2})?)%", line.name)
        if line.name != "*" and not share:
            raise Unreadable(f"a share of {line.name}")
        left = 1 - sum((part for _, part in shares), Fraction(0))
        shares.append((line.words[0], Fraction(share[1]) / 100 if share else left))
    if sum((part for _, part in shares), Fraction(0)) != 1:
        raise Unreadable("shares that leave some requests without a value")
    return Lot(tuple(shares))


def constant(text: str, setting: Setting, at: Directive) -> str:
    """The one text that it can be."""
    found = texts(text, setting)
    if len(found) > 1:
        raise Unreadable(f"{text} differs from request to request ({at.at})")
    return found[0].value
