"""Which parts of a spec, and which lines of a configuration, the requests of a check were sent to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from lbcheck.gate.configuration import Configuration
from lbcheck.history import ID_HEADER, Exchange, History
from lbcheck.spec.distinct import Names
from lbcheck.spec.model import Listener, Spec
from lbcheck.spec.request import Request
from lbcheck.spec.routing import route_listener

_ID = re.compile(rb"(?im)^" + ID_HEADER.encode() + rb":[^\r\n]*\r\n")


def reached(history: History, spec: Spec, claimed: Spec) -> list[str]:
    """Paths of listeners, of the rule (or default) that each request is for, of pools and backends that it came to.

    `spec` is the check's own, its backends named as a user names them: all that is `claimed`, or a slice of it, where a
    listener with another default, or without its rules, says nothing of those. Where backends tell nothing, an answered
    request that one pool alone may answer reached it.
    """
    found: set[str] = set()
    for exchange, request in _different(history):
        listener = _listener(spec, exchange.listener)
        if listener is None:
            continue
        path = f"listeners.{listener.name}"
        routed = route_listener(listener, request)
        found.add(path)
        if _as_claimed(listener, claimed):
            found.add(f"{path}.rules.{routed.rule.priority}" if routed.rule else f"{path}.default")
        if not history.witnessed and exchange.status is not None and len(routed.pools) == 1:
            found.add(f"pools.{routed.pools[0]}")
    nodes = _nodes(spec)
    for name in {arrival.backend for arrival in history.arrivals if arrival.id} if history.witnessed else ():
        if name in nodes:
            found |= {nodes[name], nodes[name].partition(".backends.")[0]}
    return sorted(found)


def met(history: History, spec: Spec, configuration: Configuration) -> list[str]:
    """Places of the rules that the configuration, read as its product reads it, has for the requests."""
    found: set[str] = set()
    there = {listener.name: listener for listener in configuration.imported.spec.listeners}
    sources = configuration.imported.sources
    for exchange, request in _different(history):
        path = configuration.alignment.nodes.get(f"listeners.{exchange.listener}")
        if path is None or _listener(spec, exchange.listener) is None:
            continue
        routed = route_listener(there[path.removeprefix("listeners.")], request)
        node = f"{path}.rules.{routed.rule.priority}" if routed.rule else f"{path}.default"
        found |= {str(at) for name, at in sources.items() if name == node or name.startswith(f"{node}.")}
    return sorted(found)


def _nodes(spec: Spec) -> Mapping[str, str]:
    """The name of a backend in histories -> its path in the spec."""
    return {
        known.name: f"pools.{pool.name}.backends.{backend.name}"
        for pool, same in zip(spec.pools, Names(spec).distinct.pools, strict=True)
        for backend, known in zip(pool.backends, same.backends, strict=True)
    }


def _as_claimed(listener: Listener, claimed: Spec) -> bool:
    whole = _listener(claimed, listener.name)
    return whole is not None and (whole.rules, whole.default) == (listener.rules, listener.default)


def _listener(spec: Spec, name: str) -> Listener | None:
    return next((listener for listener in spec.listeners if listener.name == name), None)


def _different(history: Iterable[object]) -> Iterator[tuple[Exchange, Request]]:
    """One exchange of each kind of request that a rule could tell from others; what is no request has none."""
    seen: set[tuple[str, str, bytes, bool]] = set()
    for exchange in history:
        if not isinstance(exchange, Exchange) or not exchange.target.startswith(("/", "*")):
            continue
        head = _ID.sub(b"", exchange.request)
        key = (exchange.listener, exchange.source, head, exchange.status is not None)
        if key not in seen and exchange.source:
            seen.add(key)
            yield exchange, _request(exchange, head)


def _request(exchange: Exchange, head: bytes) -> Request:
    fields = [line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:]]
    pairs = [(name, value.strip()) for name, colon, value in fields if colon]
    host = next((value for name, value in pairs if name.lower() == "host"), "")
    others = tuple((name, value) for name, value in pairs if name.lower() != "host")
    return Request(exchange.method, exchange.target, host, others, exchange.source)
