"""The `sim` lab: backends, client and the reference balancer as objects on one simulated loop, in virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from lbcheck.backends.script import Behaviour
from lbcheck.backends.server import BackendServer
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects import decisions_with
from lbcheck.balancer.server import Balancer
from lbcheck.history import History
from lbcheck.lab.base import first_behaviour, probe_shape
from lbcheck.lab.journals import Recorder
from lbcheck.lab.placing import Ground, placed, refuse_other_check_ports
from lbcheck.lab.simloop import SimLoop
from lbcheck.spec.document import to_document
from lbcheck.spec.model import Pool, Spec

T = TypeVar("T")

FIRST_PORT = 8000
STOP_GRACE_S = 1.0
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

    def __init__(self, spec: Spec, decisions: Decisions) -> None:
        self._spec = spec
        self._balancer = Balancer(decisions)
        self._running = False
        self.lines: list[str] = []

    async def start(self) -> None:
        await self._balancer.start()
        self._running = True

    async def stop(self) -> None:
        self._running = False
        await self._balancer.stop(STOP_GRACE_S)

    def alive(self) -> bool:
        return self._running

    def log(self) -> str:
        return "\n".join(self.lines)

    def files(self) -> Mapping[str, str]:
        return {"spec.json": json.dumps(to_document(self._spec), indent=2) + "\n"}


class SimScene:
    def __init__(self, spec: Spec, record: Recorder, backends: dict[tuple[str, str], SimBackend], target: SimTarget):
        self.spec = spec
        self.history: History = record.history
        self.backends = backends
        self.target = target

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
    """`defect` names a defect of the reference (`lbcheck.balancer.defects`); None: the correct one."""

    name = "sim"
    target = "reference"
    limit_s = 86_400.0  # virtual seconds of one check

    def __init__(self, seed: int = 0, defect: str | None = None, *, slack_s: float | None = None) -> None:
        """`slack_s` stands in for the slack of a slow machine."""
        self.ground = Ground()
        self.loop = SimLoop()
        self.rng = random.Random(f"lab {seed}")
        self._slack_s = slack_s
        self._decisions = Decisions if defect is None else decisions_with(defect)

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    def now(self) -> float:
        return self.loop.time()

    def slack(self) -> float:
        """Timers are exact here: what remains is the time of flight of one exchange."""
        return HOPS * self.loop.network.hop_s if self._slack_s is None else self._slack_s

    async def open(self, spec: Spec, *, seed: int) -> SimScene:
        """As `Lab.open`. The loop starts afresh, so that a check's history does not depend on those before it."""
        refuse_other_check_ports(spec)
        self.loop.rewind()
        record = Recorder(History(), self.ground.control)
        backends: dict[tuple[str, str], SimBackend] = {}
        addresses: dict[tuple[str, str], tuple[str, int]] = {}
        where = self.ground.backends(spec)
        for pool in spec.pools:
            for backend in pool.backends:
                key = pool.name, backend.name
                backends[key] = node = SimBackend(pool, backend.name, record)
                await node.start(*where[key])
                addresses[key] = node.host, node.port
        listeners = {
            x.name: (x.address or self.ground.listeners, x.port or FIRST_PORT + number)
            for number, x in enumerate(spec.listeners)
        }
        spec = placed(spec, listeners, addresses)
        target = SimTarget(spec, self._decide(spec, seed))
        self.loop.set_exception_handler(lambda _, context: target.lines.append(_told(context)))
        await target.start()
        return SimScene(spec, record, backends, target)

    def _decide(self, spec: Spec, seed: int) -> Decisions:
        rng = random.Random(f"balancer {seed}")
        return self._decisions(spec, rng, self.loop.time(), secret=rng.randbytes(32))

    def close(self) -> None:
        self.loop.close()


def _told(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context['message']}: {error!r}" if error else str(context["message"])
