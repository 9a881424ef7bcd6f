"""What a product cannot express is said with its place and reason, and never rendered as something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbcheck.errors import Unsupported
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Spec
from lbcheck.targets import find

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


@pytest.mark.parametrize(
    ("product", "spec", "reason"), [("haproxy", *row) for row in HAPROXY] + [("nginx", *row) for row in NGINX]
)
def test_what_cannot_be_said_is_unsupported_with_its_place(
    product: str, spec: Spec, reason: str, tmp_path: Path
) -> None:
    target = find(product)
    assert [found for found in target.unsupported(spec) if found.startswith(reason)] == list(target.unsupported(spec))
    with pytest.raises(Unsupported) as raised:
        target.render(spec, tmp_path)
    assert raised.value.message.startswith(reason)


@pytest.mark.parametrize("product", ["reference", "haproxy", "nginx"])
def test_plain_spec_is_within_the_limits(product: str, tmp_path: Path) -> None:
    target = find(product)
    assert target.unsupported(spec_of()) == ()
    assert target.render(spec_of(), tmp_path).left_out == ()


def test_reference_has_one_worker(tmp_path: Path) -> None:
    spec = fixed(
        loads(
            "listeners: [{name: l, default: {forward: p}}]\npools: {p: {backends: [a]}}\nclaims: {workers: 3}",
            battery=True,
        ).spec
    )
    with pytest.raises(Unsupported, match=r"claims\.workers: .*not 3"):
        find("reference").render(spec, tmp_path)


def test_two_names_that_differ_in_case_are_one_to_nginx() -> None:
    text = "listeners: [{name: l, default: {forward: {p: 1, P: 1}}}]\npools: {p: {backends: [a]}, P: {backends: [a]}}"
    reasons = find("nginx").unsupported(fixed(loads(text, battery=True).spec))
    assert reasons == ("pools.p: nginx's names have no case", "pools.P: nginx's names have no case")


def test_field_that_haproxy_of_this_age_cannot_say_is_told_and_the_rest_is_rendered(tmp_path: Path) -> None:
    target = find("haproxy")
    rendering = target.render(spec_of("health_check: {interval: 1s, timeout: 500ms}"), tmp_path)
    expected = [] if target.version >= "3.1" else ["pools.p.health_check.initial"]
    assert [text.partition(":")[0] for text in rendering.left_out] == expected


def test_shares_that_nginx_rounds_are_told(tmp_path: Path) -> None:
    text = "listeners: [{name: l, default: {forward: {p: 1, q: 2}}}]\npools: {p: {backends: [a]}, q: {backends: [a]}}"
    rendering = find("nginx").render(fixed(loads(text, battery=True).spec), tmp_path)
    assert rendering.left_out == ("listeners.l: shares {'p': 1, 'q': 2} are rounded to 0.01 %",)
