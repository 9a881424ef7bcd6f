"""lbcheck's own balancer, run as a process like any other product."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import lbcheck
from lbcheck.errors import Unsupported
from lbcheck.features import Feature
from lbcheck.spec.change import Change, Deregister, Drain, Register, Reload, Reweigh
from lbcheck.spec.document import to_document
from lbcheck.spec.model import Spec
from lbcheck.targets.base import Orders, Rendering, Tell, program

SPEC = "spec.json"
SOCKET = "admin.sock"
_NO_TLS = "the reference balancer speaks no TLS"
_HTTP_ONLY = "the reference balancer forwards HTTP/1.1 only"

LACKS: dict[Feature, str] = {
    Feature.HTTPS_CHECK: _NO_TLS,
    Feature.GRPC_CHECK: _HTTP_ONLY,
    Feature.RESOLVE: "the reference balancer takes literal addresses",
    Feature.PROXY_PROTOCOL: "the reference balancer sends no PROXY protocol header",
    Feature.HTTPS: _NO_TLS,
    Feature.TLS: _NO_TLS,
    Feature.TCP: _HTTP_ONLY,
    Feature.UDP: _HTTP_ONLY,
    Feature.HTTP2: _HTTP_ONLY,
    Feature.H2C: _HTTP_ONLY,
    Feature.WEBSOCKET: "the reference balancer takes no Upgrade: it answers in HTTP",
}


class Reference:
    """`--lb-target=reference`. `binary` is a Python that has lbcheck; `defect` names one of the known defects."""

    name = "reference"
    grain_s = 0.0  # its timers are the event loop's
    real_time = ""

    def __init__(self, binary: str | None = None, defect: str | None = None) -> None:
        self.binary = program("reference", binary or sys.executable, package="python3")
        self.version = lbcheck.__version__
        self.features = frozenset(Feature) - LACKS.keys()
        self.defect = defect

    def lacks(self, feature: Feature) -> str:
        return LACKS.get(feature, "")

    def unsupported(self, spec: Spec) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def render(self, spec: Spec, folder: Path) -> Rendering:
        workers = spec.claims.workers
        left_out = (f"claims.workers: one event loop serves in place of {workers} workers",) if workers > 1 else ()
        return Rendering({SPEC: document(spec)}, self._command(folder / SPEC), left_out=left_out, orders=orders)

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:  # noqa: ARG002
        """The reference's own configuration is a spec: `lb.yaml`, or a document as the exec contract has it."""
        if len(configs) != 1:
            raise Unsupported(f"the reference balancer takes one spec, not {len(configs)} files")
        return Rendering({}, self._command(configs[0].absolute()), orders=orders_without_files)

    def _command(self, spec: Path) -> tuple[str, ...]:
        defect = ("--defect", self.defect) if self.defect else ()
        return (self.binary, "-m", "lbcheck.balancer.serve", str(spec), "--admin", f"unix:{SOCKET}", *defect)


def orders(change: Change, spec: Spec) -> Orders:
    """Over the admin API, which answers when the change is in force."""
    files = {SPEC: document(spec)} if isinstance(change, Reload) and not change.again else {}
    return Orders((_post(*_said(change)),), files)


def orders_without_files(change: Change, spec: Spec) -> Orders:
    """A user's own file is never written: it can be read again, and no more."""
    if isinstance(change, Reload) and not change.again:
        raise Unsupported("the configuration file is the user's own, and lbcheck does not write into it")
    return orders(change, spec)


def document(spec: Spec) -> str:
    return json.dumps(to_document(spec), indent=2) + "\n"


def _said(change: Change) -> tuple[str, dict[str, object]]:
    """Path and body of the admin API's request (`lbcheck.balancer.admin`)."""
    match change:
        case Reload():
            return "/reload", {}
        case Register(pool, backend):
            place = {"address": backend.address, "weight": backend.weight}
            return "/register", {"pool": pool, "name": backend.name, **place}
        case Reweigh(pool, name, weight):
            return "/weights", {"pool": pool, "backend": name, "weight": weight}
        case Drain(pool, name):
            return "/drain", {"pool": pool, "backend": name}
        case Deregister(pool, name):
            return "/deregister", {"pool": pool, "backend": name}


def _post(path: str, said: dict[str, object]) -> Tell:
    body = json.dumps(said).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: {len(body)}\r\n\r\n"
    return Tell(SOCKET, head.encode() + body, r"HTTP/1\.1 204 [\s\S]*")
