"""A listener's rules in Apache httpd's words. Citations are to httpd.apache.org/docs/2.4, by module.

Rules are mod_rewrite's, in the server's context: what was sent is kept in variables, the first rule whose conditions
hold names itself in another, and what follows asks for that one. Paths are taken from `%{THE_REQUEST}`, the only
variable that is not decoded. An answer of one's own is a `Redirect` with its status in a location that only these rules
reach.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from lbcheck.spec.model import Action, Conditions, Forward, Listener, Redirect, Respond, Rewrite, Rule
from lbcheck.targets.template import in_order, pattern_regex

DEFAULT_PORT = {"http": "80", "https": "443"}  # left out of a Location
PATH, TAIL, HOST, RULE = "LB_PATH", "LB_TAIL", "LB_HOST", "LB_RULE"
HEX_DIGITS = 8  # of a digest, to draw with
_PLACEHOLDER = re.compile(r"#\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Block:
    """`<head>`, lines, and its end."""

    head: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Routing:
    """`lines` and then `blocks` stand in the virtual host."""

    lines: list[str]
    blocks: list[Block]


def quoted(word: str) -> str:
    """One argument: between double quotes a backslash stands before quotes and itself ("Configuration Files")."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def rewriting(word: str) -> str:
    """An argument of mod_rewrite, which takes all up to the next quote as it is; `limits` sees to words with both."""
    return f"'{word}'" if '"' in word else f'"{word}"'


def forwarded_pools(listener: Listener) -> list[str]:
    actions = [*(rule.then for rule in in_order(listener.rules)), listener.default]
    return list(dict.fromkeys(pool for action in actions for pool, _ in weighted(action)))


def weighted(action: Action) -> list[tuple[str, int]]:
    return [(pool, weight) for pool, weight in action.pools if weight > 0] if isinstance(action, Forward) else []


def routing(listener: Listener) -> Routing:
    default = weighted(listener.default)
    if not listener.rules and len(default) == 1:
        # nocanon: the path goes on as it came (mod_proxy, "Additional ProxyPass Keywords").
        return Routing([f"ProxyPass / balancer://{default[0][0]}/ nocanon"], [])
    rules = in_order(listener.rules)
    lines = ["RewriteEngine On", *_sent()]
    lines += [line for rule in rules for line in _chosen(rule)]
    lines += [line for rule in rules for line in _acted(rule.then, rule.rewrite, listener, rule.priority)]
    lines += _acted(listener.default, None, listener, 0)
    numbered = [*((rule.priority, rule.then) for rule in rules), (0, listener.default)]
    return Routing(lines, [_answer(number, then) for number, then in numbered if isinstance(then, Respond)])


def _sent() -> Iterator[str]:
    yield r'RewriteCond %{THE_REQUEST} "^\S+ (/?([^? ]*))"'
    yield f"RewriteRule ^ - [E={PATH}:%1,E={TAIL}:%2,E={RULE}:0]"
    yield "RewriteMap lower int:tolower"
    yield r'RewriteCond %{HTTP_HOST} "^(\[[^\]]*\]|[^:]*?)\.?(:[0-9]*)?$"'
    yield f"RewriteRule ^ - [E={HOST}:${{lower:%1}}]"


# --- conditions ------------------------------------------------------------------------------------------------------


def _chosen(rule: Rule) -> Iterator[str]:
    yield f"RewriteCond %{{ENV:{RULE}}} =0"
    yield from _conditions(rule.when)
    yield f"RewriteRule ^ - [E={RULE}:{rule.priority}]"


def _conditions(when: Conditions) -> Iterator[str]:
    path = f"%{{ENV:{PATH}}}"
    if when.path:
        yield _condition(path, _whole(when.path))
    if when.path_prefix:
        yield _condition(path, [f"^{re.escape(value.rstrip('/'))}(/|$)" for value in when.path_prefix])
    if when.path_exact:
        yield _condition(path, [f"^{re.escape(value)}$" for value in when.path_exact])
    if when.path_regex:
        yield _condition(path, when.path_regex)
    if when.host:
        yield _condition(f"%{{ENV:{HOST}}}", [rf"^{pattern_regex(v.rstrip('.'))}\.?$" for v in when.host], fold=True)
    if when.method:
        yield _condition("%{REQUEST_METHOD}", [f"^{re.escape(method)}$" for method in when.method])
    for header, values in when.header:
        yield _condition(f"%{{HTTP:{header}}}", [_among(value, ", ", ".") for value in values], fold=True)
    for key, values in when.query:
        yield _condition("%{QUERY_STRING}", [_named(key, value, "&") for value in values])
    for cookie, values in when.cookie:
        yield _condition("%{HTTP_COOKIE}", [_named(cookie, value, ";,") for value in values])
    if when.source:
        within = " || ".join(f"-R '{network}'" for network in when.source)
        yield f"RewriteCond expr {rewriting(within)}"


def _condition(tested: str, regexes: Sequence[str], *, fold: bool = False) -> str:
    """A pattern that begins with another word of RewriteCond's than its regular expressions' would mean that."""
    joined = regexes[0] if len(regexes) == 1 else "|".join(f"({regex})" for regex in regexes)
    within = joined.replace('"', "\\x22")
    return f'RewriteCond {tested} "({within})"' + " [NC]" * fold


def _whole(patterns: Sequence[str]) -> list[str]:
    return [f"^{pattern_regex(pattern)}$" for pattern in patterns]


def _among(pattern: str, separator: str, character: str) -> str:
    """As the whole of any line of a repeated header: lines are joined. A line that is not there is empty."""
    if set(pattern) == {"*"}:
        return "."
    return f"(^|{separator}){_value(pattern, character)}({separator}|$)"


def _named(name: str, pattern: str, separators: str) -> str:
    value = _value(pattern, f"[^{separators}]")
    equals = f"(={value})?" if set(pattern) == {"*"} and separators == "&" else f"={value}"
    space = " *" if separators != "&" else ""
    return f"(^|[{separators}]){space}{re.escape(name)}{equals}{space}([{separators}]|$)"


def _value(pattern: str, character: str) -> str:
    return "".join({"*": f"{character}*", "?": character}.get(c) or re.escape(c) for c in pattern)


# --- actions ---------------------------------------------------------------------------------------------------------


def _acted(action: Action, rewrite: Rewrite | None, listener: Listener, number: int) -> Iterator[str]:
    chosen = f"RewriteCond %{{ENV:{RULE}}} ={number}"
    if isinstance(action, Respond):
        yield chosen
        yield f"RewriteRule ^ {_answer_path(number)} [PT,L]"
    elif isinstance(action, Redirect):
        yield chosen
        discarded = "" if action.query == "#{query}" else ",QSD"
        yield f"RewriteRule ^ {rewriting(_location(action, listener))} [R={action.status},NE{discarded},L]"
    else:
        if rewrite is not None:
            yield from _rewritten(rewrite, chosen)
        yield from _forward(weighted(action), chosen)


def _forward(pools: Sequence[tuple[str, int]], chosen: str) -> Iterator[str]:
    """NE: the path goes on as it came. Each of several pools has its slice of the digests of an identifier that is
    another one for each request (mod_unique_id; "Expressions in Apache HTTP Server", sha1 and string comparison)."""
    total, below = sum(weight for _, weight in pools), 0
    for pool, weight in pools:
        below += weight
        yield chosen
        if below < total:
            bound = f"{ceil(below * 16**HEX_DIGITS / total):0{HEX_DIGITS}x}"
            yield f"RewriteCond expr \"sha1(reqenv('UNIQUE_ID')) < '{bound}'\""
        yield f"RewriteRule ^ balancer://{pool}%{{ENV:{PATH}}} [P,NE]"


def _rewritten(rewrite: Rewrite, chosen: str) -> Iterator[str]:
    """By elements: /api and /api/x with [/api, /] give / and /x; a path outside the prefix stays."""
    old, new = (part.rstrip("/") for part in rewrite.path_prefix)
    start, to = re.escape(old), _literal(new)
    steps = [(f"^{start}(/.*)$", f"{to}%1"), *([(f"^{start}$", to or "/")] if old else [])]
    for number, (regex, path) in enumerate(steps):
        yield chosen
        yield f"RewriteCond %{{ENV:{PATH}}} {rewriting(regex)}"
        # Whoever took the first step must not take the second one.
        skip = ",S=1" if number + 1 < len(steps) else ""
        yield f"RewriteRule ^ - [E={PATH}:{path}{skip}]"


def _location(action: Redirect, listener: Listener) -> str:
    own = {
        "protocol": "http",
        "host": f"%{{ENV:{HOST}}}",
        "port": str(listener.port),
        "path": f"%{{ENV:{TAIL}}}",
        "query": "%{QUERY_STRING}",
    }

    def filled(text: str) -> str:
        parts = _PLACEHOLDER.split(text)
        return "".join(own[part] if odd % 2 else _literal(part) for odd, part in enumerate(parts))

    protocol, port = filled(action.protocol).lower(), filled(str(action.port))
    shown = "" if DEFAULT_PORT.get(protocol) == port else f":{port}"
    # Where it says none of its own, the request's query is kept (mod_rewrite, "QSD").
    query = "" if action.query in ("", "#{query}") else f"?{filled(action.query)}"
    return f"{protocol}://{filled(action.host)}{shown}{filled(action.path)}{query}"


def _literal(text: str) -> str:
    """In a substitution: a backslash stands before what would be a variable or back-reference."""
    return re.sub(r"[\\$%]", r"\\\g<0>", text)


def _answer_path(number: int) -> str:
    return f"/.lb-answer/{number}"


def _answer(number: int, action: Respond) -> Block:
    """mod_alias in a location, with a text in place of the usual page (core, "ErrorDocument")."""
    lines = [f"Redirect {action.status}", f"ErrorDocument {action.status} {quoted(_text(action.body))}"]
    if action.body:
        lines.append(f"Header always set Content-Type {quoted(action.content_type.replace('%', '%%'))}")
    return Block(f"Location {_answer_path(number)}", lines)


def _text(body: str) -> str:
    """A string of an expression, in which a backslash makes the next character plain; so nothing looks like a path.

    An empty argument is none, so that it is the value of a variable that nobody sets.
    """
    if not body:
        return "%{reqenv:LB_NOTHING}"
    body = "\\default" if body.lower() == "default" else re.sub(r"[^A-Za-z0-9\n]", r"\\\g<0>", body)
    return body.replace("\n", "\\n")
