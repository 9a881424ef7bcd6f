"""Whose turn it is, where the spec leaves that open."""

from __future__ import annotations

from lbcheck.balancer import policies
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.balancer.twins.catalogue import twin
from lbcheck.spec.model import Algorithm, Pool, Spec

TURNS = (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN)
WORKERS = 4


@twin(
    "ties-at-random",
    "ALG",
    "Least connections draws among equals.",
    "Caddy's `least_conn`: https://caddyserver.com/docs/caddyfile/directives/reverse_proxy#lb_policy",
)
class TiesAtRandom(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is not Algorithm.LEAST_CONNECTIONS or pool.ramping:
            return super().pick(pool, among, request, now)
        fewest = min(b.in_flight for b in among)
        return self.rng.choice([b for b in among if b.in_flight == fewest])


Memory = tuple[int, int, dict[str, float]]  # cursor, run, credit by name


@twin(
    "cursor-per-worker",
    "ALG HLT",
    "Four workers keep a rotation each, and a connection meets any of them.",
    "nginx without `zone`, Envoy's worker threads: https://nginx.org/en/docs/http/ngx_http_upstream_module.html#zone",
    workers=WORKERS,
)
class CursorPerWorker(Decisions):
    def worker(self) -> int:
        return self.rng.randrange(WORKERS)

    def refresh(self, pool: PoolState, now: float) -> None:
        before = pool.usable
        super().refresh(pool, now)
        if pool.usable is not before:
            self.memories().update({(pool.name, worker): (pool.cursor, 0, {}) for worker in range(WORKERS)})

    def reweigh(self, pool: str, backend: str, weight: int, now: float) -> None:
        super().reweigh(pool, backend, weight, now)
        self.memories().clear()  # what was owed under other weights is owed no more

    def reload(self, spec: Spec, now: float) -> None:
        super().reload(spec, now)
        self.memories().clear()

    def memories(self) -> dict[tuple[str, int], Memory]:
        return self.__dict__.setdefault("_memories", {})  # type: ignore[no-any-return]

    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm not in TURNS:
            return super().pick(pool, among, request, now)
        key = pool.name, request.worker
        pool.cursor, pool.run, credits_of = self.memories().get(key, (-1, 0, {}))
        for backend in pool.backends:
            backend.credit = credits_of.get(backend.name, 0.0)
        chosen = super().pick(pool, among, request, now)
        self.memories()[key] = pool.cursor, pool.run, {b.name: b.credit for b in pool.backends}
        return chosen


@twin(
    "rotation-begins-anywhere",
    "ALG HLT",
    "A rotation begins at a backend drawn at random.",
    "Envoy's round robin: https://github.com/envoyproxy/envoy/blob/main/source/extensions/load_balancing_policies/"
    "round_robin/round_robin_lb.h (`seed_` is the first index)",
)
class RotationBeginsAnywhere(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        taken = super()._taken_over(pool, spec, now)
        if pool is None and taken.backends:
            taken.cursor = self.rng.randrange(len(taken.backends)) - 1
        return taken


@twin(
    "rotation-backwards",
    "ALG HLT",
    "A rotation visits the backends from the last to the first.",
    "LVS: `ip_vs_add_dest` puts each new server at the list's head, and `rr` walks from there",
)
class RotationBackwards(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is not Algorithm.ROUND_ROBIN or pool.ramping:
            return super().pick(pool, among, request, now)
        chosen = next((b for b in reversed(among) if b.position < pool.cursor), among[-1])
        pool.cursor = chosen.position
        return chosen


@twin(
    "rotation-begins-again-on-reload",
    "FLO ALG",
    "A reload begins every rotation anew.",
    "nginx: a reload starts new workers, whose cursors stand at the first (`ngx_http_upstream_init_round_robin`)",
)
class RotationBeginsAgain(Decisions):
    def reload(self, spec: Spec, now: float) -> None:
        super().reload(spec, now)
        for pool in self.pools.values():
            pool.cursor = -1
            pool.forget_turns()


@twin(
    "bursts-in-any-order",
    "ALG",
    "Weighted round robin sends a backend its whole weight in a row where no order is declared.",
    "nginx before 1.3.1, and HAProxy's `static-rr` at equal weights; the reference interleaves",
)
class BurstsInAnyOrder(Decisions):
    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        taken = super()._taken_over(pool, spec, now)
        if spec.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN and spec.order == "any":
            taken.policy = policies.burst
        return taken


@twin(
    "second-of-two",
    "ALG",
    "Of two picks with as many requests in flight the second is taken.",
    "which of two equals wins is open: Envoy keeps the first, nginx's `random two least_conn` the other",
)
class SecondOfTwo(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is not Algorithm.POWER_OF_TWO or pool.ramping or len(among) == 1:
            return super().pick(pool, among, request, now)
        first, second = self.rng.sample(among, 2)
        return first if first.in_flight < second.in_flight else second


@twin(
    "one-more-by-weight",
    "ALG",
    "Weighted least connections compares what would be in flight: (count + 1) / weight.",
    "HAProxy's `leastconn`: https://docs.haproxy.org/2.6/configuration.html#4.2-balance (`fwlc_get_next_server`)",
)
class OneMoreByWeight(Decisions):
    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        if pool.spec.algorithm is not Algorithm.WEIGHTED_LEAST_CONNECTIONS or pool.ramping:
            return super().pick(pool, among, request, now)
        return min(among, key=lambda b: ((b.in_flight + 1) / b.weight, b.position))
