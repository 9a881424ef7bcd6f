"""The imported rules against nginx itself: the same requests, nginx's answer beside the spec's oracle."""

from __future__ import annotations

import http.client
import os
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lbcheck.spec.model import Forward, Listener, Redirect, Respond
from lbcheck.spec.near import random_request
from lbcheck.spec.request import Request
from lbcheck.spec.routing import location, route_listener
from lbcheck.targets.base import program
from tests.ports import free_port

from .production import from_nginx, refusals

REQUESTS = 2000
SENT = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
# nginx decodes and cleans a path before it compares it, which `init` tells of each location.
AS_SENT = re.compile(r"/[A-Za-z0-9._/-]*(\?[^#]*)?")
OTHER_CASE = re.compile(
    r"[?&;=' ](?!lang|tenant)(?i:lang|tenant)\b"
)  # of $arg_NAME and $cookie_NAME, which it tells too
CLEANED = re.compile(r"//|/\.{1,2}(/|$|\?)")

RULES = r"""
daemon off;
pid nginx.pid;
error_log stderr crit;
events {}
http {
    access_log off;
    server_tokens off;
    types {}
    default_type text/plain;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    map $http_x_beta $beta { default 0; on 1; ~*^yes 1; "" 0; }
    map $cookie_tenant $of_tenant { default web; acme api; ~^bulk far; }
    map $host $site { hostnames; default ""; .shop.example shop; shop.* shop; }
    map "$beta:$site" $both { default no; "1:shop" yes; }
    geo $near { default 0; 127.0.0.0/30 1; 127.0.0.2 0; }

    upstream web { server 127.0.0.1:9; }
    upstream api { server 127.0.0.1:9; }
    upstream static { server 127.0.0.1:9; }
    upstream cart { server 127.0.0.1:9; }
    upstream far { server 127.0.0.1:9; }

    server {
        listen 127.0.0.1:PORT;
        server_name www.example;
        if ($both = yes) { return 302 https://beta.example$request_uri; }
        if ($request_method !~ ^(GET|HEAD|POST|PUT)$) { return 405; }
        if ($arg_lang = de) { return 303 /de$uri; }
        rewrite ^/moved/(.*)$ https://new.example/at permanent;
        rewrite ^/gone$ /none last;

        location = /alive { return 200 "alive"; }
        location = /none { internal; return 410; }
        location / { proxy_pass http://$of_tenant; }
        location /api/ { proxy_pass http://api; }
        location /api/v1/ { proxy_pass http://api/old/; }
        location /apiary { proxy_pass http://far; }
        location ^~ /static/ { proxy_pass http://static; }
        location /static/cart/ { proxy_pass http://cart; }
        location ~* \.(css|png)$ { proxy_pass http://static; }
        location ~ ^/r[0-9]+$ { return 204; }
        location /cart/ { proxy_pass http://cart/basket/; }
        location /admin/ { allow 127.0.0.0/30; deny 127.0.0.8; allow 127.0.0.8/29; deny all; proxy_pass http://far; }
        location = /exact { if ($near) { return 403; } proxy_pass http://far/exactly; }
        location /kept/ { rewrite ^/kept/(.*)$ /other/$1 break; proxy_pass http://web; }
    }

    server {
        listen 127.0.0.1:PORT;
        server_name api.example *.api.example;
        location / { proxy_pass http://api; }
        location /api/v1 { return 404 "old\n"; }
    }

    server {
        listen 127.0.0.1:PORT;
        server_name www.api.example old.*;
        return 301 $scheme://www.example$request_uri;
    }
}
"""


@dataclass(frozen=True, slots=True)
class Running:
    listener: Listener
    port: int


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """nginx with a server of its own in each upstream's place, which tells pool and path."""
    port = free_port()
    folder = tmp_path_factory.mktemp("nginx")
    found = from_nginx(RULES.replace("PORT", str(port)), folder)
    assert refusals(found) == {}
    file = folder / "served.conf"
    file.write_text(with_backends(RULES.replace("PORT", str(port)), folder))
    binary = program("nginx", None, package="nginx")
    command = [binary, "-p", f"{folder}/", "-c", str(file), "-e", "stderr"]
    subprocess.run([*command, "-t", "-q"], check=True, capture_output=True)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _await(port)
        yield Running(found.spec.listeners[0], port)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def with_backends(text: str, folder: Path) -> str:
    names = re.findall(r"upstream (\w+)", text)
    sockets = {name: f"unix:{folder}/{name}.sock" for name in names}
    for name, socket in sockets.items():
        text = text.replace(f"upstream {name} {{ server 127.0.0.1:9; }}", f"upstream {name} {{ server {socket}; }}")
    servers = "".join(
        f"server {{ listen {socket}; return 200 '{name} $request_uri'; }}\n" for name, socket in sockets.items()
    )
    own = "user root;\n" if os.geteuid() == 0 else ""  # a worker that is `nobody` may not enter the folder
    return own + text.replace("http {", f"http {{\n{servers}", 1)


def _await(port: int) -> None:
    for _ in range(200):
        try:
            assert asked(Request("GET", "/alive", "www.example"), port).status == 200
            return
        except ConnectionRefusedError:
            subprocess.run(["sleep", "0.05"], check=True)
    raise AssertionError("nginx does not listen")


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    body: str
    location: str


def asked(request: Request, port: int) -> Got:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=(request.source, 0))
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in (("Host", request.host), *request.headers, ("Content-Length", "0")):
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return Got(answer.status, answer.read().decode(), answer.getheader("Location") or "")
    finally:
        connection.close()


def test_nginx_does_what_the_imported_rules_say(running: Running) -> None:
    rng = random.Random(1)
    seen: set[str] = set()
    for _ in range(REQUESTS):
        request = random_request(rng, running.listener.rules)
        told = CLEANED.search(request.target) or OTHER_CASE.search(f"{request.target};{request.headers}")
        if request.method not in SENT or not AS_SENT.fullmatch(request.target) or told:
            continue
        routed = route_listener(running.listener, request)
        got = asked(request, running.port)
        action = routed.action
        if isinstance(action, Forward):
            ((pool, _),) = action.pools
            path = "" if request.method == "HEAD" else f"{pool} {routed.target}"
            assert (got.status, got.body) == (200, path), (request, got)
            seen.add(pool)
        elif isinstance(action, Redirect):
            wanted = location(action, running.listener, request)
            assert (got.status, got.location) == (action.status, wanted), (request, got)
            seen.add(f"to {action.status}")
        else:
            assert isinstance(action, Respond)
            body = "" if request.method == "HEAD" else action.body
            assert (got.status, got.body) == (action.status, body), (request, got)
            seen.add(str(action.status))
    assert seen >= {
        "web",
        "api",
        "static",
        "cart",
        "far",
        "to 301",
        "to 302",
        "to 303",
        "200",
        "204",
        "403",
        "404",
        "405",
        "410",
    }
