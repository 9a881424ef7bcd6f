"""A user's own configuration runs unmodified, in the foreground, without a trace outside of the folder."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from lbcheck.backends.server import BackendServer
from lbcheck.errors import Unsupported
from lbcheck.history import Event
from lbcheck.spec.request import Request
from lbcheck.targets import find
from lbcheck.targets.nginx import main_directives

from .running import BACKENDS, LISTEN, WITHIN_S, accepts, exchange, prepare, process

PORT = 9590
REQUEST = Request(target="/mine", source="127.78.9.201")

HAPROXY = """
global
    daemon
    pidfile /nonexistent/haproxy.pid
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend f
    bind {listen}:{port}
    default_backend b
backend b
    server s {backend}
"""
NGINX = """
{main}
# daemon on; in a comment says nothing
events {{ }}
http {{
    access_log off;
    include more/*.conf;
    server {{
        listen {listen}:{port};
        location / {{ proxy_pass http://{backend}; }}
    }}
}}
"""
CADDY = """\
{{
\tadmin off
}}

http://:{port} {{
\tbind {listen}
\treverse_proxy {backend}
}}
"""

ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: {listen}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: theirs
          cluster: theirs
  clusters:
  - name: theirs
    type: STRICT_DNS
    load_assignment:
      cluster_name: theirs
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {backend}}}}}}}
"""


HTTPD = """
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
ServerName lb.test
ErrorLog /dev/stderr
{user}
Listen {listen}:{port}
ProxyPass / http://{backend}/
"""


async def _answers(product: str, text: str, folder: Path) -> dict[str, str]:
    """Runs the text as the user's file, and returns what the backend was asked."""
    journal: list[Event] = []
    backend = BackendServer("a", journal.append)
    port = await backend.start(BACKENDS, 0)
    config = folder / "theirs" / ("lb.yaml" if product == "envoy" else "lb.conf")
    config.parent.mkdir()
    separated = ", port_value: " if product == "envoy" else ":"
    config.write_text(text.replace("BACKEND", f"{BACKENDS}{separated}{port}"))
    run = folder / "run"
    run.mkdir()
    rendering = find(product).adopt([config], run)
    assert rendering.files == {}
    prepare(rendering, run)
    try:
        async with process(rendering, run) as log:
            await accepts(LISTEN, PORT, log)
            answer = await exchange(LISTEN, PORT, REQUEST)
    finally:
        await asyncio.wait_for(backend.stop(), WITHIN_S)
    assert answer.status == 200
    told: dict[str, str] = json.loads(answer.body)
    return told


@pytest.mark.slow
def test_haproxy_runs_a_file_that_would_go_to_the_background(tmp_path: Path) -> None:
    text = HAPROXY.format(listen=LISTEN, port=PORT, backend="BACKEND")
    assert asyncio.run(_answers("haproxy", text, tmp_path))["target"] == "/mine"


@pytest.mark.slow
@pytest.mark.parametrize("main", ["", "daemon off;", "pid theirs.pid;\nuser root; worker_processes 2;"])
def test_nginx_runs_a_file_whatever_it_says_itself(main: str, tmp_path: Path) -> None:
    text = NGINX.format(main=main, listen=LISTEN, port=PORT, backend="BACKEND")
    assert asyncio.run(_answers("nginx", text, tmp_path))["target"] == "/mine"


@pytest.mark.slow
def test_caddy_runs_a_caddyfile(tmp_path: Path) -> None:
    text = CADDY.format(listen=LISTEN, port=PORT, backend="BACKEND")
    assert asyncio.run(_answers("caddy", text, tmp_path))["target"] == "/mine"


@pytest.mark.slow
def test_httpd_runs_a_file_that_names_no_folder_of_its_own(tmp_path: Path) -> None:
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    modules = "/usr/lib/apache2/modules"
    text = HTTPD.format(modules=modules, user=user, listen=LISTEN, port=PORT, backend="BACKEND")
    assert asyncio.run(_answers("httpd", text, tmp_path))["target"] == "/mine"


def test_nginx_that_insists_on_the_background_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "nginx.conf"
    config.write_text('events {} "daemon" "on";')
    with pytest.raises(Unsupported, match="says 'daemon on'"):
        find("nginx").adopt([config], tmp_path)


@pytest.mark.slow
def test_envoy_runs_a_bootstrap_file_and_leaves_no_trace(tmp_path: Path) -> None:
    text = ENVOY.format(listen=LISTEN, port=PORT, backend="BACKEND")
    assert asyncio.run(_answers("envoy", text, tmp_path))["target"] == "/mine"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["target.log"]


@pytest.mark.parametrize("product", ["nginx", "caddy", "httpd", "envoy", "reference"])
def test_one_main_file_is_taken(product: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="not 2"):
        find(product).adopt([tmp_path / "a", tmp_path / "b"], tmp_path)


def test_haproxy_takes_several_files_in_their_order(tmp_path: Path) -> None:
    files = [tmp_path / "a.cfg", tmp_path / "b.cfg"]
    for file in files:
        file.write_text("global\n")
    argv = find("haproxy").adopt(files, tmp_path).argv
    assert [argv[n + 1] for n, word in enumerate(argv) if word == "-f"] == [f"{tmp_path}/a.cfg", f"{tmp_path}/b.cfg"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("daemon off;", {"daemon": "off"}),
        ('pid "/run/a b.pid" ;# daemon on;\nuser nobody nogroup;', {"pid": "/run/a b.pid", "user": "nobody"}),
        ("http { daemon on; map $a $b { default '}'; } } error_log stderr info;", {"error_log": "stderr"}),
        ("", {}),
    ],
)
def test_main_directives_are_those_of_the_outermost_level(text: str, found: dict[str, str]) -> None:
    assert main_directives(text) == found
