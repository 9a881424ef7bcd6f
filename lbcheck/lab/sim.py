"""The `sim` lab: backends, client and the reference balancer as objects on one simulated loop, in virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from lbcheck.backends.script import Behaviour
from lbcheck.backends.server import BackendServer
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects import decisions_with
from lbcheck.balancer.server import Balancer
from lbcheck.balancer.twins import twin_named
from lbcheck.checks import Opening
from lbcheck.history import History
from lbcheck.lab.base import first_behaviour, probe_shape
from lbcheck.lab.journals import Recorder
from lbcheck.lab.placing import Ground, placed, refuse_other_check_ports
from lbcheck.lab.simloop import SimLoop
from lbcheck.spec.change import Change, Deregister, Drain, Register, Reload, Reweigh, changed
from lbcheck.spec.distinct import Names
from lbcheck.spec.document import to_document
from lbcheck.spec.model import Pool, Spec

T = TypeVar("T")

FIRST_PORT = 8000
STOP_GRACE_S = 1.0
RETIRE_GRACE_S = 30.0  # as `lbcheck serve` has it
HOPS = 8  # client, balancer, backend and back, with a connection set up on each side


class SimBackend:
    """An instrumented backend as an object; implements `BackendNode`."""

    def __init__(self, pool: Pool, name: str, record: Recorder) -> None:
        self.name = name
        self.pool = pool.name
        self.host, self.port = "", 0
        self._spec = pool
        self._record = record
        self._lives = 0
        self._alive = False

    async def start(self, host: str, port: int) -> None:
        pool = self._spec
        self._server = BackendServer(self.name, self._record, probe_shape(pool), pool.name, generation=self._lives)
        await self._server.behave(first_behaviour(pool))
        self.host, self.port = host, await self._server.start(host, port)
        self._lives += 1
        self._alive = True

    def alive(self) -> bool:
        return self._alive

    async def behave(self, behaviour: Behaviour) -> None:
        await self._server.behave(behaviour)

    async def release(self, ids: Sequence[str] | None = None) -> None:
        await self._server.release(ids)

    async def kill(self) -> None:
        self._alive = False
        self._server.kill()

    async def restart(self) -> None:
        await self.start(self.host, self.port)

    async def stop(self) -> None:
        if self._alive:
            await self._server.stop()


class SimTarget:
    """The reference balancer as an object; implements `TargetNode`."""

    def __init__(self, spec: Spec, decide: Callable[[Spec], Decisions]) -> None:
        self._spec = spec
        self._decide = decide
        self._running = False
        self.lines: list[str] = []

    async def start(self) -> None:
        self._balancer = Balancer(self._decide(self._spec))
        await self._balancer.start()
        self._running = True

    async def stop(self) -> None:
        if self._running:
            await self._end(STOP_GRACE_S)

    async def _end(self, grace_s: float) -> None:
        await self._balancer.stop(grace_s)
        self._running = False

    def alive(self) -> bool:
        return self._running

    async def change(self, change: Change, after: Spec) -> None:
        balancer = self._balancer
        match change:
            case Drain(pool, name):
                balancer.drain(pool, name)
            case Register(pool, backend):
                balancer.register(pool, backend.name, backend.address or "", backend.weight)
            case Deregister(pool, name):
                balancer.deregister(pool, name)
            case Reweigh(pool, name, weight):
                balancer.reweigh(pool, name, weight)
            case Reload(spec):
                balancer.reload(spec)
        self._spec = after

    async def retire(self) -> None:
        self._retiring = asyncio.ensure_future(self._end(RETIRE_GRACE_S))
        await asyncio.sleep(0)

    async def kill(self) -> None:
        self._balancer.abort()
        self._running = False

    async def restart(self) -> None:
        await self.start()

    def log(self) -> str:
        return "\n".join(self.lines)

    def left_out(self) -> tuple[str, ...]:
        return ()

    def files(self) -> Mapping[str, str]:
        return {"spec.json": json.dumps(to_document(self._spec), indent=2) + "\n"}


class SimScene:
    spec: Spec
    target: SimTarget

    def __init__(self, names: Names, record: Recorder, ground: Ground) -> None:
        self.names = names
        self.history: History = record.history
        self.backends: dict[tuple[str, str], SimBackend] = {}
        self._record = record
        self._ground = ground

    async def start_backend(self, pool: Pool, name: str, host: str, port: int) -> SimBackend:
        self.backends[pool.name, name] = node = SimBackend(pool, name, self._record)
        await node.start(host, port)
        return node

    async def change(self, change: Change) -> None:
        after = changed(self.spec, change)
        await self.target.change(self.names.own_change(change), self.names.own(after))
        self.spec = after

    async def add_backend(self, pool: str, name: str) -> SimBackend:
        host = self._ground.host(len(self.backends) + 1)
        return await self.start_backend(self.spec.pool(pool), name, host, 0)

    async def sync(self) -> None:
        """Nothing to fetch: backends write into the history itself."""

    async def close(self) -> None:
        await self.target.stop()
        for backend in self.backends.values():
            await backend.stop()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


class SimLab:
    """`defect` names a defect of the reference (`lbcheck.balancer.defects`); None: the correct one.

    `twin` names another correct one (`lbcheck.balancer.twins`).
    """

    name = "sim"
    target = "reference"
    limit_s = 86_400.0  # virtual seconds of one check
    identity = None
    rate = 1

    def __init__(
        self,
        seed: int = 0,
        defect: str | None = None,
        *,
        twin: str | None = None,
        slack_s: float | None = None,
        decisions: type[Decisions] = Decisions,
    ) -> None:
        """`slack_s` stands in for the slack of a slow machine; `decisions` are those of neither a defect nor a twin."""
        self.ground = Ground()
        self.loop = SimLoop()
        self.rng = random.Random(f"lab {seed}")
        self._slack_s = slack_s
        self._decisions = decisions_with(defect) if defect else twin_named(twin) if twin else decisions

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    def now(self) -> float:
        return self.loop.time()

    def worst(self) -> float:
        return 0.0

    def slack(self) -> float:
        """Timers are exact here: what remains is the time of flight of one exchange."""
        return HOPS * self.loop.network.hop_s if self._slack_s is None else self._slack_s

    async def measure(self) -> None:
        """Nothing changes here."""

    async def open(self, spec: Spec, *, seed: int, opening: Opening = "settled") -> SimScene:
        """As `Lab.open`. The loop starts afresh, so that a check's history does not depend on those before it."""
        refuse_other_check_ports(spec)
        names = Names(spec)
        spec = names.distinct
        self.loop.rewind()
        record = Recorder(History(), self.ground.control)
        scene = SimScene(names, record, self.ground)
        where = self.ground.backends(spec)
        for pool in spec.pools:
            for backend in pool.backends:
                node = await scene.start_backend(pool, backend.name, *where[pool.name, backend.name])
                await node.behave(first_behaviour(pool, opening))
        listeners = {
            x.name: (x.address or self.ground.listeners, x.port or FIRST_PORT + number)
            for number, x in enumerate(spec.listeners)
        }
        scene.spec = placed(spec, listeners, {key: (node.host, node.port) for key, node in scene.backends.items()})
        scene.target = target = SimTarget(
            names.own(scene.spec), partial(self._decide, random.Random(f"balancer {seed}"))
        )
        self.loop.set_exception_handler(lambda _, context: target.lines.append(_told(context)))
        await target.start()
        return scene

    def _decide(self, rng: random.Random, spec: Spec) -> Decisions:
        return self._decisions(spec, rng, self.loop.time(), secret=rng.randbytes(32))

    def close(self) -> None:
        self.loop.close()


def _told(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context['message']}: {error!r}" if error else str(context["message"])
