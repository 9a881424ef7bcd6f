from __future__ import annotations

from pathlib import Path

import pytest

from lbcheck.errors import Location
from lbcheck.spec.loading import LoadedSpec, load, loads
from lbcheck.spec.model import (
    Algorithm,
    Claims,
    Forward,
    Forwarded,
    HealthCheck,
    PassiveHealth,
    Protocol,
    Redirect,
    Respond,
    Retries,
    Rewrite,
    Slo,
    Spec,
    Statuses,
    Stickiness,
)

pytestmark = pytest.mark.fast
EXAMPLE = Path(__file__).parent / "examples" / "everything.yaml"
HEAD = "listeners: [{name: public, address: 127.0.0.1, port: 8080, default: {forward: web}}]\npools:\n  web:\n"
BACKENDS = '    backends: ["127.0.0.1:9001"]\n'


def pool_file(*lines: str) -> str:
    return HEAD + BACKENDS + "".join(f"    {line}\n" for line in lines)


def rule_file(*rules: str) -> LoadedSpec:
    lines = "".join(f"      - {rule}\n" for rule in rules)
    head = f"listeners:\n  - name: public\n    rules:\n{lines}    default: {{forward: web}}\n"
    return loads(head + "pools: {web: {backends: [a]}, api: {backends: [a]}}", battery=True)


def findings(loaded: LoadedSpec) -> list[str]:
    return [str(finding) for finding in loaded.findings]


def test_the_example_with_every_word_loads() -> None:
    spec = load(EXAMPLE).spec
    (rule,), api = spec.listeners[0].rules, spec.pool("api")
    assert rule.when.header == (("User-Agent", ("*Mobile*",)),)
    assert rule.when.path_regex == ("^/r[0-9]+$",)
    assert rule.rewrite == Rewrite(("/api", "/"))
    assert spec.listeners[0].forwarded == Forwarded()
    assert api.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN
    assert [backend.weight for backend in api.backends] == [3, 1]
    assert api.health_check == HealthCheck(path="/health", success_codes="200-299,301")
    assert api.passive_health == PassiveHealth()
    assert api.stickiness == Stickiness()
    assert api.retries == Retries(1, ("connect", "reset", "timeout", "503"))
    assert api.statuses == Statuses(503, 502, 502, 504)
    assert spec.claims == Claims(1, "lossless", 5.0, True, True)
    assert spec.slo == Slo(0.25, 0.001, 15.0)


def test_places_lead_to_lines() -> None:
    places = load(EXAMPLE).places
    lines = EXAMPLE.read_text().splitlines()
    for path, word in {
        "pools.api": "api:",
        "pools.api.deregistration_delay": "deregistration_delay:",
        "pools.api.backends.a.weight": "weight: 3",
        "listeners.public.rules.10.when.path": "path:",
        "listeners.public.rules.10.when.header.User-Agent": "User-Agent",
        "listeners.public.default.forward": "forward: web",
        "claims.workers": "workers: 1",
    }.items():
        at = places[path]
        assert word in lines[at.line - 1], path
        assert at.file == str(EXAMPLE)


def test_a_scalar_stands_for_a_list_of_one_and_a_text_for_a_backend() -> None:
    loaded = loads("listeners: {name: public, default: {forward: web}}\npools: {web: {backends: a}}", battery=True)
    assert [backend.name for backend in loaded.spec.pool("web").backends] == ["a"]
    assert loads(pool_file()).spec.pool("web").backends[0].name == "127.0.0.1:9001"


def test_booleans_are_those_of_yaml_1_2() -> None:
    pool = loads(pool_file("retries: {attempts: 1, on: [connect, 503]}", "passive_health: {on: 5xx}")).spec.pool("web")
    assert pool.retries.on == ("connect", "503")
    assert pool.passive_health == PassiveHealth(on=("5xx",))
    assert rule_file("{priority: 1, when: {cookie: {beta: yes, on: off}}, then: {forward: api}}").spec.listeners[
        0
    ].rules[0].when.cookie == (("beta", ("yes",)), ("on", ("off",)))


def test_anchors_and_merges_are_resolved_and_what_is_written_wins() -> None:
    text = (
        "listeners: [{name: l, default: {forward: one}}]\n"
        "pools:\n"
        "  one: &one {backends: [a, b], slow_start: 5s}\n"
        "  two: {<<: *one, slow_start: 7s}\n"
    )
    spec = loads(text, battery=True).spec
    assert spec.pool("two").backends == spec.pool("one").backends
    assert (spec.pool("one").slow_start, spec.pool("two").slow_start) == (5.0, 7.0)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("{forward: api}", Forward((("api", 1),))),
        ("{forward: {web: 90, api: 10}}", Forward((("web", 90), ("api", 10)))),
        ("{redirect: {status: 301, protocol: HTTPS, port: 443}}", Redirect(301, "HTTPS", port="443")),
        ("{respond: {status: 403, body: no}}", Respond(403, "no")),
    ],
)
def test_actions(text: str, action: object) -> None:
    loaded = rule_file(f"{{priority: 1, when: {{path: /x}}, then: {text}}}")
    assert loaded.spec.listeners[0].rules[0].then == action


def test_silence_may_be_said_by_its_word() -> None:
    lines = "health_check: {port: traffic, host: null}", "stickiness: {duration: session}"
    pool = loads(pool_file(*lines)).spec.pool("web")
    assert pool.health_check is not None
    assert pool.stickiness is not None
    assert (pool.health_check.port, pool.health_check.host, pool.stickiness.duration) == (None, None, None)


def test_udp_and_tcp_may_share_a_port() -> None:
    text = (
        "listeners:\n"
        "  - {name: tcp, protocol: TCP, address: 127.0.0.1, port: 53, default: {forward: t}}\n"
        "  - {name: udp, protocol: UDP, address: 127.0.0.1, port: 53, default: {forward: u}}\n"
        'pools: {t: {protocol: TCP, backends: "127.0.0.1:5301"}, u: {protocol: UDP, backends: "127.0.0.1:5301"}}\n'
    )
    assert [x.protocol for x in loads(text).spec.listeners] == [Protocol.TCP, Protocol.UDP]


def test_nothing_is_claimed_about_forwarded_headers_where_nothing_is_said() -> None:
    assert loads(pool_file()).spec.listeners[0].forwarded is None
    said = loads(pool_file().replace("port: 8080", "port: 8080, forwarded: {}"))
    assert said.spec.listeners[0].forwarded == Forwarded()


def test_a_plain_file_has_no_findings() -> None:
    assert loads(pool_file("health_check: {}")).findings == ()


@pytest.mark.parametrize(
    ("lines", "finding"),
    [
        (["health_check: {interval: 2s, timeout: 5s}"], "pools.web.health_check.timeout: the timeout is longer"),
        (["stickiness: {type: app_cookie}"], "pools.web.stickiness: app_cookie without the cookie's name"),
        (["order: smooth"], "pools.web.order: order has no meaning for round_robin"),
        (["hash_key: path"], "pools.web.hash_key: hash_key has no meaning"),
        (["passive_health: {max_ejected: 0%}"], "pools.web.passive_health.max_ejected: nothing may be ejected"),
    ],
)
def test_what_is_doubtful_is_found_with_its_line_and_still_loads(lines: list[str], finding: str) -> None:
    assert [text for text in findings(loads(pool_file(*lines))) if f"lb.yaml:5: {finding}" in text]


@pytest.mark.parametrize(
    ("backends", "finding"),
    [
        ("[]", "no backends"),
        ("[{name: a, weight: 0}]", "all weights are zero"),
        ("[{name: a, backup: true}]", "all backends are backups"),
        ("[{name: a, weight: 2}, b]", "round_robin does not look at the weights"),
        ('["127.0.0.1:1", {name: b, address: "127.0.0.1:1"}]', "the same address as backend 127.0.0.1:1"),
    ],
)
def test_doubtful_backends_are_found(backends: str, finding: str) -> None:
    loaded = loads(f"{HEAD}    backends: {backends}\n", battery=True)
    assert [text for text in findings(loaded) if finding in text and "lb.yaml:" in text]


def test_unused_pools_and_forwards_to_nobody_are_found() -> None:
    loaded = rule_file("{priority: 1, when: {path: /x}, then: {forward: {web: 0}}}")
    assert findings(loaded) == [
        "lb.yaml:4: listeners.public.rules.1.then: all weights are zero, so nothing can be forwarded",
        "lb.yaml:6: pools.api: unused: no listener and no rule forwards to it",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("path: /api/*", "path: /api/v1/*"),
        ("path: /api/*", "path_exact: /api/v1"),
        ("path_prefix: /api", "path: /api/*"),
        ("path_prefix: /api", "path_prefix: /api/v1, host: a.test"),
        ("host: '*.TEST'", "host: a.test, method: GET"),
        ("source: 127.0.0.0/8", "source: 127.1.0.0/16"),
        ("header: {x-a: '*'}", "header: {X-A: b}"),
        ("path_regex: ^/a", "path_exact: /ab"),
    ],
)
def test_a_rule_within_an_earlier_one_is_named_as_shadowed(first: str, second: str) -> None:
    loaded = rule_file(
        f"{{priority: 1, name: wide, when: {{{first}}}, then: {{forward: api}}}}",
        f"{{priority: 2, when: {{{second}}}, then: {{forward: api}}}}",
    )
    assert findings(loaded) == [
        "lb.yaml:5: listeners.public.rules.2: shadowed: all that it matches is taken by rule 1 (wide)"
    ]


def test_a_rule_that_nothing_can_meet_is_found() -> None:
    loaded = rule_file("{priority: 1, when: {path_prefix: /a, path_exact: /b}, then: {forward: api}}")
    assert "no request was found that reaches it" in findings(loaded)[0]


def test_what_was_filled_in_is_listed_as_a_user_would_write_it() -> None:
    filled = loads(pool_file("health_check: {timeout: 1s}")).filled
    assert "pools.web.health_check.interval = 30s" in filled
    assert "pools.web.timeouts.connect = 1s" in filled
    assert not [line for line in filled if "timeout = 1s" in line]


def test_a_location_is_a_file_and_a_line() -> None:
    assert str(loads(pool_file()).places["pools.web"]) == "lb.yaml:3"
    assert loads(pool_file()).places["pools.web"] == Location("lb.yaml", 3, 3)


def test_a_spec_is_a_value() -> None:
    assert loads(pool_file()).spec == loads(pool_file()).spec
    assert isinstance(hash(loads(pool_file()).spec), int)
    assert isinstance(loads(pool_file()).spec, Spec)
