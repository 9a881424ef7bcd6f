"""Everything that the reference balancer decides, behind one object: the seam between the pure core and the shell.

No I/O and no clock: `now` comes in, draws come from the seeded `rng`. The shell acts on what is returned and reports
what happened (`began`, `ended`, `probed`). A named defect is a subclass that overrides one decision (`defects.py`).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from lbcheck.balancer.request import Request
from lbcheck.spec.model import Action, HealthCheck, Listener, Pool, Rewrite, Spec


class Nobody(Enum):
    """Why no backend was chosen."""

    FULL = "full"  # all candidates are at max_connections: wait in the queue
    NONE_USABLE = "none usable"  # answer with `own_status`


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that failed. `what`: connect | reset | timeout | a status code as a string.

    `sent`: at least one byte of the request may have been read by the backend. `repeats`: tries made before this one.
    `replayable`: the whole request body is still at hand. `answering`: the client has been sent a part of an answer.
    `reused`: the connection had served another request before, and closed without a byte of an answer.
    """

    what: str
    method: str
    sent: bool
    repeats: int
    replayable: bool
    answering: bool = False
    reused: bool = False


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe met. `status` None: no whole head of an answer; `error`: refused | reset | timeout | garbage | closed."""

    status: int | None = None
    error: str | None = None


class BackendState:
    """A backend as the balancer sees it now. Written by `Decisions` only; the shell reads."""

    def __init__(self, pool: str, name: str, host: str, port: int, weight: int) -> None:
        raise NotImplementedError


class PoolState:
    """A pool: `spec: Pool`, `backends: list[BackendState]`, and the policy's own memory."""

    def __init__(self, spec: Pool) -> None:
        raise NotImplementedError


class Decisions:
    """All decisions of one running balancer for one spec."""

    spec: Spec
    pools: dict[str, PoolState]

    def __init__(self, spec: Spec, rng: random.Random, now: float, secret: bytes = b"") -> None:
        """`secret` signs lb cookies; it must outlive a reload."""
        raise NotImplementedError

    # --- routing -----------------------------------------------------------------------------------------------------

    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        """The action of the lowest matching priority, or the listener's default."""
        raise NotImplementedError

    def pool_of(self, action: Action, request: Request) -> str:
        """Which pool a forward goes to: one draw where there are several weights."""
        raise NotImplementedError

    def rewritten(self, rewrite: Rewrite, target: str) -> str:
        """The request target that a backend sees."""
        raise NotImplementedError

    def location(self, redirect: Action, listener: Listener, request: Request) -> str:
        """The Location of a redirect."""
        raise NotImplementedError

    # --- choosing ----------------------------------------------------------------------------------------------------

    def choose(
        self, pool: PoolState, request: Request, now: float, tried: Collection[str] = ()
    ) -> BackendState | Nobody:
        """A backend for this try: stickiness first, then the policy; those in `tried` (names) only when nobody else is."""
        raise NotImplementedError

    def began(self, pool: PoolState, backend: BackendState, now: float) -> None:
        """A try is under way: in-flight counts grow."""
        raise NotImplementedError

    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        """The try is over, exactly once a `began`. `result`: ok | aborted (by the client) | connect | reset | timeout | a status code.

        Shrinks in-flight, feeds passive health and least response time.
        """
        raise NotImplementedError

    def bind(
        self, pool: PoolState, request: Request, backend: BackendState, headers: Sequence[tuple[str, str]], now: float
    ) -> str | None:
        """The Set-Cookie value to add to this answer, or None; `headers` are the backend's answer's."""
        raise NotImplementedError

    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        """RFC 9110 section 9.2.2: what may be repeated. Never a non-idempotent request that may have been read."""
        raise NotImplementedError

    def own_status(self, pool: PoolState, why: Literal["none_usable", "refused", "broken", "timeout"]) -> int:
        raise NotImplementedError

    # --- health ------------------------------------------------------------------------------------------------------

    def probe_head(self, pool: PoolState, backend: BackendState) -> tuple[str, int, bytes]:
        """(host, port, request bytes) of a probe; no bytes for a TCP check."""
        raise NotImplementedError

    def passed(self, check: HealthCheck, result: ProbeResult) -> bool:
        raise NotImplementedError

    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        """Takes one probe's result: streaks, thresholds, state, slow start."""
        raise NotImplementedError

    def next_probe(self, check: HealthCheck, started: float, finished: float) -> float:
        """When the next probe begins."""
        raise NotImplementedError

    # --- heads -------------------------------------------------------------------------------------------------------

    def upstream_headers(
        self, listener: Listener, pool: PoolState, backend: BackendState, request: Request
    ) -> list[tuple[str, str]]:
        """The request's fields for the backend: Host first, hop-by-hop and Connection-named ones gone (RFC 9110 section 7.6.1),
        X-Forwarded-* as declared. Framing fields (Content-Length, Transfer-Encoding) are the shell's."""
        raise NotImplementedError

    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The answer's fields for the client, in order, hop-by-hop ones gone."""
        raise NotImplementedError

    def framing(self, method: str, headers: Sequence[tuple[str, str]], version: str) -> int | Literal["chunked"] | None:
        """The request body's framing (RFC 9112 section 6.3): a length, "chunked", or None for a message to refuse with 400."""
        raise NotImplementedError

    def reusable(self, method: str, status: int, keep_alive: bool, clean: bool) -> bool:
        """May this upstream connection serve another request? `clean`: request and answer ended exactly at their frames."""
        raise NotImplementedError

    # --- change ------------------------------------------------------------------------------------------------------

    def reload(self, spec: Spec, now: float) -> None:
        """Takes a new spec over: what lives on (health of unchanged backends, hash maps, cookies, in-flight) is kept."""
        raise NotImplementedError

    def drain(self, pool: str, backend: str, now: float) -> None:
        raise NotImplementedError

    def register(self, pool: str, name: str, address: str, weight: int, now: float) -> None:
        raise NotImplementedError

    def deregister(self, pool: str, backend: str, now: float) -> None:
        raise NotImplementedError

    def reweigh(self, pool: str, backend: str, weight: int, now: float) -> None:
        raise NotImplementedError
