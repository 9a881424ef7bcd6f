"""What the balancer knows now: backends and pools, written by the decisions only."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from lbcheck.spec.model import Pool

if TYPE_CHECKING:
    from lbcheck.balancer.policies import Policy
    from lbcheck.balancer.stickiness import Affinity


class BackendState:
    """A backend as the balancer sees it now. Written by `Decisions` only; the shell reads.

    `healthy` None: no probe has been answered for yet, and the initial state is unknown. `ejected_until` and
    `rising_since` are times of the caller's clock; -inf stands for never.
    """

    __slots__ = (
        "authority",
        "backup",
        "credit",
        "draining",
        "ejected_until",
        "failure_times",
        "failures",
        "healthy",
        "host",
        "in_flight",
        "latency",
        "name",
        "passive_failures",
        "pool",
        "port",
        "position",
        "ramps",
        "rising_since",
        "served",
        "successes",
        "weight",
    )

    def __init__(self, pool: str, name: str, host: str, port: int, weight: int) -> None:
        self.pool = pool
        self.name = name
        self.host = host
        self.port = port
        self.weight = weight
        self.authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.backup = False
        self.draining = False
        self.position = 0  # in the pool's list; grows, and is never reused before a reload
        self.in_flight = 0
        self.served = 0
        # active health: at most one of the two streaks is above zero
        self.healthy: bool | None = True
        self.successes = 0
        self.failures = 0
        # passive health
        self.passive_failures = 0
        self.failure_times: deque[float] = deque()
        self.ejected_until = -inf
        # slow start
        self.ramps = False  # has been out of service, or came while others served: its next rise is slow
        self.rising_since = -inf
        # the policies' memory
        self.credit = 0.0
        self.latency: float | None = None

    def __repr__(self) -> str:
        return f"<backend {self.pool}/{self.name} healthy={self.healthy} in_flight={self.in_flight}>"


class PoolState:
    """A pool: its `spec`, its `backends` in list order, who of them is `usable`, and the policy's memory.

    `usable` holds until `changes_at`; whoever changes a backend calls `stale`.
    """

    __slots__ = (
        "affinity",
        "backends",
        "changes_at",
        "cursor",
        "limit",
        "name",
        "places",
        "policy",
        "ramping",
        "run",
        "spec",
        "usable",
    )

    policy: Policy
    affinity: Affinity | None

    def __init__(self, spec: Pool) -> None:
        self.spec = spec
        self.name = spec.name
        self.backends: list[BackendState] = []
        self.places = 0  # given out so far in the rotation; who has gone keeps its own
        self.usable: list[BackendState] = []
        self.changes_at = -inf
        self.ramping = False
        self.limit: int | None = None  # requests in flight at which a backend is full
        self.cursor = -1  # position of the backend whose turn was last
        self.run = 0  # turns that it still has, where weights come in bursts
        self.affinity = None

    def stale(self) -> None:
        """Who is usable has to be asked again."""
        self.changes_at = -inf

    def backend(self, name: str) -> BackendState | None:
        return next((b for b in self.backends if b.name == name), None)

    def add(self, backend: BackendState) -> None:
        backend.position, self.places = self.places, self.places + 1
        self.backends.append(backend)
        self.stale()

    def forget_turns(self) -> None:
        """Begins a new cycle of the weighted policies, so that a change of members skews none of the later ones."""
        self.run = 0
        for backend in self.backends:
            backend.credit = 0.0
