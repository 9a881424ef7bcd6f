"""What directives of nginx come to in the spec: its defaults, what overrides what, and what cannot be said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbcheck.importers.directive import Imported, Ruling
from lbcheck.importers.nginx import patterns
from lbcheck.importers.nginx.patterns import Part, globs_of, part_of
from lbcheck.importers.nginx.units import seconds
from lbcheck.spec.model import (
    Algorithm,
    Backend,
    Certificate,
    Conditions,
    Forward,
    Listener,
    PassiveHealth,
    Pool,
    Protocol,
    Redirect,
    Respond,
    Retries,
    Rewrite,
    Timeouts,
)
from lbcheck.spec.request import Request
from lbcheck.spec.routing import route_listener

from .production import from_nginx, in_http, refusals

pytestmark = pytest.mark.fast
TWO = "server 10.0.0.1:81; server 10.0.0.2:81;"
PASSED = "server { location / { proxy_pass http://u; } }"


def pool(text: str, folder: Path) -> Pool:
    return in_http(text, folder).spec.pools[0]


def listener(text: str, folder: Path) -> Listener:
    return in_http(text, folder).spec.listeners[0]


def reasons(found: Imported) -> list[str]:
    return [entry.reason for entry in found.ruled(Ruling.REFUSED)]


def parts(found: Imported) -> list[str]:
    return [entry.reason for entry in found.entries if entry.in_part]


def goes(one: Listener, target: str, host: str = "x") -> str:
    action = route_listener(one, Request("GET", target, host)).action
    if isinstance(action, Forward):
        return "+".join(name for name, _ in action.pools)
    return f"to {action.path}" if isinstance(action, Redirect) else str(action.status)


# --- upstreams -------------------------------------------------------------------------------------------------------


def test_what_a_group_does_by_itself(tmp_path: Path) -> None:
    """One failure within 10 s, every server once, 60 s for everything (ngx_http_upstream_module, ..._proxy_module)."""
    found = pool(f"upstream u {{ {TWO} }} {PASSED}", tmp_path)
    assert found == Pool(
        "u",
        (Backend("10.0.0.1:81", "10.0.0.1:81"), Backend("10.0.0.2:81", "10.0.0.2:81")),
        passive_health=PassiveHealth(1, "window", 10.0, 10.0, on=("connect", "timeout", "reset")),
        retries=Retries(1, ("connect", "reset", "timeout")),
        timeouts=Timeouts(connect=60.0),
    )


def test_a_lone_server_is_never_put_out_and_nothing_is_repeated(tmp_path: Path) -> None:
    found = pool(f"upstream u {{ server a.test max_fails=3 fail_timeout=30s; }} {PASSED}", tmp_path)
    assert (found.backends[0].address, found.passive_health, found.retries) == ("a.test:80", None, Retries(0))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", (Algorithm.ROUND_ROBIN, "source_ip")),
        ("least_conn;", (Algorithm.LEAST_CONNECTIONS, "source_ip")),
        ("ip_hash;", (Algorithm.SOURCE_IP_HASH, "source_ip")),
        ("hash $remote_addr;", (Algorithm.SOURCE_IP_HASH, "source_ip")),
        ("hash $binary_remote_addr consistent;", (Algorithm.CONSISTENT_HASH, "source_ip")),
        ("hash $cookie_session consistent;", (Algorithm.CONSISTENT_HASH, "cookie:session")),
        ("hash $http_x_user consistent;", (Algorithm.CONSISTENT_HASH, "header:X-User")),
        ("hash $arg_id consistent;", (Algorithm.CONSISTENT_HASH, "query:id")),
        ("hash $uri consistent;", (Algorithm.CONSISTENT_HASH, "path")),
        ("random;", (Algorithm.RANDOM, "source_ip")),
        ("random two;", (Algorithm.POWER_OF_TWO, "source_ip")),
        ("random two least_conn;", (Algorithm.POWER_OF_TWO, "source_ip")),
    ],
)
def test_methods(said: str, meant: tuple[Algorithm, str], tmp_path: Path) -> None:
    found = in_http(f"upstream u {{ {said} {TWO} }} {PASSED}", tmp_path)
    assert refusals(found) == {}
    assert (found.spec.pools[0].algorithm, found.spec.pools[0].hash_key) == meant


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("hash $request_uri consistent;", "$request_uri is hashed, with the query"),
        ("hash $scheme$host;", "$scheme$host is hashed"),
        ("hash $uri;", "most keys move as servers come and go; taken as consistent_hash"),
        ("random two least_time=header;", "random two least_time=header: NGINX Plus only"),
        ("sticky cookie srv;", "NGINX Plus only"),
        ("server 10.0.0.3 slow_start=30s;", "slow_start=30s: NGINX Plus only"),
        ("server 10.0.0.3 max_fails=4;", "max_fails and fail_timeout are those of 10.0.0.1:81 in the whole pool"),
        ("server 10.0.0.3 max_conns=4;", "the limit of connections is 0 in the whole pool"),
        ("server unix:/run/s;", "unix:/run/s is no network address; the server is left out"),
        ("server 10.0.0.3 weight=x;", "expected a number between 1 and 65535, got 'x'; the server is left out"),
    ],
)
def test_what_a_group_says_and_the_spec_cannot(said: str, reason: str, tmp_path: Path) -> None:
    assert reasons(in_http(f"upstream u {{ {TWO} {said} }} {PASSED}", tmp_path)) == [reason]


def test_parameters_of_servers(tmp_path: Path) -> None:
    text = "server a:1 weight=3 max_fails=2 fail_timeout=1m max_conns=9; server b:1 backup max_fails=2 fail_timeout=60"
    found = pool(f"upstream u {{ {text} max_conns=9; server c:1 down; }} {PASSED}", tmp_path)
    assert [(b.weight, b.backup, b.state) for b in found.backends] == [
        (3, False, "active"),
        (1, True, "active"),
        (1, False, "draining"),
    ]
    assert (found.algorithm, found.max_connections) == (Algorithm.WEIGHTED_ROUND_ROBIN, 9)
    assert found.timeouts.queue == 0  # nothing waits
    assert found.passive_health
    assert (found.passive_health.failures, found.passive_health.ejection) == (2, 60.0)
    assert found.retries.attempts == 1  # of three servers one is down


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("proxy_next_upstream off;", Retries(0)),
        ("proxy_next_upstream_tries 1;", Retries(0)),
        ("proxy_next_upstream error;", Retries(1, ("connect", "reset"))),
        ("proxy_next_upstream timeout http_503 non_idempotent;", Retries(1, ("timeout", "503"), non_idempotent=True)),
        ("proxy_next_upstream_tries 9;", Retries(1, ("connect", "reset", "timeout"))),  # a server is asked once
    ],
)
def test_repeats(said: str, meant: Retries, tmp_path: Path) -> None:
    found = pool(f"upstream u {{ {TWO} }} {said} {PASSED}", tmp_path)
    assert found.retries == meant
    counted = {"503"} & set(meant.on)
    assert found.passive_health
    assert set(found.passive_health.on) == {"connect", "timeout", "reset"} | counted


def test_a_pool_has_one_way_of_passing_on(tmp_path: Path) -> None:
    text = f"""upstream u {{ {TWO} }}
        proxy_read_timeout 5s;
        server {{
            location / {{ proxy_pass http://u; }}
            location /slow/ {{
                proxy_read_timeout 60s;
                proxy_pass http://u;
            }}
        }}"""
    found = in_http(text, tmp_path)
    (reason,) = refusals(found).values()
    assert list(refusals(found)) == [7]
    assert re.fullmatch(r"the pool's timeouts.response is as .*nginx.conf:3 has it", reason)
    assert found.spec.pools[0].timeouts.response == 5.0
    assert found.sources["pools.u.timeouts.response"].line == 3


# --- servers and locations -------------------------------------------------------------------------------------------


def test_the_server_is_chosen_by_name(tmp_path: Path) -> None:
    text = """
        server { listen 80; server_name first.test *.b.test; return 201; }
        server { listen 80 default_server; server_name _; return 202; }
        server { listen 80; server_name a.b.test www.*; return 203; }
        server { listen 80; server_name *.x.b.test ~^r[0-9]?\\.test$ ~^(q|s)\\.test$ .dot.test; return 205; }"""
    found = in_http(text, tmp_path)
    one = found.spec.listeners[0]
    wanted = {
        "first.test": "201", "c.b.test": "201", "a.b.test": "203", "c.x.b.test": "205", "www.b.test": "201",
        "www.z": "203", "other": "202", "s.test": "205", "dot.test": "205", "a.dot.test": "205",
    }  # fmt: skip
    assert {host: goes(one, "/", host) for host in wanted} == wanted
    assert reasons(found) == ["host by ^r[0-9]?\\.test$: requests for it go elsewhere in lb.yaml"]


def test_the_location_is_chosen_as_nginx_does(tmp_path: Path) -> None:
    """The example of ngx_http_core_module ("location"), A to E, with what `^~` and a slash at the end do."""
    text = """server {
        location = / { return 201; }
        location / { return 202; }
        location /documents/ { return 203; }
        location ^~ /images/ { return 204; }
        location ~* \\.(gif|jpg|jpeg)$ { return 205; }
        location /images/raw/ { return 206; }
        location /app/ { proxy_pass http://10.0.0.1; }
    }"""
    one = listener(text, tmp_path)
    wanted = {
        "/": "201", "/index.html": "202", "/documents/document.html": "203", "/images/1.gif": "204",
        "/documents/1.jpg": "205", "/documents/1.JPG": "205", "/images/raw/1": "206", "/images/raw/1.gif": "205",
        "/app/x": "10-0-0-1", "/app": "to /app/", "/images": "202",
    }  # fmt: skip
    assert {path: goes(one, path) for path in wanted} == wanted


@pytest.mark.parametrize(
    ("location", "uri", "rewrite"),
    [
        ("/", "", None),
        ("/api/", "/", ("/api", "/")),
        ("/api/", "/v1/", ("/api", "/v1")),
        ("/api", "/v1", ("/api", "/v1")),
        ("= /a", "/b", ("/a", "/b")),
        ("/", "/v1/", ("/", "/v1")),
        ("/same/", "/same/", None),
        ("~ ^/x", "$request_uri", None),
    ],
)
def test_a_uri_takes_the_place_of_the_location(
    location: str, uri: str, rewrite: tuple[str, str] | None, tmp_path: Path
) -> None:
    found = in_http(f"server {{ location {location} {{ proxy_pass http://10.0.0.1{uri}; }} }}", tmp_path)
    assert refusals(found) == {}
    rules = [rule for rule in found.spec.listeners[0].rules if isinstance(rule.then, Forward)]
    assert {rule.rewrite for rule in rules} <= {Rewrite(rewrite) if rewrite else None}
    assert bool(rewrite) <= bool(rules)


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("location /a { proxy_pass http://h/; }", "/a becomes /, so that a slash is lost or doubled"),
        ("location /a/ { proxy_pass http://h/b?x=1; }", "a query is added"),
        ("location / { proxy_pass http://h$some; }", "the path is made of $some"),
        ("location / { proxy_pass http://$some; }", "$some, which is known at run time only"),
        ("location / { proxy_pass $url; }", "requests are passed to $url"),
        ("location / { fastcgi_pass a:1; }", "servers speak FastCGI"),
        ("location / { root /srv; }", "files are served here"),
        ("location ~ (?=x) { return 204; }", "lookaround"),
        ("location /a { location /a/b { return 204; } }", "a location within a location"),
        ("if (-f $request_filename) { return 204; }", "whether -f $request_filename"),
        ("if ($host) { set $x 1; }", "it depends on a condition"),
        ("return 444;", "the connection is closed without an answer"),
        ("return 301 $new;", "$new, which is known at run time only"),
        ("error_page 404 /404.html;", "its own errors become other pages"),
        ("location / { limit_except GET { deny all; } return 204; }", "some methods are refused"),
        ("location / { auth_basic x; return 204; }", "clients have to show a password"),
        ("listen 80 proxy_protocol;", "proxy_protocol: clients have to begin with a PROXY header"),
        ("listen 80; ssl_verify_client on;", "clients have to show certificates"),
    ],
)
def test_what_a_server_says_and_the_spec_cannot(inside: str, reason: str, tmp_path: Path) -> None:
    found = in_http(f"server {{ {inside} }}", tmp_path)
    assert any(reason in told for told in reasons(found)), reasons(found)


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ('return 200 "hello\\n";', Respond(200, "hello\n")),
        ("return 204;", Respond(204)),
        ("return 301 https://$host$request_uri;", Redirect(301, "HTTPS", port="443")),
        ("return https://new.test/x;", Redirect(302, "HTTPS", "new.test", "443", "/x", "")),
        ("return 307 /there?from=old;", Redirect(307, port="#{port}", path="/there", query="from=old")),
        ("return 308 $scheme://new.test:8080$uri$is_args$args;", Redirect(308, "HTTP", "new.test", "8080")),
        ("rewrite ^ https://new.test$request_uri? permanent;", Redirect(301, "HTTPS", "new.test", "443")),
        ("rewrite ^(.*)$ http://new.test$1 redirect;", Redirect(302, "HTTP", "new.test", "80")),
        ("set $target https://new.test; return 302 $target/a;", Redirect(302, "HTTPS", "new.test", "443", "/a", "")),
    ],
)
def test_answers(said: str, action: Redirect | Respond, tmp_path: Path) -> None:
    found = in_http(f"types {{}} server {{ {said} }}", tmp_path)
    assert refusals(found) == {}
    assert found.spec.listeners[0].default == action


def test_its_own_pages_name_the_version_unless_they_are_told_not_to(tmp_path: Path) -> None:
    found = in_http("server { return 403; }", tmp_path)
    assert "nginx/1.22.1" in found.spec.listeners[0].default.body  # type: ignore[union-attr]
    assert parts(found) == ["its page names nginx's version, here 1.22.1: `server_tokens off` keeps it out"]
    quiet = in_http("server_tokens off; server { return 403; }", tmp_path)
    assert "<center>nginx</center>" in quiet.spec.listeners[0].default.body  # type: ignore[union-attr]
    assert parts(quiet) == []


def test_trace_never_comes_to_a_server(tmp_path: Path) -> None:
    found = in_http("server { if ($request_method ~ ^(TRACE|TRACK)$) { return 405; } return 204; }", tmp_path)
    assert found.spec.listeners[0].rules[0].when == Conditions(method=("TRACK",))
    never = in_http("server { if ($request_method = TRACE) { return 405; } return 204; }", tmp_path)
    assert never.spec.listeners[0].rules == ()


def test_rewrites_within_a_server(tmp_path: Path) -> None:
    text = """server {
        rewrite ^/old$ /new last;
        location /new { proxy_pass http://10.0.0.1; }
        location /app/ { rewrite ^/app/(.*)$ /$1 break; proxy_pass http://10.0.0.2; }
        location = /x { rewrite ^ /y break; proxy_pass http://10.0.0.3; }
        location / { return 404; }
    }"""
    found = in_http(text, tmp_path)
    rewrites = {rule.rewrite.path_prefix: rule.then for rule in found.spec.listeners[0].rules if rule.rewrite}
    assert rewrites == {("/old", "/new"): Forward((("10-0-0-1", 1),)), ("/app", "/"): Forward((("10-0-0-2", 1),))}
    assert any("every path becomes /y" in told for told in reasons(found))


def test_listeners(tmp_path: Path) -> None:
    text = """
        keepalive_timeout 20s;
        server { listen 127.0.0.5:81; listen 8080; listen [::]:8080; return 204; }
        server { listen 127.0.0.6:81; keepalive_timeout 5s; return 204; }
        server { listen 127.0.0.7:8080; return 204; }"""
    found = in_http(text, tmp_path)
    assert [(x.name, x.address, x.port, x.idle_timeout) for x in found.spec.listeners] == [
        ("http-127-0-0-5-81", "127.0.0.5", 81, 20.0),
        ("http-8080", "0.0.0.0", 8080, 20.0),
        ("http-127-0-0-6-81", "127.0.0.6", 81, 5.0),
    ]
    assert parts(found) == ["IPv6 beside IPv4: lb.yaml has one listener for both"]
    assert [reason.endswith("listens at all addresses of that port already") for reason in reasons(found)] == [True]


def test_tls(tmp_path: Path) -> None:
    text = """
        ssl_protocols TLSv1.2 TLSv1.3;
        server { listen 443 ssl http2; server_name a.test *.a.test; ssl_certificate a.pem; ssl_certificate_key a.key;
            return 204; }
        server { listen 443 ssl; server_name b.test; ssl_certificate b.pem; ssl_certificate_key b.key;
            location / { proxy_pass https://10.0.0.1; proxy_set_header Host $http_host;
                proxy_set_header X-Forwarded-Proto https; } }"""
    found = in_http(text, tmp_path)
    one = found.spec.listeners[0]
    assert (one.name, one.protocol, one.http2) == ("https-443", Protocol.HTTPS, True)
    assert one.certificates == (
        Certificate(("a.test", "*.a.test"), "a.pem", "a.key"),
        Certificate(("b.test",), "b.pem", "b.key"),
    )
    assert one.forwarded is not None
    assert one.forwarded.x_forwarded_proto == "set"
    assert (found.spec.pools[0].protocol, found.spec.pools[0].backends[0].port) == (Protocol.HTTPS, 443)
    assert refusals(found) == {}


# --- headers, variables, the process ---------------------------------------------------------------------------------


def forwarded(inside: str, folder: Path, outside: str = "") -> tuple[object, list[str]]:
    found = in_http(f"{outside} server {{ location / {{ proxy_pass http://10.0.0.1; {inside} }} }}", folder)
    one = found.spec.listeners[0].forwarded
    told = one and (one.x_forwarded_for, one.x_forwarded_proto, one.x_forwarded_port, one.host)
    return told, reasons(found)


def test_headers_of_an_inner_level_replace_all_of_the_outer_ones(tmp_path: Path) -> None:
    outer = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;"
    assert forwarded("", tmp_path, outer) == (("replace", "preserve", "preserve", "keep"), [])
    inner = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Port $server_port;"
    assert forwarded(inner, tmp_path, outer) == (("preserve", "preserve", "set", "keep"), [])


def test_host_that_is_not_kept_cannot_be_said(tmp_path: Path) -> None:
    assert forwarded("", tmp_path) == (None, [])
    told, why = forwarded("proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;", tmp_path)
    assert (told, why) == (None, ["Host becomes the upstream's name beside it, which lb.yaml has no word for"])
    assert forwarded("proxy_set_header Host fixed.test;", tmp_path) == (None, ["Host becomes fixed.test"])


def test_headers_that_claims_look_at_are_told(tmp_path: Path) -> None:
    _, why = forwarded("proxy_set_header Host $http_host; proxy_set_header Cookie $cookie_a;", tmp_path)
    assert why == ["Cookie is changed on the way"]


def test_upgrades_are_claimed_where_all_places_pass_them_on(tmp_path: Path) -> None:
    upgrade = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
    all_of_them = in_http(f"server {{ {upgrade} location / {{ proxy_pass http://10.0.0.1; }} }}", tmp_path)
    assert all_of_them.spec.claims.websocket is True
    one = f"location /ws {{ {upgrade} proxy_pass http://10.0.0.1; }} location / {{ proxy_pass http://10.0.0.2; }}"
    some = in_http(f"server {{ {one} }}", tmp_path)
    assert some.spec.claims.websocket is None
    assert "other places pass no upgrades on, and lb.yaml speaks of all" in reasons(some)


def test_variables_choose_among_pools(tmp_path: Path) -> None:
    text = f"""
        upstream blue {{ {TWO} }} upstream green {{ {TWO} }}
        map $cookie_color $by_cookie {{ green green; default blue; }}
        split_clients $remote_addr $drawn {{ 12.5% green; * blue; }}
        server {{ location / {{ proxy_pass http://$by_cookie; }} location /draw {{ proxy_pass http://$drawn; }} }}"""
    one = listener(text, tmp_path)
    assert [(rule.when, rule.then) for rule in one.rules] == [
        (Conditions(path=("/draw*",)), Forward((("green", 1), ("blue", 7)))),
        (Conditions(cookie=(("color", ("green",)),)), Forward((("green", 1),))),
    ]
    assert one.default == Forward((("blue", 1),))


def test_lines_without_a_field_say_through_which_they_act(tmp_path: Path) -> None:
    text = f"""upstream u {{ {TWO} }}
        map $host $by_name {{
            default u;
        }}
        server {{
            server_name a.test;
            location / {{
                proxy_pass http://$by_name;
            }}
        }}"""
    through = {at.line: {other.line for other in others} for at, others in in_http(text, tmp_path).through.items()}
    assert (through[3], through[4], through[6]) == ({9}, {3}, {7, 8})  # map, its line, server
    assert (through[7], through[8]) == ({6}, {9})  # server_name, location


def test_the_number_of_workers(tmp_path: Path) -> None:
    rest = "events {} http { server { return 204; } }"
    found = from_nginx(f"worker_processes 4;\n{rest}", tmp_path)
    assert (found.spec.claims.workers, found.sources["claims.workers"].line) == (4, 1)
    automatic = from_nginx(f"worker_processes auto;\n{rest}", tmp_path)
    assert reasons(automatic) == ["how many there are depends on the machine: say it in claims.workers"]


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "time_s"),
    [("5", 5), ("500ms", 0.5), ("30s", 30), ("1m", 60), ("1h 30m", 5400), ("1h30m", 5400), ("1d", 86400)],
)
def test_times(word: str, time_s: float) -> None:
    assert seconds(word) == time_s


@pytest.mark.parametrize("word", ["", "s", "1x", "-1", "1.5s"])
def test_what_is_no_time(word: str) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        seconds(word)


@pytest.mark.parametrize(
    ("regex", "globs"),
    [
        ("^/a$", ("/a",)),
        ("^/a/", ("/a/*",)),
        (r"\.css$", ("*.css",)),
        ("^(www|api)\\.a\\.test$", ("www.a.test", "api.a.test")),
        ("^(?:a|b)(c|d)$", ("ac", "ad", "bc", "bd")),
        ("^a.b.*c$", ("a?b*c",)),
        ("^a.+$", ("a?*",)),
        ("on", ("*on*",)),
        ("^[ab]$", None),
        ("^a+$", None),
        ("^(a|b)?$", None),
        (r"^a\*$", None),
    ],
)
def test_expressions_as_wildcards(regex: str, globs: tuple[str, ...] | None) -> None:
    assert globs_of(regex) == globs


def test_parts_of_a_request() -> None:
    assert part_of("http_x_api_key") == Part("header", "X-Api-Key")
    assert part_of("cookie_sid") == Part("cookie", "sid")
    assert part_of("http_host") == Part("host")
    assert part_of("upstream_addr") is None
    assert patterns.found(Part("source"), r"^10\.1\.", fold=False) == Conditions(source=("10.1.0.0/16",))
