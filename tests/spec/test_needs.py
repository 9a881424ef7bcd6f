from __future__ import annotations

import pytest

from lbcheck.features import Feature
from lbcheck.spec.battery import battery
from lbcheck.spec.loading import loads
from lbcheck.spec.model import HealthCheck
from lbcheck.spec.needs import Need, features_needed

pytestmark = pytest.mark.fast
NEEDED_BY_CHECKS_ALONE = {
    Feature.REGISTER,
    Feature.REWEIGH,
    Feature.INITIAL_STATE,
    Feature.SLOW_START_OF_NEW,
    Feature.SLOW_START_LEAST,
    Feature.BACKPRESSURE,
    Feature.DRAIN_ENDS,
    Feature.RETRIES_NO_CONNECTION,
    Feature.UPSTREAM_IDLE,
}
PLAIN = {Feature.HTTP, Feature.ROUND_ROBIN}


def needed(pool: str = "max_connections: 0", listener: str = "", claims: str = "{}") -> set[Feature]:
    text = (
        f"listeners: {{name: public, default: {{forward: web}}, {listener}}}\n"
        f"pools: {{web: {{backends: a, {pool}}}}}\nclaims: {claims}\n"
    )
    return {need.feature for need in features_needed(loads(text, battery=True).spec)}


def test_a_plain_pool_needs_its_protocol_and_its_algorithm() -> None:
    assert needed() == PLAIN


@pytest.mark.parametrize(
    ("words", "features"),
    [
        ("health_check: {}", {Feature.HTTP_CHECK}),
        ("health_check: {protocol: TCP, success_codes: 200}", {Feature.TCP_CHECK}),
        ("health_check: {success_codes: 200}", {Feature.HTTP_CHECK, Feature.SUCCESS_CODES}),
        ("health_check: {protocol: GRPC}", {Feature.GRPC_CHECK}),
        ("passive_health: {}", {Feature.PASSIVE_HEALTH}),
        ("slow_start: 5s", {Feature.SLOW_START}),
        ("all_unhealthy: fail_open", {Feature.FAIL_OPEN}),
        ("stickiness: {}", {Feature.LB_COOKIE}),
        ("stickiness: {type: app_cookie, cookie: A}", {Feature.APP_COOKIE}),
        ("stickiness: {type: source_ip}", {Feature.SOURCE_IP_STICKINESS}),
        ("retries: {attempts: 1}", {Feature.RETRIES}),
        ("retries: {attempts: 0}", set()),
        ("max_connections: 5", {Feature.MAX_CONNECTIONS}),
        ("proxy_protocol: v2", {Feature.PROXY_PROTOCOL}),
        ("resolve: 10s", {Feature.RESOLVE}),
        ("protocol: H2C", {Feature.H2C}),
    ],
)
def test_words_of_a_pool(words: str, features: set[Feature]) -> None:
    assert needed(pool=words) - PLAIN == features


@pytest.mark.parametrize(
    ("words", "features"),
    [
        ("http2: true", {Feature.HTTP2}),
        ("protocol: HTTPS", {Feature.HTTPS}),
        ("forwarded: {}", {Feature.X_FORWARDED}),
        ("forwarded: {trust: 10.0.0.0/8}", {Feature.X_FORWARDED, Feature.TRUSTED_FORWARDED}),
        ("rules: {priority: 1, when: {path: /a}, then: {redirect: {}}}", {Feature.PATH_RULES, Feature.REDIRECT}),
        ("rules: {priority: 1, when: {query: {q: a*}}, then: {forward: web}}", {Feature.QUERY_RULES}),
        (
            "rules: {priority: 1, when: {query: {q: a b}}, then: {forward: web}}",
            {Feature.QUERY_RULES, Feature.QUERY_DECODING},
        ),
        ("rules: {priority: 1, when: {path_regex: a}, then: {respond: {}}}", {Feature.PATH_REGEX, Feature.RESPOND}),
        (
            "rules: {priority: 1, when: {source: 10.0.0.0/8}, then: {forward: web}, rewrite: {path_prefix: [/a, /]}}",
            {Feature.SOURCE_RULES, Feature.REWRITE},
        ),
    ],
)
def test_words_of_a_listener(words: str, features: set[Feature]) -> None:
    assert needed(listener=words) - PLAIN == features


def test_claims() -> None:
    assert needed(claims="{reload: lossless, websocket: true}") - PLAIN == {Feature.RELOAD, Feature.WEBSOCKET}
    assert needed(claims="{websocket: false}") == PLAIN


def test_a_need_says_where_and_why() -> None:
    needs = features_needed(battery()["weighted-forward"].spec)
    where = "listeners.public.rules.10.then.forward"
    assert Need(Feature.WEIGHTED_FORWARD, where, "forward: {stable: 90, canary: 10}") in needs
    assert Need(Feature.PATH_RULES, "listeners.public.rules.10.when.path_prefix", "path_prefix: /app") in needs


def test_the_battery_asks_for_these_features_and_leaves_these_out() -> None:
    asked = {need.feature for loaded in battery().values() for need in features_needed(loaded.spec)}
    assert set(Feature) - asked == {
        Feature.HTTPS_CHECK,
        Feature.GRPC_CHECK,
        *NEEDED_BY_CHECKS_ALONE,
        Feature.RESOLVE,
        Feature.PROXY_PROTOCOL,
        Feature.HTTPS,
        Feature.TCP,
        Feature.TLS,
        Feature.UDP,
        Feature.HTTP2,
        Feature.H2C,
    }


def test_usual_codes_are_the_models_own() -> None:
    assert HealthCheck().success_codes == "200-299"
