"""Everything that the reference balancer decides, behind one object: the seam between the pure core and the shell.

No I/O and no clock: `now` comes in, draws come from the seeded `rng`. The shell acts on what is returned and reports
what happened (`began`, `ended`, `probed`). A named defect is a subclass that overrides one decision (`defects.py`).
"""

# ruff: noqa: ARG002  (the shell tells more than the right decisions need; wrong ones may use it)

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from enum import Enum
from typing import ClassVar, Literal

from lbcheck.balancer import headers, health, policies, retry, routing
from lbcheck.balancer.headers import downstream
from lbcheck.balancer.health import ProbeResult
from lbcheck.balancer.messages import Messages
from lbcheck.balancer.request import Request
from lbcheck.balancer.retry import Attempt
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.balancer.stickiness import Affinity, affinity_of
from lbcheck.errors import UsageError
from lbcheck.spec.model import Action, Backend, Forward, HealthCheck, Listener, Pool, Redirect, Rewrite, Spec

__all__ = ["GIVEN_UP", "Attempt", "BackendState", "Decisions", "Nobody", "PoolState", "ProbeResult"]

GIVEN_UP = ("aborted", "abandoned", "broken", "unsent")  # results of tries that end for no reason of the backend's

OWN_STATUS = {"none_usable": 503, "refused": 502, "broken": 502, "timeout": 504}


class Nobody(Enum):
    """Why no backend was chosen."""

    FULL = "full"  # all candidates are at max_connections: wait in the queue
    NONE_USABLE = "none usable"  # answer with `own_status`


class Decisions(Messages):
    """All decisions of one running balancer for one spec."""

    spec: Spec
    pools: dict[str, PoolState]

    conditional: ClassVar[routing.Conditional] = routing.Conditional()
    hop_by_hop: ClassVar[frozenset[str]] = headers.HOP_BY_HOP
    connection_names: ClassVar[bool] = True  # fields named by Connection are hop-by-hop too
    heads_vary: ClassVar[bool] = False  # do requests that are alike get different `upstream_headers`?

    def __init__(
        self, spec: Spec, rng: random.Random, now: float, secret: bytes = b"", *, epoch: float | None = None
    ) -> None:
        """`secret` signs lb cookies; it must outlive a reload. `epoch` is Unix time minus `now`'s clock: with it lb
        cookies carry Expires beside Max-Age."""
        self.spec = spec
        self.rng = rng
        self.secret = secret or rng.randbytes(32)
        self.epoch = epoch
        self.pools = {}
        self._routers: dict[str, routing.Router] = {}
        self._upstream: dict[str, headers.Upstream] = {}
        self._downstream = headers.Kinds(self.hop_by_hop, connection=self.connection_names)
        self.reload(spec, now)
        for pool in self.pools.values():
            for backend in pool.backends:
                backend.ramps, backend.rising_since = False, float("-inf")  # at the start nobody ramps

    # --- routing -----------------------------------------------------------------------------------------------------

    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        """The action of the lowest matching priority, or the listener's default."""
        router = self._routers.get(listener.name) or self.router(listener)
        if router.trust:
            request.client = self.client_address(router, request)
        return router.route(request) if router.rules else router.default

    def router(self, listener: Listener) -> routing.Router:
        return routing.Router(listener, self.conditional)

    def client_address(self, router: routing.Router, request: Request) -> str:
        """The address that is hashed and remembered, where the listener trusts some peers' X-Forwarded-For."""
        return routing.forwarded_client(request, router.trust)

    def pool_of(self, action: Action, request: Request) -> str:
        """Which pool a forward goes to: one draw where there are several weights."""
        assert isinstance(action, Forward)
        if len(action.pools) == 1:
            return action.pools[0][0]
        return routing.drawn_pool(action, self.rng)

    def rewritten(self, rewrite: Rewrite, target: str) -> str:
        """The request target that a backend sees."""
        return routing.rewritten(rewrite, target)

    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        """The Location of a redirect."""
        assert isinstance(redirect, Redirect)
        return routing.location(redirect, listener, request)

    # --- choosing ----------------------------------------------------------------------------------------------------

    def choose(
        self, pool: PoolState, request: Request, now: float, tried: Collection[str] = ()
    ) -> BackendState | Nobody:
        """A backend for this try: stickiness first, then the policy; names in `tried` only when nobody else is."""
        if now >= pool.changes_at:
            self.refresh(pool, now)
        affinity = pool.affinity
        if affinity is not None:
            bound = self.bound(pool, request, now)
            if bound is not None and bound.name not in tried and self.keeps(pool, bound):
                affinity.chosen(request, bound, now)
                return bound
        among = pool.usable
        if not among:
            return Nobody.NONE_USABLE
        limit = pool.limit
        if limit is not None:
            among = [b for b in among if b.in_flight < limit]
            if not among:
                return Nobody.FULL
        if tried:
            among = self.untried(among, tried)
        backend = self.pick(pool, among, request, now)
        if affinity is not None:
            affinity.chosen(request, backend, now)
        return backend

    def pick(self, pool: PoolState, among: list[BackendState], request: Request, now: float) -> BackendState:
        """The pool's policy; `among` is never empty."""
        if pool.ramping:
            return policies.ramped(pool, among, request, now, self.rng)
        return pool.policy(pool, among, request, now, self.rng)

    def untried(self, among: list[BackendState], tried: Collection[str]) -> list[BackendState]:
        """A repeat goes elsewhere where it can."""
        return [b for b in among if b.name not in tried] or among

    def refresh(self, pool: PoolState, now: float) -> None:
        """Asks again who is usable; a change of members begins a new cycle of turns."""
        health.refresh(pool, now)
        usable = self.candidates(pool, now)
        if usable != pool.usable:
            pool.usable = usable
            pool.forget_turns()

    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        """Primaries in service; without one, backups in service; without one, everybody where the pool fails open."""
        serving = [b for b in pool.backends if self.in_service(b)]
        primaries = [b for b in serving if not b.backup]
        return primaries or serving or (health.all_known_bad(pool) if self.fails_open(pool) else [])

    def in_service(self, backend: BackendState) -> bool:
        return health.in_service(backend)

    def fails_open(self, pool: PoolState) -> bool:
        return pool.spec.all_unhealthy == "fail_open"

    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        """The backend that this client is bound to, fit or not."""
        return pool.affinity.bound(pool, request, now) if pool.affinity else None

    def keeps(self, pool: PoolState, backend: BackendState) -> bool:
        """May a bound client still go there? A draining backend keeps its own where the spec says so."""
        if pool.limit is not None and backend.in_flight >= pool.limit:
            return False
        if backend in pool.usable:
            return True
        draining = backend.draining and self.spec.claims.sticky_while_draining is True
        return draining and health.sound(backend)

    def began(self, pool: PoolState, backend: BackendState, now: float) -> None:
        """A try is under way: in-flight counts grow."""
        backend.in_flight += 1
        backend.served += 1

    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        """The try is over, exactly once a `began`. Shrinks in-flight, feeds passive health and response times.

        `result`: ok | connect | reset | timeout | a status code; or one of `GIVEN_UP`: aborted (by the client) |
        abandoned (so too, in mid-body) | broken (the client's body will never be whole) | unsent (there was no
        connection yet). `latency` is in seconds.
        """
        backend.in_flight -= 1
        if result in ("connect", "reset", "timeout"):
            # a fast failure must not look like a fast backend
            latency = max(latency or 0.0, pool.spec.timeouts.connect)
        if latency is not None:
            policies.measured(backend, latency)
        passive = pool.spec.passive_health
        if passive is None or result in GIVEN_UP:  # this says nothing of the backend
            return
        failed = self.counts_as_failure(pool, result)
        if health.ended(pool, passive, backend, failed, now) and self.may_eject(pool, now):
            backend.ejected_until = now + passive.ejection
            pool.stale()

    def next_waiting(self, length: int) -> int:
        """Who of so many that wait, in the order of their coming, goes next."""
        return 0

    def frees(self, what: str) -> bool:
        """Is the next who waits looked after? What has happened: a `result`, `probed`, `members`, `ejection` over."""
        return True

    def counts_as_failure(self, pool: PoolState, result: str) -> bool:
        """Does a try that ended so speak against the backend?"""
        passive = pool.spec.passive_health
        return passive is not None and health.counts_as_failure(passive, result)

    def may_eject(self, pool: PoolState, now: float) -> bool:
        """Would one more backend stay within the share that may be ejected?"""
        passive = pool.spec.passive_health
        return passive is not None and health.may_eject(pool, passive, now)

    def bind(
        self, pool: PoolState, request: Request, backend: BackendState, headers: Sequence[tuple[str, str]], now: float
    ) -> str | None:
        """The Set-Cookie value to add to this answer, or None; `headers` are the backend's answer's."""
        return None if pool.affinity is None else pool.affinity.bind(pool, request, backend, headers, now)

    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        """RFC 9110 section 9.2.2: what may be repeated. Never a non-idempotent request that may have been read."""
        return retry.may_retry(pool.spec.retries, attempt)

    def replayed(self, held: list[bytes]) -> list[bytes]:
        """What of a held request body a repeat sends: all of it."""
        return held

    def own_status(self, pool: PoolState, why: Literal["none_usable", "refused", "broken", "timeout"]) -> int:
        declared: int | None = getattr(pool.spec.statuses, why)
        return OWN_STATUS[why] if declared is None else declared

    # --- health ------------------------------------------------------------------------------------------------------

    def initial_health(self, check: HealthCheck | None) -> bool | None:
        """The health of a backend before its first probe; None: unknown, no traffic until the first result."""
        return health.initial(check)

    def probe_head(self, pool: PoolState, backend: BackendState) -> tuple[str, int, bytes]:
        """(host, port, request bytes) of a probe; no bytes for a TCP check."""
        check = pool.spec.health_check or HealthCheck()
        port = check.port or backend.port
        host = f"[{backend.host}]" if ":" in backend.host else backend.host
        return backend.host, port, health.probe_request(check, f"{host}:{port}")

    def probe_timeout(self, check: HealthCheck) -> float:
        """Seconds from a probe's start after which it has failed as `timeout`."""
        return check.timeout

    def probe_connect_timeout(self, check: HealthCheck) -> float | None:
        """Of that, the seconds in which the connection has to be there; None: any number."""
        return self.probe_timeout(check)

    def ends_probe(self, status: int) -> bool:
        """Is this the final head of an answer to a probe? Interim ones are read over (RFC 9110 section 15.2)."""
        return status >= 200

    def passed(self, check: HealthCheck, result: ProbeResult) -> bool:
        return health.passed(check, result)

    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        """Takes one probe's result: streaks, thresholds, state, slow start."""
        check = pool.spec.health_check
        if check is not None and health.observe(backend, check, passed, now):
            pool.stale()

    def next_probe(self, check: HealthCheck, started: float, finished: float) -> float:
        """When the next probe begins: an interval after the last one began, never two at once."""
        return max(started + check.interval, finished)

    # --- heads -------------------------------------------------------------------------------------------------------

    def upstream_headers(
        self, listener: Listener, pool: PoolState, backend: BackendState, request: Request
    ) -> list[tuple[str, str]]:
        """The request's fields for the backend: Host first, hop-by-hop and Connection-named ones gone (RFC 9110 section
        7.6.1), X-Forwarded-* as declared. Framing fields (Content-Length, Transfer-Encoding) are the shell's.

        A function of the listener, the backend and the request's fields, host and peer: the shell asks once for all
        requests that are alike in these, unless `heads_vary`.
        """
        upstream = self._upstream.get(listener.name) or self.upstream(listener)
        return upstream.fields(request, backend)

    def upstream(self, listener: Listener) -> headers.Upstream:
        return headers.Upstream(listener, self.hop_by_hop, self.connection_names)

    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The answer's fields for the client, in order, hop-by-hop ones gone; Content-Length is kept as it came.

        A function of `headers` alone: the shell asks once for all answers with the same head.
        """
        return downstream(self._downstream, headers)

    def patience(self, pool: PoolState, passed: float) -> float:
        """Seconds that the next part of an answer's body may take, `passed` seconds after its try began."""
        return pool.spec.timeouts.response

    # --- change ------------------------------------------------------------------------------------------------------

    def reload(self, spec: Spec, now: float) -> None:
        """Takes a new spec over; what lives on is kept: health of unchanged backends, hash maps, cookies, in-flight."""
        old = self.pools
        self.spec = spec
        self.pools = {pool.name: self._taken_over(old.get(pool.name), pool, now) for pool in spec.pools}
        self._routers = {listener.name: self.router(listener) for listener in spec.listeners}
        self._upstream = {listener.name: self.upstream(listener) for listener in spec.listeners}

    def _taken_over(self, pool: PoolState | None, spec: Pool, now: float) -> PoolState:
        """The same object where the pool lives on, since requests under way hold it."""
        if pool is None:
            pool = PoolState(spec)
        last = next((b.name for b in pool.backends if b.position == pool.cursor), None)
        if pool.affinity is None or pool.spec.stickiness != spec.stickiness:
            pool.affinity = self.affinity(spec)
        was = {b.name: b for b in pool.backends}
        weights = {b.name: b.weight for b in pool.backends}
        pool.spec, pool.limit, pool.policy = spec, spec.max_connections or None, policies.policy_of(spec)
        pool.backends, pool.places = [], 0
        for declared in spec.backends:
            pool.add(self._backend(pool, declared, was.get(declared.name), now))
        pool.cursor = next((b.position for b in pool.backends if b.name == last), -1)
        if any(b.weight != weights.get(b.name, b.weight) for b in pool.backends):
            pool.forget_turns()
        return pool

    def affinity(self, pool: Pool) -> Affinity | None:
        return affinity_of(pool.stickiness, self.secret, self.epoch)

    def _backend(self, pool: PoolState, declared: Backend, was: BackendState | None, now: float) -> BackendState:
        """The backend as declared; one that was there at the same address keeps all that is known of it."""
        backend = was
        if backend is None or (backend.host, backend.port) != (declared.host, declared.port):
            backend = BackendState(pool.name, declared.name, declared.host, declared.port, declared.weight)
            backend.healthy = self.initial_health(pool.spec.health_check)
            health.ramp_new(backend, now)
        elif pool.spec.health_check is None:
            backend.healthy = True
        backend.weight, backend.backup = declared.weight, declared.backup
        backend.draining = declared.state == "draining"
        return backend

    def drain(self, pool: str, backend: str, now: float) -> None:
        state = self._known(pool, backend)
        state.draining = True
        self.pools[pool].stale()

    def register(self, pool: str, name: str, address: str, weight: int, now: float) -> None:
        """Adds a backend, or puts one of that name back to work: at this address, with this weight, not draining."""
        state = self.pools[pool]
        declared = Backend(name, address, weight)
        was = state.backend(name)
        weighed = weight if was is None else was.weight
        backend = self._backend(state, declared, was, now)
        if was is None:
            state.add(backend)
        elif backend is not was:
            backend.position = was.position
            state.backends[state.backends.index(was)] = backend
        if weight != weighed:
            state.forget_turns()
        state.stale()

    def deregister(self, pool: str, backend: str, now: float) -> None:
        state = self.pools[pool]
        state.backends = [b for b in state.backends if b.name != self._known(pool, backend).name]
        state.stale()

    def reweigh(self, pool: str, backend: str, weight: int, now: float) -> None:
        self._known(pool, backend).weight = weight
        self.pools[pool].stale()
        self.pools[pool].forget_turns()

    def time_to_connect(self, pool: PoolState) -> float:
        """Seconds that a try waits for a connection."""
        return pool.spec.timeouts.connect

    def no_connection(self, late: bool) -> str:
        """As what a try counts that got no connection, refused or in time: a kind of failure as in `retries.on`."""
        return "connect"

    def time_to_finish(self, pool: PoolState, backend: BackendState) -> float:
        """Seconds that a backend which drains, or has left the pool, still has for what it is at."""
        return pool.spec.deregistration_delay

    def cuts_off(self, pool: PoolState | None, backend: BackendState) -> bool:
        """Is what it is at ended when that time is over? Not where it is back at work."""
        return pool is None or not any(b is backend and not b.draining for b in pool.backends)

    def grace(self, asked_s: float) -> float:
        """Seconds that requests under way have when the balancer is told to stop."""
        return asked_s

    def accepts(self, stopping: bool) -> bool:
        """Are new connections taken?"""
        return not stopping

    def stopped(self, left: Sequence[int]) -> bool:
        """Is a graceful stop over with this many clients left on each listener?"""
        return not any(left)

    def _known(self, pool: str, backend: str) -> BackendState:
        found = self.pools[pool].backend(backend) if pool in self.pools else None
        if found is None:
            known = ", ".join(f"{p.name}/{b.name}" for p in self.pools.values() for b in p.backends)
            raise UsageError(f"no backend {pool}/{backend} here", remedy=f"known are: {known}")
        return found
