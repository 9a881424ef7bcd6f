"""The proxies that are compared, each with its plain configuration for the same job: two backends in turns, kept
connections on both sides, a health check every second where the product has one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lbcheck.spec.document import to_document
from lbcheck.spec.model import Backend, Forward, HealthCheck, Listener, Pool, Spec


@dataclass(frozen=True, slots=True)
class Proxy:
    """`command(folder, port, backends)` writes what the product reads into the folder and gives its command line."""

    name: str
    told: str  # how it is set up, for the page
    command: Callable[[Path, int, tuple[int, ...]], list[str]]


def reference(folder: Path, port: int, backends: tuple[int, ...]) -> list[str]:
    pool = Pool(
        "web",
        tuple(Backend(f"b{i}", f"127.0.0.1:{p}") for i, p in enumerate(backends)),
        health_check=HealthCheck(interval=1.0, timeout=0.5),
    )
    listener = Listener("bench", Forward((("web", 1),)), address="127.0.0.1", port=port)
    file = folder / "spec.json"
    file.write_text(json.dumps(to_document(Spec(listeners=(listener,), pools=(pool,)))))
    return [sys.executable, "-m", "lbcheck.balancer.serve", str(file), "--admin", "127.0.0.1:0"]


def haproxy(folder: Path, port: int, backends: tuple[int, ...]) -> list[str]:
    servers = "\n".join(f"  server b{i} 127.0.0.1:{p} check inter 1s" for i, p in enumerate(backends))
    file = folder / "haproxy.cfg"
    file.write_text(
        f"""global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend bench
  bind 127.0.0.1:{port}
  default_backend web
backend web
  balance roundrobin
  option httpchk GET /
{servers}
"""
    )
    return ["haproxy", "-db", "-f", str(file)]


_NGINX = """worker_processes 1;
daemon off;
pid {folder}/{name}.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
  fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
{http}
}}
"""


def _nginx(folder: Path, name: str, http: str) -> list[str]:
    file = folder / f"{name}.conf"
    file.write_text(_NGINX.format(folder=folder, name=name, http=http))
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(file)]


def nginx(folder: Path, port: int, backends: tuple[int, ...]) -> list[str]:
    servers = " ".join(f"server 127.0.0.1:{p};" for p in backends)
    http = f"""  upstream web {{ {servers} keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}"""
    return _nginx(folder, "proxy", http)


def aiohttp(folder: Path, port: int, backends: tuple[int, ...]) -> list[str]:  # noqa: ARG001
    return [sys.executable, "-m", "bench.aiohttp_proxy", str(port), *map(str, backends)]


def backend(folder: Path, ports: tuple[int, ...]) -> list[str]:
    """What stands behind every proxy: nginx that returns a line, so that no proxy waits for it."""
    listens = " ".join(f"listen 127.0.0.1:{p};" for p in ports)
    return _nginx(folder, "backend", f'  server {{ {listens} location / {{ return 200 "hello from a backend\\n"; }} }}')


PROXIES = (
    Proxy("reference", "uvloop, health checks, metrics and admin API on", reference),
    Proxy("haproxy", "`nbthread 1`, `option httpchk`", haproxy),
    Proxy("nginx", "one worker, `keepalive 64` to the backends; it has no active checks", nginx),
    Proxy("aiohttp", "a plain proxy of thirty lines on asyncio's own loop, no checks", aiohttp),
)
