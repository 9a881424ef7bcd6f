"""FLO: draining, registration, new weights, reload."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lbcheck.balancer import health
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.routing import Router
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Backend, HealthCheck, Listener, Pool, Spec


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
    "draining-keeps-though-sick",
    "STK",
    "A draining backend keeps its bound clients although its probes fail.",
    "two reasons to be out, and the one that keeps its clients is asked first",
)
class DrainingKeepsThoughSick(Decisions):
    def keeps(self, pool: PoolState, backend: BackendState) -> bool:
        stays = backend.draining and self.spec.claims.sticky_while_draining is True
        return stays or super().keeps(pool, backend)


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
    "reweigh-keeps-members",
    "FLO",
    "A weight that is changed to 0 or from 0 changes shares, and not who takes part.",
    "a list of usable servers that one of the paths of change forgets; the claim is HAProxy's `set server weight`",
)
class ReweighKeepsMembers(Decisions):
    def reweigh(self, pool: str, backend: str, weight: int, now: float) -> None:
        self._known(pool, backend).weight = weight
        self.pools[pool].forget_turns()


@defect(
    "stop-at-the-first-goodbye",
    "FLO",
    "A graceful stop is over when the first client has gone, and cuts what the others are at.",
    "an event that is set where a count is to reach zero",
)
class StopAtTheFirstGoodbye(Decisions):
    clients = 0

    def stopped(self, left: Sequence[int]) -> bool:
        before, self.clients = self.clients, sum(left)
        return super().stopped(left) or self.clients < before


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
    "reload-forgets-streaks",
    "HLT",
    "A reload begins the count of a backend's probes anew: who reloads often enough never finds out a dead one.",
    "counters that are initialised with whatever a reload touches; HAProxy without a server-state file",
)
class ReloadForgetsStreaks(Decisions):
    def reload(self, spec: Spec, now: float) -> None:
        super().reload(spec, now)
        for pool in self.pools.values():
            for backend in pool.backends:
                backend.successes = backend.failures = 0


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


@defect(
    "drain-cuts-in-flight",
    "FLO",
    "What a backend is at when its draining begins is cut at once.",
    "HAProxy's `shutdown sessions server` used where `set server ... drain` is meant",
)
class DrainCutsInFlight(Decisions):
    def time_to_finish(self, pool: PoolState, backend: BackendState) -> float:
        return 0.0 if backend.draining else super().time_to_finish(pool, backend)


@defect(
    "deregister-cuts-in-flight",
    "FLO",
    "What a backend is at when it is deregistered is cut at once.",
    "Traefik: https://github.com/traefik/traefik/issues/963 (requests lost when a backend is taken away)",
)
class DeregisterCutsInFlight(Decisions):
    def time_to_finish(self, pool: PoolState, backend: BackendState) -> float:
        return super().time_to_finish(pool, backend) if backend in pool.backends else 0.0


@defect(
    "drain-takes-response-time",
    "FLO",
    "What a leaving backend is at is ended after the response timeout, whatever the deregistration delay says.",
    "Gorouter: https://github.com/cloudfoundry/routing-release/issues/165 (request_timeout taken for drain_timeout)",
)
class DrainTakesResponseTime(Decisions):
    def time_to_finish(self, pool: PoolState, backend: BackendState) -> float:
        return pool.spec.timeouts.response


@defect(
    "return-does-not-stop-the-clock",
    "FLO",
    "A backend that is back at work before its delay is over still loses what it is at.",
    "a timer that is started when draining begins and cancelled by nobody",
)
class ReturnDoesNotStopTheClock(Decisions):
    def cuts_off(self, pool: PoolState | None, backend: BackendState) -> bool:
        return True


@defect(
    "stop-cuts-in-flight",
    "FLO",
    "A graceful stop ends what is under way.",
    "KEDA's HTTP add-on: https://github.com/kedacore/http-add-on/issues/1636 (requests killed on SIGTERM)",
)
class StopCutsInFlight(Decisions):
    def grace(self, asked_s: float) -> float:
        return 0.0


@defect(
    "returned-weight-lost",
    "ALG",
    "A backend that is registered again has weight 1, whatever was said.",
    "a default that wins over the given value",
)
class ReturnedWeightLost(Decisions):
    def register(self, pool: str, name: str, address: str, weight: int, now: float) -> None:
        super().register(pool, name, address, 1 if self.pools[pool].backend(name) else weight, now)


@defect(
    "reweigh-forgets-bindings",
    "STK",
    "A new weight breaks the bindings of the pool's clients.",
    "a pool that is built anew for every change, its key with it",
)
class ReweighForgetsBindings(Decisions):
    def reweigh(self, pool: str, backend: str, weight: int, now: float) -> None:
        super().reweigh(pool, backend, weight, now)
        self.secret = self.rng.randbytes(32)
        self.pools[pool].affinity = self.affinity(self.pools[pool].spec)


@defect(
    "reload-forgets-addresses",
    "STK",
    "After a reload no client's address is bound any more.",
    "HAProxy without `peers`: a stick table dies with its process (Configuration Manual, `stick-table`)",
)
class ReloadForgetsAddresses(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        if pool is not None and spec.stickiness is not None and spec.stickiness.type == "source_ip":
            pool.affinity = None
        return super()._taken_over(pool, spec, now)


@defect(
    "reload-keeps-old-check",
    "HLT",
    "A reload that changes a health check leaves the old one running.",
    "a prober that is found by its backend's name, and so is never started anew",
)
class ReloadKeepsOldCheck(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        if pool is not None and pool.spec.health_check is not None:
            spec = replace(spec, health_check=pool.spec.health_check)
        return super()._taken_over(pool, spec, now)


@defect(
    "reload-keeps-old-algorithm",
    "FLO",
    "A reload leaves a pool's algorithm as it was.",
    "a picker that is made with its pool, and a pool that lives on",
)
class ReloadKeepsOldAlgorithm(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        policy = None if pool is None else pool.policy
        taken = super()._taken_over(pool, spec, now)
        taken.policy = policy or taken.policy
        return taken


@defect(
    "reload-ignores-states",
    "FLO",
    "A reload that says that a backend is draining does not drain it.",
    "fields that are read for new servers alone",
)
class ReloadIgnoresStates(Decisions):
    def _backend(self, pool: PoolState, declared: Backend, was: BackendState | None, now: float) -> BackendState:
        draining = declared.state == "draining" if was is None else was.draining
        backend = super()._backend(pool, declared, was, now)
        backend.draining = draining
        return backend


@defect(
    "reload-keeps-who-has-gone",
    "FLO",
    "A backend that a reload leaves out still gets its turns.",
    "a merge of the new list into the old one; compare https://github.com/rancher/rancher/issues/10011",
)
class ReloadKeepsWhoHasGone(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        old = [] if pool is None else pool.backends
        taken = super()._taken_over(pool, spec, now)
        for backend in old:
            if taken.backend(backend.name) is None:
                taken.add(backend)
        return taken


@defect(
    "draining-is-not-probed",
    "HLT",
    "What probes of a draining backend meet is not looked at: it returns as healthy as it left.",
    "probing that stops with the traffic; a server in maintenance is not checked in HAProxy either, a draining one is",
)
class DrainingIsNotProbed(Decisions):
    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        if not backend.draining:
            super().probed(pool, backend, passed, now)


@defect(
    "stop-goes-on-accepting",
    "FLO",
    "A balancer that was told to stop takes new connections until it has.",
    "listeners that are closed last; nginx's manual says that a graceful shutdown closes them first",
)
class StopGoesOnAccepting(Decisions):
    def accepts(self, stopping: bool) -> bool:
        return True


@defect(
    "reload-keeps-old-timeouts",
    "FLO",
    "A reload leaves the pools' timeouts as they were.",
    "settings that are copied once, when a pool is made",
)
class ReloadKeepsOldTimeouts(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        if pool is not None:
            spec = replace(spec, timeouts=pool.spec.timeouts)
        return super()._taken_over(pool, spec, now)


@defect(
    "reload-stops-probes",
    "HLT",
    "After a reload nobody is probed any more.",
    "a prober that is stopped with the old configuration and started with none",
)
class ReloadStopsProbes(Decisions):
    reloads = -1  # the first is the start

    def reload(self, spec: Spec, now: float) -> None:
        super().reload(spec, now)
        self.reloads += 1

    def next_probe(self, check: HealthCheck, started: float, finished: float) -> float:
        return super().next_probe(check, started, finished) + (86_400.0 if self.reloads else 0.0)
