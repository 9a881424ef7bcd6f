"""A listener's rules in HAProxy's words. Citations are to its Configuration Manual, version 2.6.

Every rule is an ACL for each of its conditions (ACLs of one name are OR-ed, those after `if` AND-ed: section 7.2).
One chain of `http-request set-var` keeps the first rule that matches, before anything is rewritten; what follows asks
for that variable only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lbcheck.spec.model import (
    Action,
    Conditions,
    Forward,
    Forwarded,
    Listener,
    Protocol,
    Redirect,
    Respond,
    Rewrite,
    Rule,
)
from lbcheck.targets.template import in_order, pattern_regex

REDIRECT_CODES = (301, 302, 303, 307, 308)  # section 4.2, "redirect"
BODY_BYTES = 15_360  # `http-request return`: smaller than a buffer (16 KiB) and its reserve for headers (1 KiB)
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/@^*+=()\[\]?&|~<>-]+")
_PLACEHOLDER = re.compile(r"#\{(\w+)\}")


DEFAULT_PORT = {"http": "80", "https": "443"}  # left out of a Location


def scheme(listener: Listener) -> str:
    return "https" if listener.protocol is Protocol.HTTPS else "http"


def name(word: str) -> str:
    """A section's or server's name: letters, digits, `-_.:` (section 2); other characters by their code."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda match: f":{ord(match.group()):x}:", word)


def quoted(word: str) -> str:
    """One argument, strongly quoted where needed: between single quotes nothing is special (section 2.2)."""
    if _PLAIN.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def frontend_lines(listener: Listener) -> list[str]:
    """The inside of an HTTP frontend, in the order in which HAProxy carries it out."""
    rules = in_order(listener.rules)
    lines = [line for rule in rules for line in _acls(rule)]
    if rules:
        lines.append("acl routed var(txn.rule) -m found")
        lines += [f"acl r{rule.priority} var(txn.rule) -m int {rule.priority}" for rule in rules]
        lines += [_chosen(rule) for rule in rules]
    lines += _forwarded(listener)
    otherwise = "if !routed" if rules else ""
    for rule in rules:
        lines += _before_forwarding(rule, listener)
    lines += _local_answer(listener.default, listener, otherwise) + _draw(listener.default, otherwise)
    for rule in rules:
        lines += _use_backend(rule.then, f"r{rule.priority}", f"use_backend {{}} if r{rule.priority}")
    return lines + _use_backend(listener.default, "!routed" if rules else "", "default_backend {}")


# --- conditions ------------------------------------------------------------------------------------------------------


def _chosen(rule: Rule) -> str:
    conditions = " ".join(["!routed", *_acl_names(rule)])
    return f"http-request set-var(txn.rule) int({rule.priority}) if {conditions}"


def _acl_names(rule: Rule) -> list[str]:
    return list(dict.fromkeys(line.split()[1] for line in _acls(rule)))


def _acls(rule: Rule) -> Iterator[str]:
    when, prefix = rule.when, f"r{rule.priority}"
    yield from _path_acls(when, prefix)
    if when.host:
        # `host_only` drops the port; a trailing dot names the same host (RFC 3986, section 3.2.2).
        regexes = [f"^{pattern_regex(value.rstrip('.'))}\\.?$" for value in when.host]
        yield _acl(f"{prefix}.host", "req.hdr(host),host_only -m reg -i", regexes)
    if when.method:
        yield _acl(f"{prefix}.method", "method", when.method)
    for number, (header, values) in enumerate(when.header, 1):
        yield _acl(f"{prefix}.header{number}", f"{quoted(f'req.fhdr({header})')} -m reg -i", _whole(values))
    for number, (key, values) in enumerate(when.query, 1):
        yield _acl(f"{prefix}.query{number}", f"{quoted(f'urlp({key}),url_dec(1)')} -m reg", _whole(values))
    for number, (cookie, values) in enumerate(when.cookie, 1):
        yield _acl(f"{prefix}.cookie{number}", f"{quoted(f'req.cook({cookie})')} -m reg", _whole(values))
    if when.source:
        yield _acl(f"{prefix}.source", "src", when.source)


def _path_acls(when: Conditions, prefix: str) -> Iterator[str]:
    """`path` is the path as sent, without the query (section 7.3.6)."""
    if when.path:
        yield _acl(f"{prefix}.path", "path -m reg", _whole(when.path))
    if when.path_prefix:
        elements = [value.rstrip("/") for value in when.path_prefix]
        yield _acl(f"{prefix}.prefix", "path -m beg", [f"{value}/" for value in elements])
        if exact := [value for value in elements if value]:
            yield _acl(f"{prefix}.prefix", "path -m str", exact)
    if when.path_exact:
        yield _acl(f"{prefix}.exact", "path -m str", when.path_exact)
    if when.path_regex:
        yield _acl(f"{prefix}.regex", "path -m reg", when.path_regex)


def _acl(acl: str, sample: str, patterns: Sequence[str]) -> str:
    """`--` ends the flags, so that a pattern may begin with a dash (section 7.1)."""
    return f"acl {acl} {sample} -- {' '.join(quoted(pattern) for pattern in patterns)}"


def _whole(patterns: Sequence[str]) -> list[str]:
    return [f"^{pattern_regex(pattern)}$" for pattern in patterns]


# --- actions ---------------------------------------------------------------------------------------------------------


def _before_forwarding(rule: Rule, listener: Listener) -> list[str]:
    condition = f"if r{rule.priority}"
    lines = _local_answer(rule.then, listener, condition) + _draw(rule.then, condition)
    if rule.rewrite is not None:
        lines += _rewrite(rule.rewrite, condition)
    return lines


def _local_answer(action: Action, listener: Listener, condition: str) -> list[str]:
    if isinstance(action, Respond):
        return [_return(action, condition)]
    if isinstance(action, Redirect):
        return _redirect(action, listener, condition)
    return []


def _return(action: Respond, condition: str) -> str:
    body = f"content-type {quoted(action.content_type)} string {quoted(action.body)}" if action.body else ""
    return _joined(f"http-request return status {action.status}", body, condition)


def _redirect(action: Redirect, listener: Listener, condition: str) -> list[str]:
    """Two lines where the query is the request's: without one there is no question mark."""
    protocol = action.protocol.replace("#{protocol}", scheme(listener)).lower()
    port = str(action.port).replace("#{port}", str(listener.port))
    shown = "" if DEFAULT_PORT.get(protocol) == port else f":{port}"
    bare = f"{protocol}://{_format(action.host, listener)}{shown}{_format(action.path, listener)}"
    asking = f"{bare}?{_format(action.query, listener)}"
    if action.query != "#{query}":
        return [_location(asking if action.query else bare, action, condition)]
    asked = f"{condition or 'if'} {{ query -m len gt 0 }}"
    return [_location(asking, action, asked), _location(bare, action, condition)]


def _location(location: str, action: Redirect, condition: str) -> str:
    return _joined(f"http-request redirect location {quoted(location)} code {action.status}", condition)


def _format(text: str, listener: Listener) -> str:
    """ALB's placeholders as log-format (section 8.2.4); a percent sign of the text is doubled."""
    samples = {
        "protocol": scheme(listener),
        "host": "%[req.hdr(host),host_only]",
        "port": str(listener.port),
        "path": "%[path,bytes(1)]",
        "query": "%[query]",
    }
    parts = _PLACEHOLDER.split(text)
    return "".join(samples[part] if odd else part.replace("%", "%%") for part, odd in _with_parity(parts))


def _with_parity(parts: Sequence[str]) -> Iterator[tuple[str, bool]]:
    return ((part, number % 2 == 1) for number, part in enumerate(parts))


def _rewrite(rewrite: Rewrite, condition: str) -> list[str]:
    """By elements: /api and /api/x with [/api, /] give / and /x. A path outside the prefix stays."""
    old, new = (part.rstrip("/") for part in rewrite.path_prefix)
    replacement = new.replace("\\", "\\\\").replace("%", "%%")
    whole, below = f"^{re.escape(old)}$", f"^{re.escape(old)}(/.*)$"
    if old and new:
        return [_replace_path(f"^{re.escape(old)}(/.*)?$", f"{replacement}\\1", condition)]
    # The whole prefix first: what it leaves is never below the prefix, so no path is replaced twice.
    lines = [_replace_path(whole, "/", condition)] if old else []
    return [*lines, _replace_path(below, f"{replacement}\\1", condition)]


def _replace_path(regex: str, replacement: str, condition: str) -> str:
    return f"http-request replace-path {quoted(regex)} {quoted(replacement)} {condition}"


def _draw(action: Action, condition: str) -> list[str]:
    """Weights between pools: one draw out of their total."""
    pools = _weighted(action)
    if len(pools) < 2:
        return []
    return [_joined(f"http-request set-var(txn.draw) rand({sum(weight for _, weight in pools)})", condition)]


def _use_backend(action: Action, acl: str, last: str) -> list[str]:
    """Each pool has its slice of the draw; `last` is the directive for the pool that takes what is left."""
    lines, below = [], 0
    pools = _weighted(action)
    for pool, weight in pools[:-1]:
        below += weight
        lines.append(_joined(f"use_backend {name(pool)} if", acl, f"{{ var(txn.draw) -m int lt {below} }}"))
    return [*lines, last.format(name(pools[-1][0]))] if pools else []


def _weighted(action: Action) -> list[tuple[str, int]]:
    return [(pool, weight) for pool, weight in action.pools if weight > 0] if isinstance(action, Forward) else []


# --- headers ---------------------------------------------------------------------------------------------------------


def _forwarded(listener: Listener) -> list[str]:
    """Nothing is claimed where the spec says nothing: HAProxy adds no X-Forwarded header by itself."""
    forwarded = listener.forwarded
    if forwarded is None:
        return []
    own = {"x-forwarded-proto": scheme(listener), "x-forwarded-port": "%[dst_port]"}
    told = {"x-forwarded-proto": forwarded.x_forwarded_proto, "x-forwarded-port": forwarded.x_forwarded_port}
    lines = _forwarded_for(forwarded)
    lines += [f"http-request set-header {field} {own[field]}" for field, how in told.items() if how == "set"]
    lines += [f"http-request del-header {field}" for field, how in told.items() if how == "none"]
    return lines


def _forwarded_for(forwarded: Forwarded) -> list[str]:
    """`option forwardfor` adds a field line of its own at the end: the same list (RFC 9110, section 5.3)."""
    how = {
        "append": ["option forwardfor"],
        "replace": ["http-request set-header x-forwarded-for %[src]"],
        "remove": ["http-request del-header x-forwarded-for"],
        "preserve": [],
    }
    return how[forwarded.x_forwarded_for]


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)
