"""A listener's rules in nginx's words. Citations are to nginx.org/en/docs.

Every condition is a `map` (or `geo`) to 0 or 1, a rule is a map over its conditions, and one map over all rules, whose
regular expressions are tried in order of appearance, gives the first that holds. A server-level `rewrite` then takes
the request to the location of its action. Paths are taken from `$request_uri`, the only variable that holds the
request target as sent; `$uri` is normalised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lbcheck.spec.model import Action, Forward, Listener, Redirect, Respond, Rule
from lbcheck.targets.template import in_order, pattern_regex

DEFAULT_PORT = {"http": "80", "https": "443"}  # left out of a Location
SENT_PATH = "$sent_path"  # the path as sent, without the query
SENT_TAIL = "$sent_tail"  # the same without its first slash
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/@%^*+=()\[\]?&|<>$~-]+")
_PLACEHOLDER = re.compile(r"#\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Block:
    """`head { lines }`."""

    head: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Routing:
    """`blocks` stand in `http`, `lines` in `server`; `target` is what backends are sent ("": as it came)."""

    blocks: list[Block]
    lines: list[str]
    answers: list[Block]
    pools: dict[str, str]  # location -> pool
    target: str


def quoted(word: str) -> str:
    """One parameter. Between double quotes a backslash escapes quotes and itself, and stays before anything else."""
    if _PLAIN.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def routing(listener: Listener, index: int, *, joined: bool) -> Routing:
    """`index` tells the listeners' variables apart: all of them live in one namespace.

    `joined`: $http_NAME holds all lines of a repeated header, with ", " between them (since 1.23), not just the first.
    """
    prefix = f"l{index}"
    if not listener.rules and isinstance(listener.default, Forward) and len(_weighted(listener.default)) == 1:
        return Routing([], [], [], {"/": _weighted(listener.default)[0][0]}, "")
    rules = in_order(listener.rules)
    trusted = listener.forwarded is not None and bool(listener.forwarded.trust)
    blocks = [block for rule in rules for block in _rule_blocks(rule, prefix, trusted, joined)]
    blocks += _first_rule(rules, prefix)
    blocks += [split for action, name in _actions(listener, prefix) for split in _split(action, name)]
    blocks += _destinations(listener, prefix)
    rewrites = [rule for rule in rules if rule.rewrite is not None]
    if rewrites:
        blocks.append(_targets(rewrites, prefix))
    return Routing(
        blocks=blocks,
        lines=[f"rewrite ^ {f'${prefix}_to' if rules else _destination(listener.default, 0, prefix)} last"],
        answers=_answers(listener),
        pools={f"= /pool/{pool}": pool for pool in _pools(listener)},
        target=f"${prefix}_target" if rewrites else "$request_uri",
    )


# --- conditions ------------------------------------------------------------------------------------------------------


def _rule_blocks(rule: Rule, prefix: str, trusted: bool, joined: bool) -> list[Block]:
    name = f"{prefix}_r{rule.priority}"
    conditions = list(_conditions(rule, trusted, joined))
    if len(conditions) < 2:
        return [Block(head.replace("@", f"${name}"), lines) for head, lines in conditions]
    blocks = [Block(head.replace("@", f"${name}_{n}"), lines) for n, (head, lines) in enumerate(conditions, 1)]
    together = "".join(f"${name}_{n}" for n in range(1, len(conditions) + 1))
    return [*blocks, Block(f'map "{together}" ${name}', ["default 0", f"{'1' * len(conditions)} 1"])]


def _conditions(rule: Rule, trusted: bool, joined: bool) -> Iterator[tuple[str, list[str]]]:
    """(head, lines) of the map of each condition; `@` stands for its variable."""
    when = rule.when
    if when.path:
        yield _map(SENT_PATH, _whole(when.path))
    if when.path_prefix:
        yield _map(SENT_PATH, [f"^{re.escape(value.rstrip('/'))}(/|$)" for value in when.path_prefix])
    if when.path_exact:
        yield _map(SENT_PATH, [f"^{re.escape(value)}$" for value in when.path_exact])
    if when.path_regex:
        yield _map(SENT_PATH, when.path_regex)
    if when.host:
        # $host is in lower case, without port (ngx_http_core_module).
        yield _map("$host", _whole([value.rstrip(".") for value in when.host]), fold=True)
    if when.method:
        yield _map("$request_method", [f"^{re.escape(method)}$" for method in when.method])
    for header, values in when.header:
        regexes = _among(values) if joined else _whole(values)
        yield _map(f"$http_{header.lower().replace('-', '_')}", regexes, fold=True)
    for key, values in when.query:
        # $arg_NAME is one occurrence; the field asks for any, which $args holds.
        yield _map("$args", [_in_query(key, value) for value in values])
    for cookie, values in when.cookie:
        yield _map(f"$cookie_{cookie}", _whole(values))
    if when.source:
        peer = "$realip_remote_addr" if trusted else "$remote_addr"
        yield f"geo {peer} @", ["default 0", *(f"{network} 1" for network in when.source)]


def _map(source: str, regexes: Sequence[str], *, fold: bool = False) -> tuple[str, list[str]]:
    """`~` matches with case, `~*` without; plain strings would ignore it (ngx_http_map_module)."""
    mark = "~*" if fold else "~"
    return f"map {source} @", ["default 0", *(f"{quoted(mark + regex)} 1" for regex in regexes)]


def _whole(patterns: Sequence[str]) -> list[str]:
    return [f"^{pattern_regex(pattern)}$" for pattern in patterns]


def _among(patterns: Sequence[str]) -> list[str]:
    """As the whole of any line among joined ones; a comma and a space in a line's own value look the same."""
    return [f"(^|, ){pattern_regex(pattern)}(, |$)" for pattern in patterns]


def _in_query(key: str, pattern: str) -> str:
    value = "".join({"*": "[^&]*", "?": "[^&]"}.get(character) or re.escape(character) for character in pattern)
    equals = f"(={value})?" if set(pattern) <= {"*"} else f"={value}"
    return f"(^|&){re.escape(key)}{equals}(&|$)"


def _first_rule(rules: Sequence[Rule], prefix: str) -> list[Block]:
    """One digit for each rule in order; the first line whose digit is 1 gives its priority."""
    if not rules:
        return []
    digits = "".join(f"${prefix}_r{rule.priority}" for rule in rules)
    lines = [f"~^{'.' * place}1 {rule.priority}" for place, rule in enumerate(rules)]
    return [Block(f'map "{digits}" ${prefix}_rule', ["default 0", *lines])]


# --- actions ---------------------------------------------------------------------------------------------------------


def _actions(listener: Listener, prefix: str) -> list[tuple[Action, str]]:
    """Every action with the name of its variable; the default's rule is 0."""
    return [
        *((rule.then, f"{prefix}_draw{rule.priority}") for rule in in_order(listener.rules)),
        (listener.default, f"{prefix}_draw0"),
    ]


def _weighted(action: Action) -> list[tuple[str, int]]:
    return [(pool, weight) for pool, weight in action.pools if weight > 0] if isinstance(action, Forward) else []


def _pools(listener: Listener) -> list[str]:
    return list(dict.fromkeys(pool for action, _ in _actions(listener, "") for pool, _ in _weighted(action)))


def _split(action: Action, name: str) -> list[Block]:
    """Weights between pools, in hundredths of a per cent; $request_id is new for every request."""
    pools = _weighted(action)
    if len(pools) < 2:
        return []
    total = sum(weight for _, weight in pools)
    shares = [f"{100 * weight / total:.2f}% /pool/{pool}" for pool, weight in pools[:-1]]
    return [Block(f"split_clients $request_id ${name}", [*shares, f"* /pool/{pools[-1][0]}"])]


def _destinations(listener: Listener, prefix: str) -> list[Block]:
    """From the rule that acts to the location of its action."""
    rules = in_order(listener.rules)
    lines = [f"{rule.priority} {_destination(rule.then, rule.priority, prefix)}" for rule in rules]
    default = f"default {_destination(listener.default, 0, prefix)}"
    return [Block(f"map ${prefix}_rule ${prefix}_to", [default, *lines])] if rules else []


def _destination(action: Action, number: int, prefix: str) -> str:
    pools = _weighted(action)
    if not pools:
        return f"/rule/{number}"
    return f"/pool/{pools[0][0]}" if len(pools) == 1 else f"${prefix}_draw{number}"


def _answers(listener: Listener) -> list[Block]:
    numbered = [(rule.priority, rule.then) for rule in in_order(listener.rules)] + [(0, listener.default)]
    return [
        Block(f"location = /rule/{number}", _answer(action, listener))
        for number, action in numbered
        if not isinstance(action, Forward)
    ]


def _answer(action: Redirect | Respond, listener: Listener) -> list[str]:
    if isinstance(action, Redirect):
        return [f"return {action.status} {quoted(_location(action, listener))}"]
    if not action.body and action.status in (204, 304):
        return [f"return {action.status}"]
    body = quoted(action.body) if action.body else '""'
    return [f"default_type {quoted(action.content_type)}", f"return {action.status} {body}"]


def _location(action: Redirect, listener: Listener) -> str:
    own = {"protocol": "http", "host": "$host", "port": str(listener.port), "path": SENT_TAIL, "query": "$args"}

    def filled(text: str) -> str:
        return _PLACEHOLDER.sub(lambda match: own[match.group(1)], text)

    protocol, port = filled(action.protocol).lower(), filled(str(action.port))
    shown = "" if DEFAULT_PORT.get(protocol) == port else f":{port}"
    query = "$is_args$args" if action.query == "#{query}" else f"?{filled(action.query)}" if action.query else ""
    return f"{protocol}://{filled(action.host)}{shown}{filled(action.path)}{query}"


# --- rewrites --------------------------------------------------------------------------------------------------------


def _targets(rules: Sequence[Rule], prefix: str) -> Block:
    lines = ["default $request_uri", *(line for rule in rules for line in _rewritten(rule, prefix))]
    return Block(f'map "${prefix}_rule:$request_uri" ${prefix}_target', lines)


def _rewritten(rule: Rule, prefix: str) -> Iterator[str]:
    """By elements: /api/x?q and /api?q with [/api, /] give /x?q and /?q. What is outside the prefix stays."""
    assert rule.rewrite is not None
    old, new = (part.rstrip("/") for part in rule.rewrite.path_prefix)
    rest, query = f"{prefix}_rest{rule.priority}", f"{prefix}_query{rule.priority}"
    start = f"~^{rule.priority}:{re.escape(old)}"
    root = new or "/"
    yield f"{quoted(f'{start}(?<{rest}>/.*)$')} {quoted(f'{new}${rest}')}"
    if old:
        yield f"{quoted(f'{start}(?<{query}>[?].*)?$')} {quoted(f'{root}${query}')}"
