"""Specs beside the battery: what one rendering has to get right that no check asks for by itself."""

from __future__ import annotations

from lbcheck.spec.loading import loads
from lbcheck.spec.model import Spec

EVERYTHING = r"""
listeners:
  - name: public
    idle_timeout: 75s
    forwarded: {x_forwarded_for: append}
    rules:
      - {priority: 30, when: {path: ["/a*", "/b?c"], method: [GET, HEAD]}, then: {forward: {api: 90, web: 10}}}
      - priority: 10
        when: {path_prefix: [/v1, /v2/], host: ["*.example.com", exact.test]}
        then: {forward: api}
        rewrite: {path_prefix: [/v1, /]}
      - {priority: 20, when: {path_exact: /x}, then: {forward: web}, rewrite: {path_prefix: [/, /app]}}
      - priority: 40
        when: {header: {User-Agent: ["*Mobile*", "x y"]}}
        then: {redirect: {protocol: HTTPS, port: 443}}
      - priority: 50
        when: {query: {v: ["2*", "a?c"]}, cookie: {beta: ["yes"]}}
        then: {respond: {status: 403, body: "it's no \"100%\" # {x}; \\n", content_type: text/plain}}
      - priority: 60
        when: {source: [127.0.0.9/32, "::1/128"]}
        then: {redirect: {status: 308, host: "www.#{host}", path: "/login/#{path}", query: "next=1"}}
      - {priority: 70, when: {path_regex: ['^/r[0-9]+\.(png|gif)$']}, then: {respond: {status: 204}}}
      - {priority: 80, when: {method: PUT}, then: {forward: {web: 0, api: 1}}, rewrite: {path_prefix: [/old, /new/er]}}
    default: {forward: {web: 3, api: 1}}
  - {name: plain, default: {forward: web}}
  - {name: closed, default: {respond: {status: 503, body: ""}}}
pools:
  web:
    backends: [a, b]
  api:
    algorithm: weighted_round_robin
    backends: [{name: a, weight: 5}, {name: b, weight: 1}, {name: c, weight: 0}, {name: d, state: draining}]
    retries: {attempts: 2, on: [connect, reset, timeout, 503]}
    timeouts: {connect: 250ms, response: 2s, idle: 5s, queue: 1s}
"""

ACTIVE = """
listeners: [{name: public, default: {forward: web}}]
pools:
  web:
    algorithm: consistent_hash
    hash_key: cookie:user
    backends: [{name: a, backup: false}, {name: b}, {name: c, backup: true}, {name: d, backup: true}]
    health_check:
      {path: "/ready?deep=1", method: HEAD, host: probe.test, port: 9999, interval: 250ms, timeout: 120ms,
       healthy_threshold: 3, unhealthy_threshold: 4, success_codes: "200-299, 301", initial: unhealthy}
    stickiness: {type: lb_cookie, cookie: LB, duration: 1h, secure: true, http_only: false, same_site: None}
    max_connections: 7
    slow_start: 5s
    retries: {attempts: 1, on: [connect], non_idempotent: true}
    proxy_protocol: v2
claims: {workers: 2, websocket: true, sticky_while_draining: false}
"""

TCP = """
listeners: [{name: public, protocol: TCP, idle_timeout: 30s, default: {forward: db}}]
pools:
  db:
    protocol: TCP
    algorithm: least_connections
    backends: [a, b]
    timeouts: {idle: 45s}
    health_check: {protocol: TCP, interval: 500ms, timeout: 200ms}
    retries: {attempts: 1, on: connect}
"""

PASSIVE = """
listeners: [{name: public, default: {forward: web}, forwarded: {trust: [127.0.0.0/8]}}]
pools:
  web:
    algorithm: source_ip_hash
    backends: [a, {name: b, weight: 2}]
    passive_health: {failures: 2, count: window, within: 3s, ejection: 3s, on: [connect, reset, timeout, "503"]}
    retries: {attempts: 1, on: [connect, reset, "503"]}
claims: {workers: 4, websocket: true}
"""


def specials() -> dict[str, Spec]:
    texts = {"everything": EVERYTHING, "active": ACTIVE, "tcp": TCP, "passive": PASSIVE}
    return {f"special-{name}": loads(text, battery=True).spec for name, text in texts.items()}
