"""RTE: rules together: all conditions, the order, the default, and random requests against the oracle."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields, replace
from itertools import islice

from lbcheck.checks import check, listeners, rules, serves
from lbcheck.features import Level
from lbcheck.judges.routing import refused_or_as
from lbcheck.lab.plays import ask, expect_routed
from lbcheck.lab.stage import Stage
from lbcheck.spec.model import Conditions, Forward, Listener, Rule
from lbcheck.spec.near import random_request, singled
from lbcheck.spec.request import Request
from lbcheck.spec.routing import cookies, matches
from lbcheck.spec.witness import default_witness, witnesses
from lbcheck.verdict import expect

ALB_RULES = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html"
PARTS = ("path", "path_prefix", "path_exact", "path_regex", "host", "method", "header", "query", "cookie", "source")
REQUESTS = 150
KEPT = 30  # requests on one connection


def kinds(when: Conditions) -> list[str]:
    return [part for part in PARTS if getattr(when, part)]


def lists(when: Conditions) -> Iterator[Collection[object]]:
    """The conditions' values and names, where several may stand."""
    for field in fields(when):
        given = getattr(when, field.name)
        yield given
        if field.name in ("header", "query", "cookie"):
            yield from (patterns for _, patterns in given)


def spoiled(request: Request, part: str) -> Request:
    """The same request with the part that this kind of condition reads replaced by something foreign."""
    if part.startswith("path"):
        return replace(request, target="/zzz/zzz")
    if part == "query":
        return replace(request, target=request.path)
    if part in ("header", "cookie"):
        return replace(request, headers=())
    if part == "host":
        return replace(request, host="zzz.test")
    return replace(request, method="PATCH") if part == "method" else replace(request, source="127.99.9.9")


@check(
    "RTE-11",
    "Several conditions of a rule must all hold; of the values of one, any will do.",
    subject=rules(lambda r: len(kinds(r.when)) > 1, reads=lambda r: r.when),
    catches={"conditions-are-alternatives": "acts"},
    spec_link=ALB_RULES,
)
def test_all_conditions_must_hold(stage: Stage, rule: Rule) -> None:
    listener, witness = stage.to(rule)
    expect_routed(stage, listener, witness)
    for part in kinds(rule.when):
        expect_routed(stage, listener, spoiled(witness, part))


@check(
    "RTE-21",
    "Of the values that a condition lists each will do; of the headers, keys and cookies that it names none may lack.",
    subject=rules(lambda r: any(len(values) > 1 for values in lists(r.when)), reads=lambda r: r.when),
    catches={"only-the-first-value": "acts", "only-the-last-name": "acts"},
    spec_link=ALB_RULES,
)
def test_each_value_will_do(stage: Stage, rule: Rule) -> None:
    listener, witness = stage.to(rule)
    place = stage.spec.listener(listener)
    for when in singled(rule.when):
        one = replace(rule, when=when)
        narrow = replace(place, rules=tuple(one if each.priority == rule.priority else each for each in place.rules))
        for request in islice(witnesses(narrow, one), 1):
            expect_routed(stage, listener, request)
    for name, _ in rule.when.header:
        others = tuple(field for field in witness.headers if field[0].lower() != name.lower())
        expect_routed(stage, listener, replace(witness, headers=others))
    for key, _ in rule.when.query:
        pairs = [pair for pair in witness.query.split("&") if pair.partition("=")[0] != key]
        expect_routed(stage, listener, replace(witness, target=f"{witness.path}?{'&'.join(pairs)}".rstrip("?")))
    for name, _ in rule.when.cookie:
        pairs = [pair for pair, _ in cookies(witness) if pair != name]
        line = "; ".join(f"{pair}={value}" for pair, value in cookies(witness) if pair in pairs)
        others = tuple(field for field in witness.headers if field[0].lower() != "cookie")
        expect_routed(stage, listener, replace(witness, headers=(*others, ("Cookie", line)) if line else others))


@check(
    "RTE-22",
    "Each request of a connection that is kept goes where the rules send it, whatever the ones before it were.",
    subject=listeners(lambda x: len(x.rules) > 1, reads=lambda x: x.rules),
    catches={"routed-once-a-connection": "acts"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-3.3",
)
def test_each_request_is_routed_by_itself(stage: Stage, listener: Listener) -> None:
    """Random requests, one after another on one connection."""
    client, source = stage.client(keep_alive=True), stage.to(listener)[1].source
    for _ in range(KEPT):
        request = replace(random_request(stage.rng, listener.rules), source=source)
        expect_routed(stage, listener.name, request, by=client)


@check(
    "RTE-12",
    "Of the rules that match, the one with the lowest priority acts.",
    subject=listeners(lambda x: len(x.rules) > 1, reads=lambda x: x.rules),
    catches={"rule-order-reversed": "acts", "rules-in-file-order": "acts", "priorities-as-text": "acts"},
    spec_link=ALB_RULES,
)
def test_lowest_priority_acts(stage: Stage, listener: Listener) -> None:
    for _ in range(REQUESTS):
        request = random_request(stage.rng, listener.rules)
        if sum(matches(rule.when, request) for rule in listener.rules) > 1:
            expect_routed(stage, listener.name, request)
    for rule in listener.rules:
        expect_routed(stage, *stage.to(rule))


@check(
    "RTE-13",
    "What no rule matches gets the default action.",
    subject=listeners(lambda x: bool(x.rules), reads=lambda x: x.default),
    catches={"default-is-first-rule": "acts"},
    spec_link=ALB_RULES,
)
def test_default_action(stage: Stage, listener: Listener) -> None:
    seen: list[Request] = []
    for _ in range(3):
        request = default_witness(stage.spec, listener.name, avoid=seen)
        if request is None:
            break
        seen.append(request)
        expect_routed(stage, listener.name, request)


@check(
    "RTE-18",
    "The path that is matched is the path that is forwarded: encoded, dotted and doubled as it came, or refused.",
    subject=listeners(within=serves),
    catches={"path-decoded": "arrives_as"},
    spec_link="https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2",
)
def test_path_arrives_as_sent(stage: Stage, listener: Listener) -> None:
    base = default_witness(stage.spec, listener.name)
    prefix = base.path.rstrip("/") if base else ""
    for odd in ("/%61", "/a%2Fb", "/a//b", "/a/./b", "/a/../b", "/a%20b", "/%7Euser", "/a;b=1", "/a?x=%26&y", "/a?"):
        request = Request(target=prefix + odd, host=base.host if base else "lb.test")
        exchange, routed = ask(stage, listener.name, request)
        if isinstance(routed.action, Forward):
            expect(refused_or_as(stage.sync(), exchange, routed.target))


@check(
    "RTE-19",
    "Random requests, most of them near misses, go where the rules send them.",
    level=Level.CORE,
    subject=listeners(lambda x: len(x.rules) > 2, reads=lambda x: x.rules),
    catches={"prefix-not-by-elements": "acts"},
    spec_link=ALB_RULES,
    cost_s=1,
)
def test_random_requests_agree_with_the_oracle(stage: Stage, listener: Listener) -> None:
    for _ in range(REQUESTS):
        expect_routed(stage, listener.name, random_request(stage.rng, listener.rules))
