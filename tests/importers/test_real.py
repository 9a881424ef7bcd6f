"""The imported rules against HAProxy itself: the same requests, HAProxy's answer beside the spec's oracle."""

from __future__ import annotations

import http.client
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lbcheck.spec.model import Forward, Listener, Redirect, Respond
from lbcheck.spec.near import random_request
from lbcheck.spec.request import Request
from lbcheck.spec.routing import location, route_listener
from lbcheck.targets.base import program
from tests.ports import free_port

from .production import from_text, refusals

REQUESTS = 400
SENT = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")

FINAL_DOT = re.compile(r"\.(:[0-9]+)?$")  # the same host to the spec and not to these rules: understood in part

RULES = r"""
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s

frontend public
    bind 127.0.0.1:PORT
    acl is_api      path_beg /api/
    acl is_static   path_end .css .js
    acl is_static   path_dir images
    acl is_cart     path /cart
    acl is_cart     path_beg /cart/
    acl is_admin    hdr(host),host_only -i admin.example
    acl near        src 127.0.0.0/30 127.3.5.0/24
    acl numbered    path_reg ^/r[0-9]+$
    acl beta        req.fhdr(X-Beta) -m sub -i on
    acl german      url_param(lang) de
    acl member      req.cook(member) -m found
    acl writes      method POST PUT DELETE
    http-request deny if is_admin !near
    http-request deny deny_status 405 if { method OPTIONS } !is_api
    http-request redirect location https://www.example%[path] code 301 if { req.hdr(host),host_only -i old.example }
    http-request redirect prefix /de code 303 if german !beta
    http-request return status 200 content-type text/plain string none if numbered { method GET }
    http-request return status 404 if numbered !{ method GET }
    monitor-uri /alive
    use_backend writes if writes is_cart or writes member
    use_backend api if is_api
    use_backend static if is_static !writes
    use_backend beta if beta || { path /beta }
    use_backend cart if is_cart
    use_backend far unless near { method GET HEAD POST }
    use_backend beta unless near or { path /unless }
    default_backend web

backend web
    http-request redirect scheme https if { path /secure }
    server s 127.0.0.1:9

backend api
    http-request replace-path ^/api/v1(/.*)?$ /old\1
    http-request replace-path ^/api/(.*)$ /\1
    server s 127.0.0.1:9

backend static
    server s 127.0.0.1:9

backend beta
    http-request set-path /next%[path]
    server s 127.0.0.1:9

backend cart
    http-request deny deny_status 429 if { req.hdr(X-Bot) -m found }
    server s 127.0.0.1:9

backend writes
    server s 127.0.0.1:9

backend far
    server s 127.0.0.1:9
"""


@dataclass(frozen=True, slots=True)
class Running:
    listener: Listener
    port: int


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """HAProxy with a fixed answer in place of each server, which tells backend and path."""
    port = free_port()
    text = RULES.replace("PORT", str(port))
    found = from_text(text)
    assert refusals(found) == {}
    file = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    answer = 'http-request return status 200 content-type text/plain hdr pool %[be_name] hdr path "%[path]"'
    file.write_text(re.sub(r"server s \S+", answer, text))
    binary = program("haproxy", None, package="haproxy")
    subprocess.run([binary, "-c", "-f", str(file)], check=True, capture_output=True)
    process = subprocess.Popen([binary, "-db", "-f", str(file)], stderr=subprocess.PIPE, text=True)
    try:
        _await(port)
        yield Running(found.spec.listeners[0], port)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _await(port: int) -> None:
    for _ in range(200):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/alive")
            assert connection.getresponse().status == 200
            return
        except ConnectionRefusedError:
            subprocess.run(["sleep", "0.05"], check=True)
        finally:
            connection.close()
    raise AssertionError("HAProxy does not listen")


def asked(request: Request, port: int) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=(request.source, 0))
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in (("Host", request.host), *request.headers, ("Content-Length", "0")):
            connection.putheader(name, value)
        connection.endheaders()
        got = connection.getresponse()
        got.read()
        return {"status": str(got.status), **{name.lower(): value for name, value in got.getheaders()}}
    finally:
        connection.close()


def same_place(got: str, wanted: str) -> bool:
    """A Location may be relative. HAProxy keeps Host's case, and in `redirect scheme` its port: understood in part."""
    got, wanted = got.lower(), wanted.lower()
    bare = re.sub(r"(//[^/:]*):[0-9]+", r"\1", got)
    return wanted in (got, bare) or re.sub(r"^https?://[^/]*", "", wanted) == got


def test_haproxy_does_what_the_imported_rules_say(running: Running) -> None:
    rng = random.Random(1)
    seen: set[str] = set()
    for _ in range(REQUESTS):
        request = random_request(rng, running.listener.rules)
        if request.method not in SENT or FINAL_DOT.search(request.host) or request.target.startswith("/alive?"):
            continue  # `monitor-uri` answers without a query alone: understood in part, as the final dot is
        routed = route_listener(running.listener, request)
        got = asked(request, running.port)
        action = routed.action
        if isinstance(action, Forward):
            ((pool, _),) = action.pools
            assert (got.get("pool"), got.get("path")) == (pool, routed.target.partition("?")[0]), request
            seen.add(pool)
        elif isinstance(action, Redirect):
            wanted = location(action, running.listener, request)
            assert got["status"] == str(action.status), (request, got)
            assert same_place(got["location"], wanted), (request, got, wanted)
            seen.add(f"to {action.status}")
        else:
            assert isinstance(action, Respond)
            assert (got["status"], got.get("pool")) == (str(action.status), None), request
            seen.add(str(action.status))
    pools = {"web", "api", "static", "beta", "cart", "writes", "far"}
    assert seen >= pools | {"to 301", "to 303", "200", "403", "404", "405"}
