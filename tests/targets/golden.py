"""Every rendering of every spec of the battery, as text; `python -m tests.targets.golden` writes them anew.

A file holds the configuration for those listeners of a spec that the product can carry out, under the reasons why it
cannot carry out the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lbcheck.features import Feature
from lbcheck.spec.battery import battery
from lbcheck.spec.model import Spec
from lbcheck.targets import (
    caddy,
    caddy_limits,
    envoy,
    envoy_limits,
    haproxy,
    haproxy_limits,
    httpd,
    httpd_limits,
    nginx,
    nginx_limits,
)
from lbcheck.targets.httpd import Install

from .reduced import Product, fixed, reduced
from .specials import specials

FILES = Path(__file__).with_suffix("")
HAPROXY = {"haproxy-2.6": "2.6.12", "haproxy-3.1": "3.1.0"}
NGINX = {"nginx": "1.22.1", "nginx-1.23": "1.23.0"}
INSTALL = Install("/usr/lib/apache2/modules", frozenset({"unixd", "watchdog"}), "www-data", "www-data")
HTTPD = {"httpd-2.4.71": "2.4.71", "httpd-2.4.54": "2.4.54"}
CADDY = {"caddy-2.6": "2.6.2", "caddy-2.9": "2.9.1"}


def goldens() -> dict[str, str]:
    """File name -> text."""
    specs = {name: fixed(loaded.spec) for name, loaded in battery().items()} | {
        name: fixed(spec) for name, spec in specials().items()
    }
    return {f"{product}/{name}.txt": text for name, spec in specs.items() for product, text in _rendered(spec)}


def _rendered(spec: Spec) -> Iterator[tuple[str, str]]:
    for name, version in HAPROXY.items():
        if name == "haproxy-2.6" or _has_checks(spec):
            known = haproxy.features(version)
            product = Product(known, lambda f: haproxy_limits.LACKS.get(f, ""), haproxy_limits.limits)
            yield name, _text(spec, product, partial(haproxy.configuration, version=version))
    for name, version in NGINX.items():
        if name == "nginx" or _reads_headers(spec):
            product = Product(nginx.FEATURES, _nginx_lacks, nginx_limits.limits)
            yield name, _text(spec, product, partial(nginx.configuration, version=version))
    yield "envoy", _text(spec, Product(envoy.features("1.40.0"), _envoy_lacks, envoy_limits.limits), _envoy)
    for name, version in HTTPD.items():
        if name == "httpd-2.4.71" or _has_checks(spec):
            product = Product(httpd_limits.FEATURES, _httpd_lacks, httpd_limits.limits)
            yield name, _text(spec, product, partial(httpd.configuration, version=version, install=INSTALL))
    texts = {name: _text(spec, *_caddy(version)) for name, version in CADDY.items()}
    yield from ((name, text) for name, text in texts.items() if name == "caddy-2.6" or text != texts["caddy-2.6"])


def _caddy(version: str) -> tuple[Product, Callable[[Spec], str]]:
    product = Product(
        caddy_limits.features(version),
        partial(caddy_limits.lack, version=version),
        partial(caddy_limits.limits, version=version),
    )
    return product, partial(caddy.configuration, version=version)


def _envoy(spec: Spec) -> str:
    return "\n".join(f"# {name}\n{text}" for name, text in envoy.files(spec).items())


def _envoy_lacks(feature: Feature) -> str:
    return envoy_limits.LACKS.get(feature, "")


def _nginx_lacks(feature: Feature) -> str:
    return nginx_limits.LACKS.get(feature, "")


def _httpd_lacks(feature: Feature) -> str:
    return httpd_limits.LACKS.get(feature, "")


def _has_checks(spec: Spec) -> bool:
    """The versions differ in these only."""
    return any(pool.health_check for pool in spec.pools)


def _reads_headers(spec: Spec) -> bool:
    """The versions differ in these only."""
    return any(rule.when.header for listener in spec.listeners for rule in listener.rules)


def _text(spec: Spec, product: Product, configuration: Callable[[Spec], str]) -> str:
    part, reasons = reduced(spec, product)
    head = "".join(f"unsupported: {reason}\n" for reason in reasons)
    return head + ("\n" if head and part else "") + (configuration(part) if part else "")


def write() -> list[Path]:
    """Writes all, removes what is no longer rendered; returns what changed."""
    texts = goldens()
    stale = [path for path in FILES.rglob("*.txt") if path.relative_to(FILES).as_posix() not in texts]
    for path in stale:
        path.unlink()
    changed = []
    for name, text in texts.items():
        path = FILES / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(path)
    return changed + stale


if __name__ == "__main__":
    for changed in write():
        sys.stdout.write(f"{changed}\n")
