"""Small worlds for the decisions: a pool of named backends, one listener, a clock that the test moves."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lbcheck.balancer.decisions import BackendState, Decisions, Nobody, PoolState
from lbcheck.balancer.request import Request
from lbcheck.spec.model import Backend, Claims, Forward, HealthCheck, Listener, Pool, Rule, Spec

SECRET = b"a secret that outlives reloads"
CHECK = HealthCheck(interval=10.0, timeout=2.0, healthy_threshold=2, unhealthy_threshold=3, initial="healthy")


def backends(names: str = "abc", **weights: int) -> tuple[Backend, ...]:
    return tuple(Backend(n, f"127.0.0.1:{9000 + ord(n)}", weights.get(n, 1)) for n in names)


def get(target: str = "/", *headers: tuple[str, str], host: str = "lb.test", peer: str = "192.0.2.1") -> Request:
    return Request("GET", target, host, list(headers), peer)


def to(pool: str) -> Forward:
    return Forward(((pool, 1),))


class World:
    """One pool behind one listener. `turn` is a whole request; `now` is the clock."""

    def __init__(
        self,
        kind: type[Decisions] = Decisions,
        *,
        names: str = "abc",
        weights: dict[str, int] | None = None,
        members: Sequence[Backend] = (),
        rules: Sequence[Rule] = (),
        listener: dict[str, Any] | None = None,
        claims: Claims | None = None,
        seed: int = 1,
        epoch: float | None = None,
        **pool: Any,
    ) -> None:
        declared = Pool("p", tuple(members) or backends(names, **(weights or {})), **pool)
        self.listener = Listener("l", to("p"), port=8080, rules=tuple(rules), **(listener or {}))
        self.spec = Spec((self.listener,), (declared,), claims or Claims())
        self.now = 1000.0
        self.decisions = kind(self.spec, random.Random(seed), self.now, SECRET, epoch=epoch)

    @property
    def pool(self) -> PoolState:
        return self.decisions.pools["p"]

    def __getitem__(self, name: str) -> BackendState:
        found = self.pool.backend(name)
        assert found is not None
        return found

    def choose(self, request: Request | None = None, tried: Sequence[str] = ()) -> str:
        """The chosen backend's name, or why there is none."""
        request = request or get()
        self.decisions.route(self.listener, request)
        chosen = self.decisions.choose(self.pool, request, self.now, tuple(tried))
        return chosen.value if isinstance(chosen, Nobody) else chosen.name

    def begin(self, request: Request | None = None) -> str:
        name = self.choose(request)
        self.decisions.began(self.pool, self[name], self.now)
        return name

    def end(self, name: str, result: str = "ok", latency: float | None = None) -> None:
        self.decisions.ended(self.pool, self[name], self.now, result, latency)

    def turn(self, request: Request | None = None, result: str = "ok", latency: float | None = None) -> str:
        name = self.choose(request)
        if self.pool.backend(name) is not None:
            self.decisions.began(self.pool, self[name], self.now)
            self.end(name, result, latency)
        return name

    def turns(self, n: int) -> str:
        return "".join(self.turn() for _ in range(n))

    def shares(self, n: int) -> Counter[str]:
        return Counter(self.turn() for _ in range(n))

    def probe(self, name: str, results: str) -> list[bool | None]:
        """Health after each result: S for a good probe, F for a failed one."""
        seen = []
        for result in results:
            self.decisions.probed(self.pool, self[name], result == "S", self.now)
            seen.append(self[name].healthy)
        return seen

    def bind(self, name: str, request: Request, *headers: tuple[str, str]) -> str | None:
        return self.decisions.bind(self.pool, request, self[name], headers, self.now)
