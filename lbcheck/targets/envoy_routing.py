"""A listener's rules as Envoy's routes (config.route.v3); the first route that matches acts.

A route's path is matched without the query, as sent (`normalize_path` and its like are off by default). Host and
method are headers (`:authority`, `:method`): a virtual host would come before the order of the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lbcheck.spec.model import (
    Action,
    Algorithm,
    Conditions,
    Forward,
    Listener,
    Pool,
    Protocol,
    Redirect,
    Respond,
    Retries,
    Rewrite,
    Rule,
    Spec,
    Stickiness,
)
from lbcheck.targets.envoy_words import Document, either, named, regex, seconds, typed
from lbcheck.targets.template import pattern_regex

SESSION = "envoy.filters.http.stateful_session"
REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")  # RFC 9110, section 9.2.2
TRANSPORT = {"connect", "reset", "timeout"}
HOST_SELECTIONS = 100  # "Retry plugins": by default one, and then the host that has failed already
_PATH = "#{path}"


def routes(rules: Sequence[Rule], listener: Listener, spec: Spec) -> list[Document]:
    """Those of the rules in order, then the default's."""
    made = [route for rule in rules for route in _routes(match(rule.when), rule.then, rule.rewrite, listener, spec)]
    return [*made, *_routes({"prefix": "/"}, listener.default, None, listener, spec)]


def _routes(
    matched: Document, action: Action, rewrite: Rewrite | None, listener: Listener, spec: Spec
) -> Iterator[Document]:
    if isinstance(action, Respond):
        yield {"match": matched, **_direct_response(action)}
    elif isinstance(action, Redirect):
        yield {"match": matched, "redirect": _redirect(action, listener)}
    else:
        yield from _forwards(matched, action, rewrite, listener, spec)


# --- conditions ------------------------------------------------------------------------------------------------------


def match(when: Conditions) -> Document:
    """RouteMatch: one path specifier, any number of headers and query parameters; all must match."""
    specifier, *others = _paths(when) or [{"prefix": "/"}]
    headers = [*(_whole_target(other) for other in others), *_headers(when)]
    query = [_query(key, values) for key, values in when.query]
    return {
        **specifier,
        **({"headers": headers} if headers else {}),
        **({"query_parameters": query} if query else {}),
    }


def _paths(when: Conditions) -> list[Document]:
    """One for each kind of condition; a regular expression stands first, for the others can be said of a target too."""
    found = []
    if when.path_regex:  # searched for, while Envoy matches the whole
        found.append(regex(f"(?s).*{either(f'(?:{value})' for value in when.path_regex)}.*"))
    if when.path:
        found.append(regex(either(_in_path(value) for value in when.path)))
    if len(when.path_exact) == 1:
        found.append({"path": when.path_exact[0]})
    elif when.path_exact:
        found.append(regex(either(re.escape(value) for value in when.path_exact)))
    prefixes = [value.rstrip("/") for value in when.path_prefix]
    if "" in prefixes:
        found.append({"prefix": "/"})
    elif len(prefixes) == 1:
        found.append({"path_separated_prefix": prefixes[0]})
    elif prefixes:
        found.append(regex(f"{either(re.escape(value) for value in prefixes)}(?:/[^?]*)?"))
    return found


def _in_path(pattern: str) -> str:
    """A path has no question mark of its own, a target may."""
    wildcards = {"*": "[^?]*", "?": "[^?]"}
    return "".join(wildcards.get(character) or re.escape(character) for character in pattern)


def _whole_target(specifier: Document) -> Document:
    """A path specifier as a condition on `:path`, which is the target with its query."""
    ((kind, value),) = specifier.items()
    if kind == "safe_regex":
        path = value["regex"]
    elif kind == "prefix":
        path = "/[^?]*"
    else:
        path = re.escape(value) + ("(?:/[^?]*)?" if kind == "path_separated_prefix" else "")
    return _header(":path", rf"{path}(?:\?.*)?")


def _headers(when: Conditions) -> Iterator[Document]:
    if when.host:
        names = either(pattern_regex(value.rstrip(".")) for value in when.host)
        yield _header(":authority", rf"(?i){names}\.?(?::[0-9]*)?")
    if len(when.method) == 1:
        yield {"name": ":method", "string_match": {"exact": when.method[0]}}
    elif when.method:
        yield _header(":method", either(re.escape(value) for value in when.method))
    for field, values in when.header:
        name = ":authority" if field.lower() == "host" else field
        yield {"name": name, "present_match": True} if "*" in values else _line(name, values)
    for name, values in when.cookie:
        wanted = either(_in_cookie(value) for value in values)
        yield _header("cookie", rf"(?:.*;)?\s*{re.escape(name)}={wanted}\s*(?:;.*)?")


def _header(name: str, expression: str) -> Document:
    return {"name": name, "string_match": regex(expression)}


def _line(name: str, values: Sequence[str]) -> Document:
    """Lines of one name are matched with a comma between them (HeaderMatcher)."""
    wanted = either(pattern_regex(value) for value in values)
    return _header(name, rf"(?i)(?:.*,\s*)?{wanted}(?:\s*,.*)?")


def _query(key: str, values: Sequence[str]) -> Document:
    if "*" in values:
        return {"name": key, "present_match": True}
    if len(values) == 1 and not set(values[0]) & {"*", "?"}:
        return {"name": key, "string_match": {"exact": values[0]}}
    return {"name": key, "string_match": regex(either(pattern_regex(value) for value in values))}


def _in_cookie(pattern: str) -> str:
    wildcards = {"*": "[^;]*", "?": "[^;]"}
    return "".join(wildcards.get(character) or re.escape(character) for character in pattern)


# --- forwarding ------------------------------------------------------------------------------------------------------


def _forwards(
    matched: Document, forward: Forward, rewrite: Rewrite | None, listener: Listener, spec: Spec
) -> Iterator[Document]:
    """Two routes where a method decides what may be repeated."""
    pool = spec.pool(forward.pools[0][0])  # what stands in a route is the same for all of them: `limits` has seen to it
    host = listener.forwarded is not None and listener.forwarded.host == "backend"
    common = {
        **_destination(forward, spec),
        **({"hash_policy": [_hashed(pool)]} if _hash_key(pool) else {}),
        **({"auto_host_rewrite": True} if host else {}),
        **({"regex_rewrite": rewriting(rewrite)} if rewrite is not None else {}),
    }
    session = _session(pool) if len(forward.pools) == 1 else {}
    for matching, on in _repeated(matched, pool.retries):
        yield {"match": matching, "route": {**common, **_attempts(pool, on)}, **session}


def _repeated(matched: Document, retries: Retries) -> Iterator[tuple[Document, set[str]]]:
    """(match, events after which a request is repeated). One that never connected was read by nobody."""
    on = set(retries.on) if retries.attempts else set()
    if not retries.non_idempotent and on - {"connect"}:
        yield {**matched, "headers": [*matched.get("headers", ()), _header(":method", either(IDEMPOTENT))]}, on
        on &= {"connect"}
    yield matched, on


def _destination(forward: Forward, spec: Spec) -> Document:
    if len(forward.pools) == 1:
        return {"cluster": forward.pools[0][0]}
    clusters = [{"name": name, "weight": weight, **_session(spec.pool(name))} for name, weight in forward.pools]
    return {"weighted_clusters": {"clusters": clusters}}


def _hash_key(pool: Pool) -> str:
    if pool.algorithm is Algorithm.SOURCE_IP_HASH:
        return "source_ip"
    return pool.hash_key if pool.algorithm is Algorithm.CONSISTENT_HASH else ""


def _hashed(pool: Pool) -> Document:
    """RouteAction.HashPolicy. There is no policy for the path: it is `:path` without the query."""
    kind, _, word = _hash_key(pool).partition(":")
    without_query = {"pattern": {"regex": r"^([^?]*).*$"}, "substitution": r"\1"}
    policies: dict[str, Document] = {
        "source_ip": {"connection_properties": {"source_ip": True}},
        "header": {"header": {"header_name": word}},
        "cookie": {"cookie": {"name": word}},
        "query": {"query_parameter": {"name": word}},
        "path": {"header": {"header_name": ":path", "regex_rewrite": without_query}},
    }
    return policies[kind]


def rewriting(rewrite: Rewrite) -> Document:
    """By elements: /api and /api/x with [/api, /] give / and /x. A path outside the prefix stays."""
    old, new = (part.rstrip("/") for part in rewrite.path_prefix)
    replacement = new.replace("\\", "\\\\")
    if new:
        return {"pattern": {"regex": f"^{re.escape(old)}(/.*)?$"}, "substitution": f"{replacement}\\1"}
    return {"pattern": {"regex": f"^{re.escape(old)}(?:/|$)(.*)$"}, "substitution": "/\\1"}


# --- attempts --------------------------------------------------------------------------------------------------------


def _attempts(pool: Pool, events: set[str]) -> Document:
    """`per_try_timeout` ends with the first byte of an answer, `timeout` with its last; 0 is none ("Timeouts").

    `reset` repeats what ended by `per_try_timeout` too. Where that is not declared, `timeout` has to serve.
    """
    policy: Document = {}
    if events:
        policy = {"retry_on": ",".join(_retry_on(events)), "num_retries": pool.retries.attempts}
    if statuses := sorted(int(event) for event in events if event.isdigit()):
        policy["retriable_status_codes"] = statuses
    if policy:
        predicate = "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        policy["retry_host_predicate"] = [named("envoy.retry_host_predicates.previous_hosts", predicate)]
        policy["host_selection_retry_max_attempts"] = HOST_SELECTIONS
    response = seconds(pool.timeouts.response)
    if times_out_once(events):
        return {"timeout": response, "retry_policy": policy}
    return {"timeout": "0s", "retry_policy": {**policy, "per_try_timeout": response}}


def times_out_once(events: set[str]) -> bool:
    """Is a reset repeated, and a timeout is not?"""
    return "reset" in events and "timeout" not in events


def _retry_on(events: set[str]) -> Iterator[str]:
    """ "x-envoy-retry-on"; each policy includes more than one event, and `limits` has seen to it that it may."""
    if "reset" in events:
        yield "reset"
    elif "connect" in events:
        yield "connect-failure"
    if any(event.isdigit() for event in events):
        yield "retriable-status-codes"
    if "5xx" in events:
        yield "5xx"


# --- stickiness ------------------------------------------------------------------------------------------------------


def _session(pool: Pool) -> Document:
    return {"typed_per_filter_config": _cookie(pool.stickiness)} if pool.stickiness is not None else {}


def _cookie(sticky: Stickiness) -> Document:
    """A cookie that names the host (extensions.http.stateful_session.cookie.v3); it is HttpOnly."""
    attributes = [{"name": "Secure"}] if sticky.secure else []
    attributes += [{"name": "SameSite", "value": sticky.same_site}] if sticky.same_site else []
    cookie: Document = {"name": sticky.cookie, "path": "/"}
    if sticky.duration is not None:
        cookie["ttl"] = seconds(sticky.duration)
    if attributes:
        cookie["attributes"] = attributes
    state = named(
        "envoy.http.stateful_session.cookie",
        "extensions.http.stateful_session.cookie.v3.CookieBasedSessionState",
        cookie=cookie,
    )
    message = "extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute"
    return {SESSION: typed(message, stateful_session={"session_state": state})}


# --- answers ---------------------------------------------------------------------------------------------------------


def _direct_response(action: Respond) -> Document:
    answer: Document = {"status": action.status}
    if not action.body:
        return {"direct_response": answer}
    answer["body"] = {"inline_string": action.body}
    header = {"key": "content-type", "value": action.content_type.replace("%", "%%")}
    return {
        "direct_response": answer,
        "response_headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }


def _redirect(action: Redirect, listener: Listener) -> Document:
    """RedirectAction. By default Host keeps the port that it came with."""
    scheme = "https" if listener.protocol is Protocol.HTTPS else "http"
    return {
        "scheme_redirect": action.protocol.replace("#{protocol}", scheme).lower(),
        **({} if action.host == "#{host}" else {"host_redirect": action.host}),
        "port_redirect": int(str(action.port).replace("#{port}", str(listener.port))),
        **_new_path(action),
        "response_code": REDIRECT_CODES[action.status],
    }


def _new_path(action: Redirect) -> Document:
    """`path_redirect` may bring a query of its own, which takes the place of the request's."""
    asks = action.query == "#{query}"
    strip = {} if asks else {"strip_query": True}
    if _PATH not in action.path:
        query = f"?{action.query}" if action.query and not asks else ""
        return {"path_redirect": action.path + query, **strip}
    if action.path == f"/{_PATH}":
        return strip
    substitution = action.path.replace("\\", "\\\\").replace(_PATH, "\\1")
    return {"regex_rewrite": {"pattern": {"regex": "^/(.*)$"}, "substitution": substitution}, **strip}
