"""FLO: draining, registration, new weights, reload."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from lbcheck.balancer import health
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.routing import Router
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Backend, Listener, Spec


@defect(
    "drain-ignored",
    "FLO",
    "A draining backend still gets new requests.",
    "ECS and ELB: https://github.com/aws/amazon-ecs-agent/issues/234 (traffic after connection draining)",
)
class DrainIgnored(Decisions):
    def in_service(self, backend: BackendState) -> bool:
        return health.sound(backend) and backend.weight > 0


@defect(
    "drain-keeps-sticky",
    "FLO",
    "A draining backend keeps its bound clients although the spec says that they leave.",
    "nginx Plus's `drain` and HAProxy's `weight 0` keep them; not everybody wants that",
)
class DrainKeepsSticky(Decisions):
    def keeps(self, pool: PoolState, backend: BackendState) -> bool:
        return super().keeps(pool, backend) or (backend.draining and health.sound(backend))


@defect(
    "drain-drops-sticky",
    "FLO",
    "A draining backend loses its bound clients at once although the spec says that they stay.",
    "HAProxy's `maint` used where `drain` is meant",
)
class DrainDropsSticky(Decisions):
    def keeps(self, pool: PoolState, backend: BackendState) -> bool:
        return super().keeps(pool, backend) and not backend.draining


@defect(
    "registered-never-served",
    "FLO",
    "A backend that is registered at run time gets nothing.",
    "a picker built once from the first list; compare https://github.com/airbnb/synapse/issues/238",
)
class RegisteredNeverServed(Decisions):
    def register(self, pool: str, name: str, address: str, weight: int, now: float) -> None:
        super().register(pool, name, address, weight, now)
        self.drain(pool, name, now)


@defect(
    "deregistered-still-served",
    "FLO",
    "A backend that is deregistered still gets its turns.",
    "Rancher: https://github.com/rancher/rancher/issues/10011 (addresses that are no longer the balancer's)",
)
class DeregisteredStillServed(Decisions):
    def deregister(self, pool: str, backend: str, now: float) -> None:
        self._known(pool, backend)


@defect(
    "reweigh-ignored",
    "FLO",
    "A weight that is changed at run time has no effect.",
    "Traefik: https://github.com/traefik/traefik/issues/2986 (weights in force only after another change)",
)
class ReweighIgnored(Decisions):
    def reweigh(self, pool: str, backend: str, weight: int, now: float) -> None:
        self._known(pool, backend)

    def _backend(self, pool: PoolState, declared: Backend, was: BackendState | None, now: float) -> BackendState:
        weight = was.weight if was is not None else declared.weight
        backend = super()._backend(pool, declared, was, now)
        backend.weight = weight
        return backend


@defect(
    "reload-forgets-health",
    "FLO",
    "After a reload every backend is healthy until a probe says otherwise.",
    "HAProxy without a server-state file: https://github.com/haproxy/haproxy/issues/918 and 2085",
)
class ReloadForgetsHealth(Decisions):
    def reload(self, spec: Spec, now: float) -> None:
        super().reload(spec, now)
        for pool in self.pools.values():
            for backend in pool.backends:
                if backend.served or backend.healthy is not None:
                    backend.healthy = True


@defect(
    "reload-forgets-cookies",
    "FLO",
    "After a reload the balancer does not know the cookies that it has set.",
    "a signing key made at start; ALB rotates its own without losing bindings",
)
class ReloadForgetsCookies(Decisions):
    def reload(self, spec: Spec, now: float) -> None:
        self.secret = self.rng.randbytes(32)
        for pool in self.pools.values():
            pool.affinity = None
        super().reload(spec, now)


@defect(
    "reload-ignores-rules",
    "FLO",
    "A reload takes over pools, and leaves the rules as they were.",
    "partial hot reload; Skipper: https://github.com/zalando/skipper/pull/620 was the reverse",
)
class ReloadIgnoresRules(Decisions):
    def reload(self, spec: Spec, now: float) -> None:
        old = self._routers
        super().reload(spec, now)
        self._routers.update(old)

    def router(self, listener: Listener) -> Router:
        return self._routers.get(listener.name) or super().router(listener)


@defect(
    "reload-starts-over",
    "FLO",
    "A reload forgets what is known of every backend, and serves nobody until each has been probed again.",
    "keepalived: https://github.com/acassen/keepalived/pull/381 (state lost for what did not change)",
)
class ReloadStartsOver(Decisions):
    def reload(self, spec: Spec, now: float) -> None:
        for pool in self.pools.values():
            pool.backends = []
        super().reload(spec, now)
