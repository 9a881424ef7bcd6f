"""A listener's rules as Caddy's routes. Citations are to caddyserver.com/docs/json, by module.

The routes of all rules form one group, of which the first that matches is carried out: it answers, or it names its pool
in a variable. After them stands one route for each pool, so that a pool has one `reverse_proxy` however many rules
forward to it. The path as it was sent is a mapping of `{http.request.orig_uri}`: the path matchers compare decoded and
cleaned paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from lbcheck.spec.model import Action, Conditions, Forward, Listener, Redirect, Rewrite, Rule
from lbcheck.targets.template import in_order, pattern_regex

Json: TypeAlias = dict[str, Any]

DEFAULT_PORT = {"http": "80", "https": "443"}  # left out of a Location
SENT_PATH, SENT_TAIL, SENT_QUERY = "{sent_path}", "{sent_tail}", "{sent_query}"
_PLACEHOLDER = re.compile(r"#\{(\w+)\}")


def routes(listener: Listener, proxied: Callable[[str], list[Json]]) -> list[Json]:
    """`proxied` gives the handlers that forward to a pool."""
    default = listener.default
    if not listener.rules and isinstance(default, Forward):
        return [{"handle": proxied(_pool(default))}]
    rules = in_order(listener.rules)
    first = [{"group": "rules", "match": [_matcher(rule.when)], "handle": _handlers(rule, listener)} for rule in rules]
    last = {"group": "rules", "handle": _action(default, listener)}
    pools = dict.fromkeys(_pool(a) for a in (*(r.then for r in rules), default) if isinstance(a, Forward))
    ends = [{"match": [{"vars": {"pool": [pool]}}], "handle": proxied(pool), "terminal": True} for pool in pools]
    return [{"handle": [_sent()]}, *first, last, *ends]


def _pool(forward: Forward) -> str:
    """`limits` has seen to it that there is one with a weight."""
    return next(pool for pool, weight in forward.pools if weight)


def _sent() -> Json:
    """http.handlers.map: what is not read is not evaluated."""
    return {
        "handler": "map",
        "source": "{http.request.orig_uri}",
        "destinations": [SENT_PATH, SENT_TAIL, SENT_QUERY],
        "mappings": [{"input_regexp": r"^(/?([^?]*))(\?.+)?", "outputs": ["${1}", "${2}", "${3}"]}],
    }


# --- conditions ------------------------------------------------------------------------------------------------------


def _matcher(when: Conditions) -> Json:
    """All matchers of a set must hold. What needs patterns is an expression (http.matchers.expression, in CEL)."""
    matcher: Json = {}
    if when.method:
        matcher["method"] = list(when.method)
    if when.source:
        matcher["remote_ip"] = {"ranges": list(when.source)}
    if parts := list(_expressions(when)):
        matcher["expression"] = " && ".join(parts)
    return matcher


def _expressions(when: Conditions) -> Iterator[str]:
    if when.path:
        yield _matches(SENT_PATH, _whole(when.path))
    if when.path_prefix:
        yield _matches(SENT_PATH, [f"^{re.escape(value.rstrip('/'))}(/|$)" for value in when.path_prefix])
    if when.path_exact:
        yield _matches(SENT_PATH, [f"^{re.escape(value)}$" for value in when.path_exact])
    if when.path_regex:
        yield _matches(SENT_PATH, when.path_regex)
    if when.host:
        yield _matches("{http.request.host}", _whole([f"{v.rstrip('.')}" for v in when.host], tail=r"\.?", fold=True))
    for header, values in when.header:
        yield f"header_regexp({_literal(header)}, {_literal(_any(_whole(values, fold=True)))})"
    for key, values in when.query:
        yield _query(key, values)
    for cookie, values in when.cookie:
        inside = [f"(^|;) *{re.escape(cookie)}={_value(value, '[^;]')} *(;|$)" for value in values]
        yield f"header_regexp('Cookie', {_literal(_any(inside))})"


def _matches(placeholder: str, regexes: Sequence[str]) -> str:
    """CEL's `matches` is RE2's search."""
    return f"{placeholder}.matches({_literal(_any(regexes))})"


def _any(regexes: Sequence[str]) -> str:
    return regexes[0] if len(regexes) == 1 else "|".join(f"({regex})" for regex in regexes)


def _whole(patterns: Sequence[str], *, tail: str = "", fold: bool = False) -> list[str]:
    return [f"{'(?i)' * fold}^{pattern_regex(pattern)}{tail}$" for pattern in patterns]


def _query(key: str, patterns: Sequence[str]) -> str:
    """The placeholder holds all values of a key, decoded, with commas between them; an absent key has none."""
    if any(set(pattern) == {"*"} for pattern in patterns):
        return f"query({{{_literal(key)}: ['*']}})"
    inside = [f"(^|,){_value(pattern, '[^,]')}(,|$)" for pattern in patterns]
    return _matches(f"{{http.request.uri.query.{key}}}", inside)


def _value(pattern: str, character: str) -> str:
    """A pattern among others of its kind: its wildcards stand for this class of characters."""
    return "".join({"*": f"{character}*", "?": character}.get(c) or re.escape(c) for c in pattern)


def _literal(text: str) -> str:
    """A string of CEL. A brace by its code, or a word between two of them would be taken for a placeholder."""
    codes = {"\\": "\\\\", "'": "\\'", "{": "\\x7b", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    return "'" + "".join(codes.get(character, character) for character in text) + "'"


# --- actions ---------------------------------------------------------------------------------------------------------


def _handlers(rule: Rule, listener: Listener) -> list[Json]:
    rewrite = [_rewrite(rule.rewrite)] if rule.rewrite is not None and isinstance(rule.then, Forward) else []
    return [*rewrite, *_action(rule.then, listener)]


def _action(action: Action, listener: Listener) -> list[Json]:
    if isinstance(action, Forward):
        return [{"handler": "vars", "pool": _pool(action)}]
    if isinstance(action, Redirect):
        return [_static(action.status, {"Location": [_location(action, listener)]})]
    headers = {"Content-Type": [escaped(action.content_type)]} if action.body else {}
    return [_static(action.status, headers, escaped(action.body))]


def _static(status: int, headers: Json, body: str = "") -> Json:
    """http.handlers.static_response."""
    return {"handler": "static_response", "status_code": status, "headers": headers, "body": body}


def escaped(text: str) -> str:
    """Braces of the text itself ("Conventions", "Placeholders"); without an opening one nothing is looked at."""
    return re.sub(r"[{}]", r"\\\g<0>", text) if "{" in text else text


def _location(action: Redirect, listener: Listener) -> str:
    own = {
        "protocol": "http",
        "host": "{http.request.host}",
        "port": str(listener.port),
        "path": SENT_TAIL,
        "query": "{http.request.uri.query}",
    }

    def filled(text: str) -> str:
        """Whether braces must be escaped is a question of the whole, so they always are: there is a placeholder."""
        parts = _PLACEHOLDER.split(text)
        return "".join(own[part] if odd % 2 else re.sub(r"[{}]", r"\\\g<0>", part) for odd, part in enumerate(parts))

    protocol, port = filled(action.protocol).lower(), filled(str(action.port))
    shown = "" if DEFAULT_PORT.get(protocol) == port else f":{port}"
    query = SENT_QUERY if action.query == "#{query}" else f"?{filled(action.query)}" if action.query else ""
    return f"{protocol}://{filled(action.host)}{shown}{filled(action.path)}{query}"


def _rewrite(rewrite: Rewrite) -> Json:
    """http.handlers.rewrite. By elements: /api and /api/x with [/api, /] give / and /x; other paths stay."""
    old, new = (part.rstrip("/") for part in rewrite.path_prefix)
    replacement = escaped(new).replace("$", "$$")
    whole = [(f"^{re.escape(old)}$", replacement or "/")] if old else []
    below = (f"^{re.escape(old)}(/.*)$", f"{replacement}$1")
    # The whole prefix first; where what it leaves is below the prefix itself, both are one.
    steps = [(f"^{re.escape(old)}(/.*)?$", f"{replacement}$1")] if old and new else [*whole, below]
    return {"handler": "rewrite", "path_regexp": [{"find": find, "replace": to} for find, to in steps]}
