"""The lab of what runs already: a balancer that nobody here started, before backends that a user started.

Its world outlives every check. So each scene begins with backends that are greeted anew (fresh connections, scripts and
journals), and waits for what the balancer may still remember of the scene before.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lbcheck import clock
from lbcheck.backends.control import Greeting
from lbcheck.backends.remote import RemoteBackend
from lbcheck.checks import Opening
from lbcheck.client.tls import Tls
from lbcheck.errors import BackendUnreachable, TargetNeverReady, Unsupported
from lbcheck.history import History
from lbcheck.lab.attaching import Place, controls, listener_places
from lbcheck.lab.base import first_behaviour, probe_shape
from lbcheck.lab.identity import Identity
from lbcheck.lab.local import new_loop
from lbcheck.lab.placing import Ground, is_loopback, placed
from lbcheck.lab.presence import missing
from lbcheck.lab.reach import aims, reached
from lbcheck.lab.settling import settle_within_s, unsettled
from lbcheck.lab.slack import Lateness
from lbcheck.lab.unwitnessed import Unscripted, Unwitnessed
from lbcheck.lab.visiting import LOOK_S, VisitingScene
from lbcheck.spec.change import Change
from lbcheck.spec.distinct import Names
from lbcheck.spec.model import Backend, Pool, Protocol, Spec
from lbcheck.targets.attached import Url

T = TypeVar("T")
ACCEPTS_WITHIN_S = 2.0
FIRST_REACH_S = 3.0  # one that never gets a request is for checks to find
REACH_AGAIN_S = 30.0


class AttachedTarget:
    """A balancer that is looked at from outside; implements `TargetNode`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def alive(self) -> bool:
        """Nobody here knows its process; whether it serves is asked of its listeners."""
        return True

    def log(self) -> str:
        return ""

    def left_out(self) -> tuple[str, ...]:
        return ()

    def files(self) -> Mapping[str, str]:
        return {}

    async def change(self, change: Change, after: Spec) -> None:  # noqa: ARG002
        raise Unsupported("the balancer runs already, and lbcheck knows no way to tell it of a change")

    async def retire(self) -> None:
        raise Unsupported("the balancer runs already: lbcheck did not start it, and stops it by no means")

    kill = restart = retire


def met(spec: Spec, listeners: Mapping[str, Place]) -> Spec:
    """The spec with its listeners where they are met."""
    places = ((listener, *listeners[listener.name]) for listener in spec.listeners)
    return replace(spec, listeners=tuple(replace(x, address=host, port=port) for x, host, port in places))


class AttachedScene(VisitingScene):
    """The world as it is for one check."""

    target: AttachedTarget

    def __init__(self, spec: Spec, target: AttachedTarget, history: History) -> None:
        super().__init__(history)
        self.spec = spec
        self.target = target

    async def visit(self, pool: Pool, backend: Backend, control: Place, token: str) -> None:
        """The backend is this scene's. BackendUnreachable where it is not to be had, or stands elsewhere."""
        greeting = Greeting(token, backend.name, pool.name, probe_shape(pool), first_behaviour(pool))
        node = RemoteBackend(greeting, *control, self.hear)
        await self.take(node)
        if backend.address is not None:
            if backend.port != node.port:
                raise BackendUnreachable(
                    f"backend {pool.name}/{backend.name} is at {backend.address}, says the spec; the one whose control "
                    f"is at {control[0]}:{control[1]} listens on port {node.port}",
                    remedy="correct --lb-backend or the spec",
                )
            node.host = backend.host

    async def settled(self, within_s: float) -> None:
        """Waits until every backend has had its good probes, for so long at most."""
        for _ in range(math.ceil(within_s / LOOK_S)):
            if not unsettled(self.spec, self.history):
                return
            await asyncio.sleep(LOOK_S)

    async def change(self, change: Change) -> None:
        await self.target.change(change, self.spec)

    async def add_backend(self, pool: str, name: str) -> RemoteBackend:
        raise Unsupported(f"pool {pool} has the backends that were registered: nobody could tell of {name}")


class AttachedLab:
    """Owns a loop; opens one scene after another before the same balancer and backends.

    `backends`: "a" or "pool/a" -> where its control is; `token` is that of all of them. With `identity` there are no
    such: backends are what they are, and known by their answers. `cafile` is trusted in place of the machine's own CAs.
    """

    name = "attached"
    limit_s = 300.0
    rate = 1

    def __init__(
        self,
        target: str,
        url: Url,
        backends: Mapping[str, Place],
        *,
        token: str = "",
        identity: Identity | None = None,
        cafile: Path | None = None,
    ) -> None:
        self.identity = identity
        self.target = target
        self.loop = new_loop()
        self.rng = random.Random("lab")
        self.ground = Ground(abroad=not is_loopback(url.host), tls=Tls(url.host, cafile))
        self._url = url
        self._backends = backends
        self._token = token
        self._lateness = Lateness(self.loop)
        self._clock_error_s = 0.0
        self._forgotten_at = 0.0  # when the balancer has forgotten the scene before
        self._scenes = 0
        self._reached: dict[str, frozenset[str]] = {}  # pool -> who answered before anything had happened

    def run(self, work: Awaitable[T]) -> T:
        self._lateness.start()
        try:
            return self.loop.run_until_complete(work)
        finally:
            self._lateness.stop()

    def now(self) -> float:
        return clock.now(self.loop)

    def worst(self) -> float:
        return self._lateness.worst_s

    def slack(self) -> float:
        return self._lateness.p999_s + self._clock_error_s

    async def measure(self) -> None:
        await self._lateness.measure("127.0.0.1")

    # --- scenes ------------------------------------------------------------------------------------------------------

    async def open(self, spec: Spec, *, seed: int, opening: Opening = "settled") -> AttachedScene:
        """As `Lab.open`, with what stands already. BackendUnreachable where a backend is not to be had."""
        del seed
        if opening != "settled":
            raise Unsupported("the balancer had been running before the check began")
        for pool in spec.pools if self.identity is None else ():
            if pool.protocol is Protocol.HTTPS:
                raise Unsupported(f"pool {pool.name} is sent to over TLS, and lbcheck's backends speak none yet")
        listeners = listener_places(spec, self._url)
        spec = Names(spec).distinct
        history = History() if self.identity is None else Unwitnessed()
        scene = AttachedScene(spec, AttachedTarget(self.target), history)
        try:
            await self._set_up(scene, listeners)
        except BaseException:
            await scene.close()
            raise
        self._scenes += 1
        scene.ending.callback(self._forget_later, scene.spec)
        scene.ending.callback(self._lateness.shut)
        self._lateness.open()
        return scene

    async def _set_up(self, scene: AttachedScene, listeners: Mapping[str, Place]) -> None:
        spec = scene.spec
        for listener in met(spec, listeners).listeners:
            if why := await missing(self.ground.endpoint(listener), ACCEPTS_WITHIN_S, ask=False):
                raise TargetNeverReady(
                    f"target {self.target}: {why}", remedy="start the balancer, or correct --lb-target or the spec"
                )
        pairs = [(pool, backend) for pool in spec.pools for backend in pool.backends]
        if self.identity is not None:
            scene.backends = {(p.name, b.name): Unscripted(b.name, p.name, b.host, b.port) for p, b in pairs}
        else:
            shunned = await self._reach_again(met(spec, listeners))
            await self._visit(scene, pairs)
            if shunned:
                raise TargetNeverReady(
                    f"target {self.target} sends nothing to {shunned}, {REACH_AGAIN_S:g} s after the last check",
                    remedy="say in the spec how the balancer finds a backend good again: health_check, passive_health",
                )
        scene.spec = placed(spec, listeners, {key: (node.host, node.port) for key, node in scene.backends.items()})
        if self.identity is None:
            scene.listen()
            await self._forgotten(scene)

    async def _reach_again(self, spec: Spec) -> str:
        """Waits until backends that were reached at the beginning are so again; names those that are not, or ""."""
        first = not self._scenes
        end = clock.now() + (FIRST_REACH_S if first else REACH_AGAIN_S)
        for pool, aim in aims(spec, self.ground).items():
            wanted = self._reached.get(pool, frozenset())
            size = sum(b.weight > 0 and not b.backup and b.state == "active" for b in spec.pool(pool).backends)

            def enough(names: frozenset[str], wanted: frozenset[str] = wanted, size: int = size) -> bool:
                return len(names) >= size if first else names >= wanted

            names = await reached(aim, enough, lambda: clock.now() > end)
            if first:
                self._reached[pool] = names
            elif not names >= wanted:
                return f"{', '.join(sorted(wanted - names))} of pool {pool}"
        return ""

    async def _visit(self, scene: AttachedScene, pairs: Sequence[tuple[Pool, Backend]]) -> None:
        where = controls(scene.spec, self._backends)
        visits = (scene.visit(p, b, where[p.name, b.name], self._token) for p, b in pairs)
        for error in await asyncio.gather(*visits, return_exceptions=True):  # none is on its way when one has failed
            if error is not None:
                raise error
        self._clock_error_s = scene.clock_error_s

    async def _forgotten(self, scene: AttachedScene) -> None:
        """Waits until ejections of the scene before are over, and slow starts too."""
        await asyncio.sleep(max(self._forgotten_at - clock.now(), 0.0))
        slow_start_s = max((pool.slow_start for pool in scene.spec.pools), default=0.0)
        if self._scenes and slow_start_s:
            await scene.settled(settle_within_s(scene.spec) + self.slack())
            await asyncio.sleep(slow_start_s)

    def _forget_later(self, spec: Spec) -> None:
        ejections = [pool.passive_health.ejection for pool in spec.pools if pool.passive_health is not None]
        self._forgotten_at = clock.now() + max(ejections, default=0.0)

    def close(self) -> None:
        """Leaves the backends, also after an interrupt in the middle of a check."""
        if self.loop.is_closed():
            return
        self.loop.run_until_complete(self._end())
        self.loop.close()

    async def _end(self) -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
