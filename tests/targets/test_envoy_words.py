"""Envoy's documents, part by part: durations, patterns, and which rules may act for which peer."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal

import yaml
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.spec.model import Conditions, Forward, Listener, Respond, Rewrite, Rule
from lbcheck.spec.patterns import has_prefix, matches_glob
from lbcheck.spec.request import Request
from lbcheck.spec.routing import matches_path, rewritten, within
from lbcheck.targets.envoy import files
from lbcheck.targets.envoy_listeners import chains
from lbcheck.targets.envoy_routing import match, rewriting
from lbcheck.targets.envoy_words import seconds

from .reduced import fixed
from .specials import specials


@given(st.integers(0, 10**9))
def test_milliseconds_are_said_exactly(ms: int) -> None:
    said = seconds(ms / 1000)
    assert re.fullmatch(r"[0-9]+(\.[0-9]{1,9})?s", said)
    assert Decimal(said[:-1]) == Decimal(ms) / 1000


NETWORKS = st.builds(
    lambda last, bits: str(ipaddress.ip_network((f"127.{last % 4}.0.{last}", bits), strict=False)),
    st.integers(0, 255),
    st.sampled_from([8, 16, 24, 28, 32]),
) | st.sampled_from(["::1/128", "::/0", "0.0.0.0/0"])


@given(st.lists(st.lists(NETWORKS, max_size=3), max_size=5), st.integers(0, 255))
def test_the_chain_of_a_peer_has_exactly_the_rules_that_may_act_for_it(sources: list[list[str]], last: int) -> None:
    rules = tuple(Rule(n, Conditions(source=tuple(source)), Respond(204)) for n, source in enumerate(sources, 1))
    peer = f"127.{last % 4}.0.{last}"
    made = chains(Listener("l", Forward((("p", 1),)), rules=rules))
    holding = [chain for chain in made if chain.network and within(peer, chain.network)]
    chosen = max(holding, key=lambda chain: ipaddress.ip_network(chain.network).prefixlen, default=made[-1])
    wanted = [r for r in rules if not r.when.source or any(within(peer, network) for network in r.when.source)]
    assert list(chosen.rules) == wanted


PATHS = st.text("/ab.%-", max_size=8).map(lambda tail: f"/{tail}")


@given(st.lists(st.text("/ab.*?", min_size=1, max_size=6), min_size=1, max_size=3), PATHS)
def test_a_pattern_is_a_regular_expression_over_the_whole_path(patterns: list[str], path: str) -> None:
    (expression,) = match(Conditions(path=tuple(patterns))).values()
    found = re.fullmatch(expression["regex"], path) is not None
    assert found is any(matches_glob(pattern, path) for pattern in patterns)


@given(
    st.lists(PATHS, min_size=1, max_size=3), st.lists(PATHS, min_size=1, max_size=3), PATHS, st.sampled_from(["", "?b"])
)
def test_kinds_of_path_conditions_are_all_held(prefixes: list[str], exact: list[str], path: str, query: str) -> None:
    when = Conditions(path_prefix=tuple(prefixes), path_exact=tuple(exact))
    found = match(when)
    (header,) = found.pop("headers")
    ((kind, value),) = found.items()
    target = re.fullmatch(header["string_match"]["safe_regex"]["regex"], path + query) is not None
    first = path == value if kind == "path" else re.fullmatch(value["regex"], path) is not None
    assert (first and target) is matches_path(when, path)
    assert target is any(has_prefix(path, prefix) for prefix in prefixes)


@given(PATHS, PATHS, PATHS)
def test_a_rewrite_is_one_of_elements(old: str, new: str, path: str) -> None:
    rewrite = Rewrite((old, new))
    said = rewriting(rewrite)
    made = re.sub(said["pattern"]["regex"], said["substitution"], path)
    assert made == rewritten(rewrite, Request(target=path).target)


def test_documents_are_yaml_without_aliases() -> None:
    for text in files(fixed(specials()["special-tcp"])).values():
        assert yaml.safe_load(text)
        assert not re.search(r"[&*]id[0-9]", text)
