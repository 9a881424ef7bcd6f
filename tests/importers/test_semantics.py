"""The manual's defaults and meanings, one small file each; what the spec cannot say is refused with its line."""

from __future__ import annotations

import pytest

from lbcheck.importers.haproxy.health import codes_of
from lbcheck.importers.haproxy.samples import glob_of
from lbcheck.spec.model import Algorithm, Forward, HealthCheck, Protocol, Retries, Stickiness, Timeouts

from .production import from_text, refusals

pytestmark = pytest.mark.fast
HEAD = "defaults\n mode http\nlisten a\n bind 127.0.0.1:80\n"  # lines 1 to 4
SERVER = " server s 127.0.0.1:81\n"


def pool(lines: str):  # type: ignore[no-untyped-def]
    return from_text(HEAD + lines).spec.pools[0]


def rules(lines: str):  # type: ignore[no-untyped-def]
    return from_text(HEAD + lines + SERVER + "backend b\n server t 127.0.0.1:82\n").spec.listeners[0]


def test_a_check_that_says_nothing_more() -> None:
    assert pool(" server s 127.0.0.1:81 check\n").health_check == HealthCheck(
        protocol=Protocol.TCP, interval=2.0, timeout=2.0, healthy_threshold=2, unhealthy_threshold=3, initial="healthy"
    )


def test_httpchk_asks_for_options_and_takes_redirects() -> None:
    check = pool(" option httpchk\n server s 127.0.0.1:81 check\n").health_check
    assert (check.protocol, check.method, check.path, check.success_codes) == (Protocol.HTTP, "OPTIONS", "/", "200-399")


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("status 200-299,301", "200-299,301"),
        ("! status 500-599", "100-499"),
        ("rstatus ^2", "200-299"),
        ("rstatus (2|3)[0-9][0-9]", "200-399"),
        ("! rstatus ^5", "100-499"),
    ],
)
def test_expected_statuses(words: str, codes: str) -> None:
    assert codes_of(words.split()) == codes


@pytest.mark.parametrize(
    ("lines", "retries"),
    [
        ("", Retries(0)),  # three repeats, all to the same server
        (" option redispatch\n", Retries(1)),
        (" option redispatch 1\n", Retries(3)),
        (" option redispatch 1\n retries 2\n retry-on conn-failure 503\n", Retries(2, ("connect", "503"), True)),
        (" option redispatch 1\n no option redispatch\n", Retries(0)),
    ],
)
def test_repeats(lines: str, retries: Retries) -> None:
    assert pool(lines + SERVER).retries == retries


def test_what_waits_for_a_connection_waits_for_the_queue() -> None:
    lines = " timeout connect 3s\n timeout server 9s\n"
    assert pool(lines + SERVER).timeouts == Timeouts(connect=3.0, response=9.0, queue=3.0)


@pytest.mark.parametrize(
    ("line", "algorithm", "key"),
    [
        ("balance random", Algorithm.POWER_OF_TWO, "source_ip"),
        ("balance random(1)", Algorithm.RANDOM, "source_ip"),
        ("balance source", Algorithm.SOURCE_IP_HASH, "source_ip"),
        ("balance source\n hash-type consistent", Algorithm.CONSISTENT_HASH, "source_ip"),
        ("balance url_param user\n hash-type consistent", Algorithm.CONSISTENT_HASH, "query:user"),
        ("balance hash req.cook(user)\n hash-type consistent", Algorithm.CONSISTENT_HASH, "cookie:user"),
    ],
)
def test_algorithms(line: str, algorithm: Algorithm, key: str) -> None:
    found = pool(f" {line}\n{SERVER}")
    assert (found.algorithm, found.hash_key) == (algorithm, key)


def test_weights_that_differ_count() -> None:
    servers = " server s 127.0.0.1:81 weight 2\n server t 127.0.0.1:82\n"
    assert pool(servers).algorithm is Algorithm.WEIGHTED_ROUND_ROBIN
    assert pool(f" balance leastconn\n{servers}").algorithm is Algorithm.WEIGHTED_LEAST_CONNECTIONS


def test_stickiness() -> None:
    cookie = pool(" cookie C insert indirect secure maxlife 3600\n server s 127.0.0.1:81 cookie x\n").stickiness
    assert cookie == Stickiness("lb_cookie", "C", 3600.0, secure=True, http_only=False, same_site=None)
    prefix = pool(" cookie C prefix\n server s 127.0.0.1:81 cookie x\n").stickiness
    assert prefix == Stickiness("app_cookie", "C", None)
    table = pool(f" stick-table type ip size 1m expire 30m\n stick on src\n{SERVER}").stickiness
    assert table == Stickiness("source_ip", duration=1800.0)
    assert pool(f" cookie C insert\n{SERVER}").stickiness is None  # no server has a value


def test_a_template_makes_servers() -> None:
    names = [backend.name for backend in pool(" server-template w 2-4 web.test:81\n").backends]
    assert names == ["w2", "w3", "w4"]


def test_defaults_are_named_inherited_and_last() -> None:
    text = """defaults base
 timeout connect 1s
defaults web from base
 mode http
 timeout server 7s
frontend f from web
 bind 127.0.0.1:80
 default_backend b
backend b from web
 server s 127.0.0.1:81
"""
    found = from_text(text)
    assert refusals(found) == {}
    timeouts = found.spec.pools[0].timeouts
    assert (timeouts.connect, timeouts.response) == (1.0, 7.0)
    assert found.sources["pools.b.timeouts.connect"].line == 2


def test_a_choice_without_condition_outdoes_the_default_of_tcp() -> None:
    text = """listen a
 mode tcp
 bind 127.0.0.1:80
 use_backend b
 server s 127.0.0.1:81
backend b
 server t 127.0.0.1:82 check check-ssl
"""
    found = from_text(text)
    assert found.spec.listeners[0].default == Forward((("b", 1),))
    assert refusals(found) == {7: "check-ssl: its probes speak TLS"}


def test_what_the_defaults_answer_is_answered_everywhere() -> None:
    found = from_text(HEAD.replace("mode http", "mode http\n monitor-uri /up") + SERVER).spec.listeners[0]
    assert [rule.when.path_exact for rule in found.rules] == [("/up",)]


def test_weights_between_pools() -> None:
    found = rules(" use_backend b if { rand(100) lt 10 }\n")
    assert found.default == Forward((("b", 1), ("a", 9)))


def test_a_path_that_was_rewritten_before_it_is_asked_for_is_refused() -> None:
    lines = " http-request replace-path ^/x(/.*)?$ /y\\1\n use_backend b if { path_beg /x/ }\n"
    text = HEAD + lines + SERVER + "backend b\n server t 127.0.0.1:82\n"
    assert refusals(from_text(text)) == {5: "conditions that are asked later see the path that it has changed"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("balance first", "balance first: the spec has no such algorithm"),
        ("balance hdr(X-User)", "keys move as servers come and go (hash-type map-based); taken as consistent_hash"),
        ("option mysql-check", "a check in another protocol than HTTP and TCP"),
        ("tcp-request connection reject if { src 10.0.0.0/8 }", "connections are let in or not under conditions"),
        ("http-request auth unless { http_auth(u) }", "the spec has no word for it"),
        ("use_backend nowhere", "there is no backend 'nowhere' in these files"),
        ("use_backend a if nothing", "there is no acl 'nothing'"),
        ("http-request deny if { sc_http_req_rate(0) gt 5 }", "no condition of the spec looks at sc_http_req_rate(0)"),
        ("http-request set-header Host other", "host is changed on the way"),
        ("timeout connect soon", "expected a time such as 500ms, 5s or 1m, got 'soon'"),
        ("server x /run/x.sock", "/run/x.sock is no network address; the server is left out"),
        ("bind unix@/run/x.sock", "unix@/run/x.sock is no network address: nothing listens there"),
        ("compression algo gzip", "answers are compressed"),
        ("mode health", "expected http or tcp"),
    ],
)
def test_what_the_spec_cannot_say_is_refused(line: str, reason: str) -> None:
    assert refusals(from_text(f"{HEAD} {line}\n{SERVER}")) == {5: reason}


@pytest.mark.parametrize(
    ("regex", "globs"),
    [
        ("^/a.*$", ("/a*",)),
        (r"^(a|b)\.test$", ("a.test", "b.test")),
        (r"\.png$", ("*.png",)),
        ("^/r[0-9]+$", ()),
        ("^/a+$", ()),
        ("^/a?b$", ()),
    ],
)
def test_expressions_that_are_patterns(regex: str, globs: tuple[str, ...]) -> None:
    assert glob_of(regex) == globs
