"""What a product cannot express is said with its place and reason, and never rendered as something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbcheck.errors import Unsupported
from lbcheck.features import Feature
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Spec
from lbcheck.targets import caddy_limits, find
from lbcheck.targets.envoy import features

from .reduced import fixed


def spec_of(pool: str = "", listener: str = "", rule: str = "", backends: str = "[a, b]") -> Spec:
    """One listener and one pool with these fields."""
    rules = f"rules: [{{priority: 1, {rule}}}]," if rule else ""
    listeners = f"listeners: [{{name: l, default: {{forward: p}}, {rules} {listener}}}]"
    pools = f"pools: {{p: {{backends: {backends}, {pool}}}}}"
    return fixed(loads(f"{listeners}\n{pools}", battery=True).spec)


PASSIVE = "passive_health: {failures: 2, count: window, within: 2s, ejection: 2s, on: [connect, reset, timeout]}"

HAPROXY = [
    (spec_of("algorithm: weighted_round_robin, order: burst"), "pools.p.order: "),
    (spec_of("algorithm: source_ip_hash, slow_start: 3s, health_check: {interval: 1s}"), "pools.p.slow_start: "),
    (spec_of("timeouts: {connect: 0.5ms}"), "pools.p.timeouts.connect: HAProxy's timers count milliseconds"),
    (spec_of("health_check: {interval: 1.0005s, timeout: 1s}"), "pools.p.health_check.interval: "),
    (spec_of("retries: {attempts: 1, on: [connect, 5xx]}"), "pools.p.retries.on: 'retry-on' knows 401"),
    (spec_of("statuses: {refused: 502}"), "pools.p.statuses.refused: HAProxy answers 503"),
    (spec_of("stickiness: {type: lb_cookie, duration: 1500ms}"), "pools.p.stickiness.duration: 'maxlife' counts whole"),
    (spec_of(listener="forwarded: {host: backend}"), "listeners.l.forwarded.host: "),
    (spec_of(listener="idle_timeout: 0.1ms"), "listeners.l.idle_timeout: "),
    (spec_of(rule="when: {path: /}, then: {forward: {p: 0}}"), "listeners.l.rules.1.then: all weights are zero"),
    (spec_of(rule='when: {path: /}, then: {respond: {status: 200, body: "a\\nb"}}'), "listeners.l.rules.1.then.body: "),
]
NGINX = [
    (spec_of("algorithm: weighted_round_robin, order: burst"), "pools.p.order: "),
    (spec_of("algorithm: random", backends="[a, {name: b, backup: true}]"), "pools.p.backends: 'backup'"),
    (spec_of("algorithm: consistent_hash, hash_key: 'cookie:a-b'"), "pools.p.hash_key: nginx has no variable for "),
    (spec_of("retries: {attempts: 1, on: connect}"), "pools.p.retries.on: 'proxy_next_upstream error'"),
    (spec_of("retries: {attempts: 1, on: [connect, reset, 501]}"), "pools.p.retries.on: 'proxy_next_upstream' knows"),
    (spec_of("statuses: {none_usable: 503}"), "pools.p.statuses.none_usable: nginx answers 502"),
    (spec_of(PASSIVE.replace("window", "consecutive")), "pools.p.passive_health.count: "),
    (spec_of(PASSIVE.replace("ejection: 2s", "ejection: 3s")), "pools.p.passive_health: 'fail_timeout' is both"),
    (spec_of(PASSIVE.replace("2s", "1500ms")), "pools.p.passive_health.ejection: 'fail_timeout' counts whole seconds"),
    (spec_of(PASSIVE.replace("failures", "max_ejected: 50%, failures")), "pools.p.passive_health.max_ejected: "),
    (spec_of(PASSIVE.replace(", timeout]", "]")), "pools.p.passive_health.on: nginx always counts timeout as failures"),
    (spec_of(PASSIVE.replace("timeout]", "timeout, 503]")), "pools.p.passive_health.on: nginx counts exactly those"),
    (spec_of(listener="forwarded: {host: backend}"), "listeners.l.forwarded.host: "),
    (spec_of(rule="when: {cookie: {a.b: x}}, then: {forward: p}"), "listeners.l.rules.1.when.cookie: "),
    (spec_of(rule="when: {header: {a_b: x}}, then: {forward: p}"), "listeners.l.rules.1.when.header: "),
    (spec_of(rule="when: {path: /}, then: {respond: {status: 200, body: 1$}}"), "listeners.l.rules.1.then.body: "),
    (spec_of(rule="when: {path: /}, then: {respond: {status: 444}}"), "listeners.l.rules.1.then: 'return 444'"),
]

ONE_FAILURE = "passive_health: {failures: 1, ejection: 2s, on: [connect, timeout, 503]}"
HTTPD = [
    (spec_of("algorithm: weighted_round_robin, order: burst"), "pools.p.order: httpd's byrequests is smooth"),
    (spec_of(backends="[{name: a, weight: 101}, b]"), "pools.p.backends.a.weight: httpd's loadfactors end at 100"),
    (spec_of("timeouts: {response: 1500ms}"), "pools.p.timeouts.response: 'timeout' counts whole seconds, not 1.5"),
    (spec_of("timeouts: {idle: 500ms}"), "pools.p.timeouts.idle: 'ttl' counts whole seconds, not 0.5"),
    (spec_of("timeouts: {connect: 0.5ms}"), "pools.p.timeouts.connect: httpd's timers count milliseconds"),
    (spec_of("health_check: {interval: 50ms, timeout: 10ms}"), "pools.p.health_check.interval: httpd's watchdog"),
    (spec_of("health_check: {port: 9999}"), "pools.p.health_check.port: mod_proxy_hcheck checks"),
    (spec_of("health_check: {host: a.test}"), "pools.p.health_check.host: mod_proxy_hcheck has no word"),
    (spec_of("health_check: {method: POST}"), "pools.p.health_check.method: 'hcmethod' knows GET, HEAD, OPTIONS"),
    (spec_of("retries: {attempts: 1, on: [connect, reset]}"), "pools.p.retries.on: httpd tries another member"),
    (spec_of("statuses: {refused: 502}"), "pools.p.statuses.refused: httpd answers 503"),
    (spec_of(ONE_FAILURE.replace("failures: 1", "failures: 2")), "pools.p.passive_health.failures: one failure"),
    (spec_of(ONE_FAILURE.replace("timeout,", "reset,")), "pools.p.passive_health.on: httpd takes a member out where"),
    (spec_of(ONE_FAILURE.replace("503", "5xx")), "pools.p.passive_health.on: 'failonstatus' is a list"),
    (spec_of(ONE_FAILURE.replace("2s", "2500ms")), "pools.p.passive_health.ejection: 'retry' counts whole seconds"),
    (spec_of(ONE_FAILURE.replace("failures", "max_ejected: 50%, failures")), "pools.p.passive_health.max_ejected: "),
    (spec_of(listener="idle_timeout: 0.1ms"), "listeners.l.idle_timeout: "),
    (spec_of(rule="when: {path: /}, then: {forward: {p: 0}}"), "listeners.l.rules.1.then: all weights are zero"),
    (spec_of(rule="when: {path: /}, then: {respond: {status: 299}}"), "listeners.l.rules.1.then: 'Redirect' and"),
    (spec_of(rule="when: {path: /}, then: {redirect: {status: 399}}"), "listeners.l.rules.1.then: httpd has no status"),
    (
        spec_of(rule="""when: {path: /}, then: {redirect: {path: "/'\\""}}"""),
        "listeners.l.rules.1.then: an argument of",
    ),
    (
        spec_of(rule="when: {path: /}, then: {forward: p}, rewrite: {path_prefix: [/a, '/b,c']}"),
        "listeners.l.rules.1.rewr",
    ),
]
CHECK = "health_check: {healthy_threshold: 1, unhealthy_threshold: 1}"
CADDY = [
    (spec_of("health_check: {unhealthy_threshold: 1}"), "pools.p.health_check: one result decides in Caddy before 2.8"),
    (spec_of(CHECK.replace("{", "{method: HEAD, ")), "pools.p.health_check.method: Caddy probes with GET before 2.9"),
    (spec_of(CHECK.replace("{", "{success_codes: '200,204', ")), "pools.p.health_check.success_codes: 'expect_status'"),
    (spec_of(PASSIVE.replace("window", "consecutive")), "pools.p.passive_health.count: "),
    (spec_of(PASSIVE.replace("ejection: 2s", "ejection: 3s")), "pools.p.passive_health: 'fail_duration' is both"),
    (spec_of(PASSIVE.replace("failures", "max_ejected: 50%, failures")), "pools.p.passive_health.max_ejected: "),
    (spec_of(PASSIVE.replace(", timeout]", "]")), "pools.p.passive_health.on: Caddy always counts timeout as failures"),
    (spec_of("retries: {attempts: 1, on: reset}"), "pools.p.retries.on: Caddy "),
    (spec_of("retries: {attempts: 1, on: [connect, reset]}"), "pools.p.retries.on: Caddy repeats what was reset and"),
    (spec_of("retries: {attempts: 1, on: [connect, 503]}"), "pools.p.retries.on: Caddy takes a status such as 503"),
    (spec_of("statuses: {refused: 503}"), "pools.p.statuses.refused: Caddy answers 502"),
    (spec_of("max_connections: 3"), "pools.p.timeouts.queue: "),
    (spec_of("algorithm: consistent_hash, hash_key: path"), "pools.p.hash_key: 'uri_hash' hashes the query"),
    (spec_of("algorithm: consistent_hash, hash_key: 'cookie:c'"), "pools.p.hash_key: the 'cookie' policy sets"),
    (spec_of("algorithm: consistent_hash, hash_key: 'query:q'"), "pools.p.hash_key: the 'query' policy is there since"),
    (
        spec_of("algorithm: random", backends="[{name: a, weight: 2}, b]"),
        "pools.p.backends: Caddy's random has no weigh",
    ),
    (spec_of("stickiness: {}, algorithm: least_connections"), "pools.p.algorithm: the 'cookie' policy sends new"),
    (spec_of(backends="[a, b, {name: c, backup: true}]"), "pools.p.backends: the 'first' policy has one upstream"),
    (spec_of(listener="forwarded: {x_forwarded_for: preserve}"), "listeners.l.forwarded.x_forwarded_for: "),
    (
        spec_of(listener="forwarded: {x_forwarded_for: replace, x_forwarded_proto: preserve}"),
        "listeners.l.forwarded.x_",
    ),
    (spec_of(rule="when: {path: /}, then: {forward: {p: 0}}"), "listeners.l.rules.1.then: all weights are zero"),
    (spec_of(rule="when: {query: {'a b': x}}, then: {forward: p}"), "listeners.l.rules.1.when.query: "),
    (spec_of(rule="when: {path: /}, then: {redirect: {path: '/#{host}'}}"), "listeners.l.rules.1.then: Caddy's placeh"),
]
IN_A_ROW = "passive_health: {failures: 2, on: [connect, reset, timeout]}"
ENVOY = [
    (spec_of("algorithm: weighted_round_robin, order: burst"), "pools.p.order: "),
    (spec_of("algorithm: random", backends="[{name: a, weight: 2}, b]"), "pools.p.backends: Envoy's random takes no"),
    (spec_of("algorithm: source_ip_hash, slow_start: 3s"), "pools.p.slow_start: "),
    (spec_of("timeouts: {connect: 0.5ms}"), "pools.p.timeouts.connect: Envoy's timers count milliseconds"),
    (spec_of("all_unhealthy: fail_open", backends=str([f"b{n}" for n in range(101)])), "pools.p.all_unhealthy: "),
    (spec_of("health_check: {initial: healthy}"), "pools.p.health_check.initial: "),
    (spec_of("health_check: {method: PURGE}"), "pools.p.health_check.method: Envoy's checks know GET"),
    (spec_of("retries: {attempts: 1, on: reset}"), "pools.p.retries.on: Envoy's 'reset' is connect and reset"),
    (spec_of("retries: {attempts: 1, on: [connect, timeout]}"), "pools.p.retries.on: Envoy repeats a time-out by"),
    (spec_of("retries: {attempts: 1, on: [connect, 5xx]}"), "pools.p.retries.on: Envoy's '5xx' is connect, reset"),
    (spec_of("retries: {attempts: 1, on: [connect, 4xx]}"), "pools.p.retries.on: Envoy's 'retriable-4xx' is 409"),
    (spec_of(PASSIVE), "pools.p.passive_health.count: "),
    (spec_of(IN_A_ROW.replace("]", ", 503]")), "pools.p.passive_health.on: Envoy counts connect, reset and timeout"),
    (spec_of(IN_A_ROW.replace("{", "{max_ejected: 33.5%, ")), "pools.p.passive_health.max_ejected: "),
    (spec_of("stickiness: {http_only: false}"), "pools.p.stickiness.http_only: Envoy's session cookie is always"),
    (spec_of("stickiness: {duration: 1500ms}"), "pools.p.stickiness.duration: a cookie's age counts whole seconds"),
    (spec_of(listener="forwarded: {x_forwarded_proto: preserve}"), "listeners.l.forwarded.x_forwarded_proto: "),
    (spec_of(rule="when: {path: /}, then: {forward: {p: 0}}"), "listeners.l.rules.1.then: all weights are zero"),
    (spec_of(rule="when: {path: /}, then: {redirect: {status: 305}}"), "listeners.l.rules.1.then: Envoy redirects"),
    (spec_of(rule="when: {path: /}, then: {redirect: {host: 'w.#{host}'}}"), "listeners.l.rules.1.then.host: "),
    (spec_of(rule="when: {path: /}, then: {redirect: {path: '/#{host}'}}"), "listeners.l.rules.1.then.path: "),
    (spec_of(rule="when: {path: /}, then: {redirect: {query: 'a=#{query}'}}"), "listeners.l.rules.1.then.query: "),
    (spec_of(rule="when: {path: /}, then: {redirect: {query: 'a=1'}}"), "listeners.l.rules.1.then.query: Envoy takes"),
]
ROWS = {"haproxy": HAPROXY, "nginx": NGINX, "caddy": CADDY, "httpd": HTTPD, "envoy": ENVOY}


@pytest.mark.parametrize(
    ("product", "spec", "reason"), [(product, *row) for product, rows in ROWS.items() for row in rows]
)
def test_what_cannot_be_said_is_unsupported_with_its_place(
    product: str, spec: Spec, reason: str, tmp_path: Path
) -> None:
    target = find(product)
    assert [found for found in target.unsupported(spec) if found.startswith(reason)] == list(target.unsupported(spec))
    with pytest.raises(Unsupported) as raised:
        target.render(spec, tmp_path)
    assert raised.value.message.startswith(reason)


@pytest.mark.parametrize("product", ["reference", "haproxy", "nginx", "envoy", "caddy", "httpd"])
def test_plain_spec_is_within_the_limits(product: str, tmp_path: Path) -> None:
    target = find(product)
    assert target.unsupported(spec_of()) == ()
    assert target.render(spec_of(), tmp_path).left_out == ()


def test_the_one_worker_of_the_reference_stands_for_all(tmp_path: Path) -> None:
    spec = fixed(
        loads(
            "listeners: [{name: l, default: {forward: p}}]\npools: {p: {backends: [a]}}\nclaims: {workers: 3}",
            battery=True,
        ).spec
    )
    assert find("reference").unsupported(spec) == ()
    assert "in place of 3 workers" in find("reference").render(spec, tmp_path).left_out[0]


def test_two_names_that_differ_in_case_are_one_to_nginx() -> None:
    text = "listeners: [{name: l, default: {forward: {p: 1, P: 1}}}]\npools: {p: {backends: [a]}, P: {backends: [a]}}"
    reasons = find("nginx").unsupported(fixed(loads(text, battery=True).spec))
    assert reasons == ("pools.p: nginx's names have no case", "pools.P: nginx's names have no case")


def test_field_that_haproxy_of_this_age_cannot_say_is_told_and_the_rest_is_rendered(tmp_path: Path) -> None:
    target = find("haproxy")
    rendering = target.render(spec_of("health_check: {interval: 1s, timeout: 500ms}"), tmp_path)
    expected = [] if target.version >= "3.1" else ["pools.p.health_check.initial"]
    assert [text.partition(":")[0] for text in rendering.left_out] == expected


def test_weights_between_pools_are_unsupported_by_caddy_and_a_pool_probed_by_two_servers_too() -> None:
    pools = f"pools: {{p: {{backends: [a], {CHECK}}}, q: {{backends: [a]}}}}"
    weighted = fixed(
        loads(f"listeners: [{{name: l, default: {{forward: {{p: 1, q: 2}}}}}}]\n{pools}", battery=True).spec
    )
    assert find("caddy").unsupported(weighted) == ("listeners.l.default: Caddy's routes have no weights",)
    listeners = "listeners: [{name: l, default: {forward: p}}, {name: m, default: {forward: p}}]"
    (reason,) = find("caddy").unsupported(fixed(loads(f"{listeners}\n{pools}", battery=True).spec))
    assert reason.startswith("pools.p.health_check: each server of Caddy probes for itself, and l, m forward")


def test_what_httpd_cannot_say_of_a_pool_that_it_serves_is_told(tmp_path: Path) -> None:
    rendering = find("httpd").render(spec_of("health_check: {}, stickiness: {}"), tmp_path)
    told = [text.partition(": ")[0] for text in rendering.left_out]
    assert told == ["pools.p.health_check.initial", "pools.p.health_check.timeout", "pools.p.stickiness.duration"]


def test_httpd_takes_a_member_out_by_one_failure() -> None:
    assert find("httpd").unsupported(spec_of(ONE_FAILURE)) == ()


def test_newer_caddy_knows_more() -> None:
    named = "stickiness: {}, algorithm: round_robin, health_check: {method: HEAD, unhealthy_threshold: 4}"
    assert list(caddy_limits.limits(spec_of(named), "2.9.0")) == []
    assert caddy_limits.lack(Feature.PROXY_PROTOCOL, "2.7.0") == ""
    assert caddy_limits.lack(Feature.PROXY_PROTOCOL, "2.6.2") == "Caddy knows this since 2.7, and this is 2.6.2"


@pytest.mark.parametrize(
    ("codes", "said"),
    [("200", 200), ("200-299", 2), ("200-399", 0), ("200-201", None), ("200-499", None), ("204,200", None)],
)
def test_status_codes_in_caddys_words(codes: str, said: int | None) -> None:
    assert caddy_limits.status_class(codes) == said


TWO_POOLS = """
listeners: [{name: l, default: {forward: {p: 1, q: 1}}}]
pools:
  p: {backends: [a], %s}
  q: {backends: [a], %s}
"""


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (
            "retries: {attempts: 1}",
            "",
            "listeners.l.default: retries stands in Envoy's route, and p and q differ in it",
        ),
        ("timeouts: {response: 2s}", "", "listeners.l.default: timeouts.response stands in Envoy's route"),
        ("algorithm: source_ip_hash", "algorithm: consistent_hash", "listeners.l.default: what is hashed stands in"),
        ("statuses: {refused: 502}", "statuses: {refused: 504}", "listeners.l: its pools declare different statuses"),
    ],
)
def test_pools_that_share_a_route_of_envoy_have_to_agree(one: str, other: str, reason: str) -> None:
    reasons = find("envoy").unsupported(fixed(loads(TWO_POOLS % (one, other), battery=True).spec))
    assert [found.startswith(reason) for found in reasons] == [True]
    assert find("envoy").unsupported(fixed(loads(TWO_POOLS % (one, one), battery=True).spec)) == ()


def test_envoy_of_an_older_version_trusts_no_networks() -> None:
    assert features("1.40.0") - features("1.31.5") == {Feature.TRUSTED_FORWARDED}


def test_what_envoy_times_as_a_whole_is_told(tmp_path: Path) -> None:
    rendering = find("envoy").render(spec_of("retries: {attempts: 1, on: [connect, reset]}"), tmp_path)
    assert [text.partition(":")[0] for text in rendering.left_out] == ["pools.p.timeouts.response"]


def test_shares_that_nginx_rounds_are_told(tmp_path: Path) -> None:
    text = "listeners: [{name: l, default: {forward: {p: 1, q: 2}}}]\npools: {p: {backends: [a]}, q: {backends: [a]}}"
    rendering = find("nginx").render(fixed(loads(text, battery=True).spec), tmp_path)
    assert rendering.left_out == ("listeners.l: shares {'p': 1, 'q': 2} are rounded to 0.01 %",)
