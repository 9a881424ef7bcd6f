"""Strategies for any value that the model's types allow, walked from the same kinds that the loader reads."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from lbcheck.spec import syntax
from lbcheck.spec.fields import record_of
from lbcheck.spec.kinds import Kind, Maybe, Quantity, Text, Truth, Whole, Word
from lbcheck.spec.model import (
    Claims,
    Conditions,
    Forward,
    Forwarded,
    Listener,
    Pool,
    Protocol,
    Redirect,
    Respond,
    Rewrite,
    Rule,
    Slo,
    Spec,
)
from lbcheck.spec.shapes import Many, Pair, Record

WORDS = st.text("abcxyz019_-", min_size=1, max_size=6).map(lambda text: f"n{text}")
BY_SYNTAX: dict[str, st.SearchStrategy[str]] = {
    syntax.PATH.noun: WORDS.map(lambda word: f"/{word}"),
    syntax.PROBE_PATH.noun: WORDS.map(lambda word: f"/{word}?a=1"),
    syntax.PATH_PATTERN.noun: st.sampled_from(["/*", "*.png", "/a?c/*"]),
    syntax.REGEX.noun: st.sampled_from(["^/a+$", "(a|b)[0-9]{1,3}", r"\.css$"]),
    syntax.HOST_PATTERN.noun: st.sampled_from(["a.test", "*.b.test", "c?.test"]),
    syntax.METHOD.noun: st.sampled_from(["GET", "POST"]),
    syntax.CIDR.noun: st.sampled_from(["10.0.0.0/8", "127.0.0.1/32", "::1/128"]),
    syntax.ADDRESS.noun: st.integers(1, 65535).map(lambda port: f"127.0.0.1:{port}"),
    syntax.LISTEN.noun: st.sampled_from(["127.0.0.1", "::1", "lb.test"]),
    syntax.CODES.noun: st.sampled_from(["200", "200-299", "200-299,301"]),
    syntax.HASH_KEY.noun: st.sampled_from(["path", "header:X-A", "query:q"]),
    syntax.FAILURE.noun: st.sampled_from(["connect", "503", "5xx"]),
    syntax.WEB_PROTOCOL.noun: st.sampled_from(["HTTPS", "#{protocol}"]),
    syntax.WEB_PORT.noun: st.sampled_from(["443", "#{port}"]),
    syntax.NEW_PATH.noun: st.sampled_from(["/#{path}", "/x"]),
    syntax.NEW_HOST.noun: st.sampled_from(["#{host}", "new.test"]),
    syntax.MEDIA_TYPE.noun: st.sampled_from(["text/plain", "application/json; charset=utf-8"]),
}


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Any value of a kind that stands alone (names that refer to others are put together below)."""
    if isinstance(kind, Text):
        return BY_SYNTAX.get(kind.syntaxes[0].noun, WORDS) if kind.syntaxes else st.text("aZ \n\"'\\#:{}", max_size=8)
    if isinstance(kind, Whole):
        return st.integers(kind.range.low, kind.range.high if kind.range.high is not None else 10_000)
    if isinstance(kind, Quantity):
        return st.floats(0.001, min(kind.most, 90000.0))
    if isinstance(kind, Truth):
        return st.booleans()
    if isinstance(kind, Word):
        return st.sampled_from(list(kind.values.values()))
    if isinstance(kind, Maybe):
        return st.none() | values(kind.kind)
    if isinstance(kind, Many):
        unique = kind.called.field if kind.called else None
        key = (lambda item: getattr(item, unique)) if unique else None
        return st.lists(values(kind.kind), max_size=3, unique_by=key).map(tuple)
    if isinstance(kind, Pair):
        return st.tuples(values(kind.kind), values(kind.kind))
    if isinstance(kind, Record):
        return records(kind.cls)
    named = st.dictionaries(WORDS, st.lists(WORDS, min_size=1, max_size=2).map(tuple), max_size=2)
    return named.map(lambda table: tuple(table.items()))


@cache
def records(cls: Any) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{name: values(kind) for name, kind in record_of(cls).kinds.items()})


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Valid ones of HTTP: rules and defaults forward to pools that exist."""
    web = [Protocol.HTTP, Protocol.HTTPS, Protocol.H2C]
    pools = draw(st.lists(_pool(web), min_size=1, max_size=3, unique_by=lambda pool: pool.name))
    action = _action([pool.name for pool in pools])
    listeners = draw(st.lists(_listener(action), min_size=1, max_size=2, unique_by=(_name, _port)))
    return Spec(tuple(listeners), tuple(pools), draw(records(Claims)), draw(records(Slo)))


def _name(listener: Listener) -> str:
    return listener.name


def _port(listener: Listener) -> int | None:
    return listener.port


def _pool(protocols: list[Protocol]) -> st.SearchStrategy[Pool]:
    kinds = {name: values(kind) for name, kind in record_of(Pool).kinds.items()}
    return st.builds(Pool, **kinds | {"protocol": st.sampled_from(protocols)})


def _action(names: list[str]) -> st.SearchStrategy[Any]:
    pools = st.dictionaries(st.sampled_from(names), st.integers(0, 999), min_size=1)
    forward = pools.map(lambda table: Forward(tuple(table.items())))
    return forward | records(Redirect) | records(Respond)


def _listener(action: st.SearchStrategy[Any]) -> st.SearchStrategy[Listener]:
    conditions = records(Conditions).filter(lambda when: when != Conditions())
    rule = st.builds(_rule, st.integers(1, 50000), conditions, action, records(Rewrite))
    rules = st.lists(rule, max_size=3, unique_by=lambda rule: rule.priority).map(tuple)
    return st.builds(
        Listener,
        name=WORDS,
        default=action,
        protocol=st.sampled_from([Protocol.HTTP, Protocol.HTTPS]),
        address=st.just("127.0.0.1"),
        port=st.integers(1, 65535),
        http2=st.booleans(),
        idle_timeout=st.floats(0, 1000),
        rules=rules,
        forwarded=st.none() | records(Forwarded),
    )


def _rule(priority: int, when: Conditions, then: Any, rewrite: Rewrite) -> Rule:
    return Rule(priority, when, then, f"r{priority}", rewrite if isinstance(then, Forward) else None)
