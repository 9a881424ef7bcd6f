"""ALG: slow start, of those who return and of those who are new."""

from __future__ import annotations

from math import inf

from lbcheck.balancer import policies
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Algorithm, Backend

TURNS = (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN)


@defect(
    "slow-start-skipped",
    "ALG",
    "A backend that returns has its whole share at once.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/19437 (slow start without effect)",
)
class SlowStartSkipped(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        return pool.policy(pool, among, request, now, self.rng)


@defect(
    "slow-start-never-ends",
    "ALG",
    "A backend that returns stays at its smallest share.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/19526 (no traffic beyond the slow start window)",
)
class SlowStartNeverEnds(Decisions):
    def refresh(self, pool: PoolState, now: float) -> None:
        for backend in pool.backends:
            if backend.rising_since > -inf:
                backend.rising_since = now
        super().refresh(pool, now)
        if pool.ramping:
            pool.stale()


@defect(
    "slow-start-once-only",
    "ALG",
    "A backend that fails while it ramps has its whole share as soon as it returns.",
    "one flag for ramps that begin and ramps that run; AWS says that a target which turns unhealthy begins again",
)
class SlowStartOnceOnly(Decisions):
    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        ramped, before = backend.rising_since > -inf, backend.healthy
        super().probed(pool, backend, passed, now)
        if ramped and backend.healthy and not before:
            backend.rising_since = now - pool.spec.slow_start


@defect(
    "slow-start-forgets-weights",
    "ALG",
    "While a backend ramps, weighted round robin gives all others the same share.",
    "a second scheduler for ramps, which takes shares of one instead of shares of a weight",
)
class SlowStartForgetsWeights(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.ramping and pool.spec.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN:
            return policies.smooth_by(among, [policies.ramped_share(b, pool.spec.slow_start, now) for b in among])
        return super().pick(pool, among, request, now)


@defect(
    "slow-start-of-turns-alone",
    "ALG",
    "Slow start is in force with rotations, and without effect where the policy draws or counts.",
    "nginx Plus: `slow_start` can't be used with hash, ip_hash and random; a configuration that takes it all the same",
)
class SlowStartOfTurnsAlone(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm in TURNS:
            return super().pick(pool, among, request, now)
        return pool.policy(pool, among, request, now, self.rng)


@defect(
    "slow-start-from-nothing",
    "ALG",
    "A ramp begins at nothing, and not at a twentieth of the weight.",
    "nginx Plus: `slow_start` is the time in which a server recovers its weight from zero",
)
class SlowStartFromNothing(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if not pool.ramping or pool.spec.algorithm not in TURNS:
            return super().pick(pool, among, request, now)
        parts = [min(1.0, (now - b.rising_since) / pool.spec.slow_start) for b in among]
        equal = pool.spec.algorithm is Algorithm.ROUND_ROBIN
        return policies.smooth_by(among, [p if equal else p * b.weight for p, b in zip(parts, among, strict=True)])


@defect(
    "slow-start-not-after-ejection",
    "HLT",
    "A backend that is back from an ejection has its whole share at once.",
    "Envoy: slow start is of endpoints that join and of those that pass active checks again",
)
class SlowStartNotAfterEjection(Decisions):
    def refresh(self, pool: PoolState, now: float) -> None:
        before = [(b, b.rising_since) for b in pool.backends if b.ejected_until > -inf]
        super().refresh(pool, now)
        for backend, rising_since in before:
            backend.rising_since = rising_since
        if before:
            super().refresh(pool, now)


@defect(
    "slow-start-after-failures-alone",
    "ALG",
    "A backend that is registered has its whole share at once; only one that has failed ramps.",
    'HAProxy\'s manual: slowstart "only applies when a server has been previously seen as failed"',
)
class SlowStartAfterFailuresAlone(Decisions):
    def _backend(self, pool: PoolState, declared: Backend, was: BackendState | None, now: float) -> BackendState:
        backend = super()._backend(pool, declared, was, now)
        if backend is not was:
            backend.ramps, backend.rising_since = False, -inf
        return backend


@defect(
    "slow-start-of-new-by-probes",
    "ALG",
    "A registered backend ramps only where a probe has to find it well first.",
    "a ramp that hangs on the change of health: whoever is not probed never changes it",
)
class SlowStartOfNewByProbes(Decisions):
    def _backend(self, pool: PoolState, declared: Backend, was: BackendState | None, now: float) -> BackendState:
        backend = super()._backend(pool, declared, was, now)
        if backend is not was and pool.spec.health_check is None:
            backend.rising_since = -inf
        return backend
