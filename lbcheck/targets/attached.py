"""A balancer that runs already, known by the URL of a listener: nothing is rendered, started or told to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lbcheck.errors import TargetError, Unsupported, UsageError
from lbcheck.features import Feature
from lbcheck.spec.model import Spec
from lbcheck.targets.base import Rendering

PORTS = {"http": 80, "https": 443}
_UNTOLD = "the balancer runs already, and lbcheck knows no way to tell it of a change"
_NO_TLS = "lbcheck's backends speak no TLS yet"
_NO_TCP = "no check speaks of TCP listeners yet"
_NO_HTTP2 = "lbcheck's client speaks HTTP/1.1 only"

LACKS: dict[Feature, str] = {
    Feature.DRAIN: _UNTOLD,
    Feature.DRAIN_ENDS: _UNTOLD,
    Feature.REGISTER: _UNTOLD,
    Feature.RELOAD: _UNTOLD,
    Feature.REWEIGH: _UNTOLD,
    Feature.INITIAL_STATE: "the balancer had been running before the check began",
    Feature.RESOLVE: "lbcheck answers no names for a balancer that runs already",
    Feature.TLS: _NO_TCP,
    Feature.HTTPS_CHECK: _NO_TLS,
    Feature.GRPC_CHECK: "lbcheck's backends answer no gRPC health checks yet",
    Feature.TCP: _NO_TCP,
    Feature.UDP: "lbcheck sends no UDP yet",
    Feature.HTTP2: _NO_HTTP2,
    Feature.H2C: _NO_HTTP2,
}


@dataclass(frozen=True, slots=True)
class Url:
    """Where the balancer is met."""

    host: str
    port: int
    scheme: str = "http"


def is_url(target: str) -> bool:
    """Does it begin with a scheme? A command may name a URL further on."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", target) is not None


def url_of(target: str) -> Url:
    """UsageError for what is no URL of a listener; TargetError for one of which no check speaks."""
    try:
        parts = urlsplit(target)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"--lb-target={target}: {error}", remedy=_FORM) from None
    if parts.scheme == "tcp":
        raise TargetError(f"--lb-target={target}: {_NO_TCP}", remedy=_OTHER_LISTENER)
    if parts.scheme not in PORTS or not host:
        raise UsageError(f"--lb-target={target}: expected http:// or https:// and an address", remedy=_FORM)
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise UsageError(f"--lb-target={target}: expected no more than an address and a port", remedy=_FORM)
    return Url(host, port or PORTS[parts.scheme], parts.scheme)


_FORM = "as in --lb-target=http://127.0.0.1:8080"
_OTHER_LISTENER = "an HTTP listener of the same balancer can be judged: http:// or https://"


class Attached:
    """`--lb-target=http://127.0.0.1:8080`. What its configuration says nobody here knows: the spec is the claim."""

    version = ""  # nobody says
    binary = ""
    grain_s = 0.0
    real_time = "it runs already, on the clock that it was started with"
    features = frozenset(Feature) - LACKS.keys()

    def __init__(self, target: str) -> None:
        self.url = url_of(target)
        self.name = target

    def lacks(self, feature: Feature) -> str:
        return LACKS.get(feature, "")

    def unsupported(self, spec: Spec) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def render(self, spec: Spec, folder: Path) -> Rendering:  # noqa: ARG002
        raise Unsupported(f"{self.name} runs already: nothing is rendered for it")

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:  # noqa: ARG002
        raise Unsupported(f"{self.name} runs already: it has a configuration")
