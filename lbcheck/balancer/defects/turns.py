"""ALG: whose turn it is, and weights."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.balancer import policies
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Algorithm, Backend, Pool

ROUND_ROBIN, WEIGHTED = Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN


@defect(
    "turn-skipped",
    "ALG",
    "Every fifth turn of a round robin is skipped.",
    "gobetween: https://github.com/yyyar/gobetween/issues/175 (backends not taken in turn)",
)
class TurnSkipped(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is ROUND_ROBIN:
            pool.run += 1
            if pool.run % 5 == 0:
                super().pick(pool, among, request, now)
        return super().pick(pool, among, request, now)


@defect(
    "round-robin-at-random",
    "ALG",
    "Round robin draws at random: the shares are right in the long run, the order is not.",
    "kube-proxy: https://github.com/kubernetes/kubernetes/issues/64580 (round robin meant, random done)",
)
class RoundRobinAtRandom(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        return self.rng.choice(among) if pool.spec.algorithm is ROUND_ROBIN else super().pick(pool, among, request, now)


@defect(
    "turns-restart-on-change",
    "ALG",
    "Whenever a backend comes or goes, the rotation begins again at the first one.",
    "Skipper: https://github.com/zalando/skipper/issues/614 (each update starts at the first member)",
)
class TurnsRestart(Decisions):
    def refresh(self, pool: PoolState, now: float) -> None:
        before = pool.usable
        super().refresh(pool, now)
        if pool.usable is not before:
            pool.cursor = -1


@defect(
    "share-to-neighbour",
    "ALG",
    "The turn of a backend that is out goes to the next in the list, which so gets a double share.",
    "ServiceTalk: https://github.com/apple/servicetalk/pull/3021 (dogpiling on the host after an unhealthy one)",
)
class ShareToNeighbour(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is not ROUND_ROBIN:
            return super().pick(pool, among, request, now)
        turn = next((b for b in pool.backends if b.position > pool.cursor), pool.backends[0])
        pool.cursor = turn.position
        return next((b for b in among if b.position >= turn.position), among[0])


@defect(
    "returned-catches-up",
    "ALG",
    "Round robin picks who has served least so far, so that a backend that returns is flooded until it has caught up.",
    "request counters compared instead of a cursor; seen with Traefik: https://github.com/traefik/traefik/issues/2986",
)
class ReturnedCatchesUp(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is ROUND_ROBIN:
            return min(among, key=lambda b: b.served)
        return super().pick(pool, among, request, now)


@defect(
    "weights-ignored",
    "ALG",
    "Weighted round robin gives every backend the same share.",
    "HAProxy: https://github.com/haproxy/haproxy/issues/1910 (weights read, and not used)",
)
class WeightsIgnored(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is WEIGHTED:
            return policies.round_robin(pool, among, request, now, self.rng)
        return super().pick(pool, among, request, now)


@defect(
    "weights-rounded",
    "ALG",
    "Weights are rounded to tenths of the whole before they are used.",
    "Traefik: https://github.com/traefik/traefik/issues/7843 (34/33/33 is not shared in thirds)",
)
class WeightsRounded(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is not WEIGHTED:
            return super().pick(pool, among, request, now)
        total = sum(b.weight for b in among)
        return policies.smooth_by(among, [max(1, round(10 * b.weight / total)) for b in among])


@defect(
    "order-burst-for-smooth",
    "ALG",
    "Weighted round robin sends a backend its whole weight in a row where the order is to be smooth.",
    "nginx before 1.3.1 (commit 52327e0627f4 brought smooth order)",
)
class OrderBurst(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is WEIGHTED and not pool.ramping:
            return policies.burst(pool, among, request, now, self.rng)
        return super().pick(pool, among, request, now)


@defect(
    "order-smooth-for-burst",
    "ALG",
    "Weighted round robin interleaves where the order is to come in bursts.",
    "nginx since 1.3.1 (commit 52327e0627f4), seen from a configuration written before it",
)
class OrderSmooth(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is WEIGHTED:
            return policies.smooth(pool, among, request, now, self.rng)
        return super().pick(pool, among, request, now)


@defect(
    "weight-zero-served",
    "ALG",
    "Weight 0 is read as not given, and becomes 1.",
    "Traefik: https://github.com/traefik/traefik/issues/1294 (weight 0 behaves as weight 1)",
)
class WeightZeroServed(Decisions):
    def _backend(self, pool: PoolState, declared: Backend, was: BackendState | None, now: float) -> BackendState:
        return super()._backend(pool, replace(declared, weight=declared.weight or 1), was, now)

    def reweigh(self, pool: str, backend: str, weight: int, now: float) -> None:
        super().reweigh(pool, backend, weight or 1, now)


@defect(
    "all-zero-served",
    "ALG",
    "A pool whose weights are all 0 is shared equally instead of refused.",
    "Stackset controller: https://github.com/zalando-incubator/stackset-controller/issues/43",
)
class AllZeroServed(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        zero = all(b.weight == 0 for b in pool.backends)
        return [b for b in pool.backends if b.healthy] if zero else super().candidates(pool, now)

    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        zero = all(b.weight == 0 for b in among)
        return (
            policies.round_robin(pool, among, request, now, self.rng)
            if zero
            else super().pick(pool, among, request, now)
        )


@defect(
    "random-is-a-rotation",
    "ALG",
    "Random takes turns.",
    "a generator that is seeded anew for each request; HAProxy's `balance random` documents independent draws",
)
class RandomIsARotation(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is Algorithm.RANDOM:
            return policies.smooth(pool, among, request, now, self.rng)
        return super().pick(pool, among, request, now)


@defect(
    "random-weights-ignored",
    "ALG",
    "Random draws uniformly whatever the weights are.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/31378 (weights not respected from the start)",
)
class RandomWeightsIgnored(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is Algorithm.RANDOM:
            return self.rng.choice(among)
        return super().pick(pool, among, request, now)


@defect(
    "sticky-hit-takes-a-turn",
    "ALG",
    "A request of a bound client uses up a turn of the rotation.",
    "cookie handlers that wrap the rotation: https://github.com/vulcand/oxy (roundrobin with sticky sessions)",
)
class StickyHitTakesATurn(Decisions):
    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        backend = super().bound(pool, request, now)
        if backend is not None and pool.usable:
            self.pick(pool, pool.usable, request, now)
        return backend


@defect(
    "reweigh-keeps-credits",
    "ALG",
    "What a backend has had as a heavy one is held against it when it is made light: the others get all for long.",
    "a smooth round robin whose credits outlive the weights that they were won by",
)
class ReweighKeepsCredits(Decisions):
    def reweigh(self, pool: str, backend: str, weight: int, now: float) -> None:
        kept = [(b, b.credit) for b in self.pools[pool].backends]
        super().reweigh(pool, backend, weight, now)
        for each, credit in kept:
            each.credit = credit


@defect(
    "reload-keeps-credits",
    "ALG",
    "A reload that changes weights leaves credits as they were: who was heavy is passed over for long.",
    "state that is carried over a reload by name, with what it was worth under the old weights",
)
class ReloadKeepsCredits(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        kept = {b.name: b.credit for b in pool.backends} if pool is not None else {}
        taken = super()._taken_over(pool, spec, now)
        for each in taken.backends:
            each.credit = kept.get(each.name, each.credit)
        return taken
