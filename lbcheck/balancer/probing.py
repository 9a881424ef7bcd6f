"""Health probing: one prober a backend. When, what and with which result is for the decisions; this sends and reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from lbcheck.balancer.decisions import BackendState, PoolState, ProbeResult
from lbcheck.balancer.reset import open_transport
from lbcheck.balancer.wire import MAX_HEAD, BadMessage, parse_answer
from lbcheck.errors import Unsupported
from lbcheck.spec.model import HealthCheck, Protocol

if TYPE_CHECKING:
    from lbcheck.balancer.server import Balancer

_MAX_LINGER = 1 << 20  # bytes of that


class Probe(asyncio.Protocol):
    """One probe on a connection of its own. `result` is set once, by the first that decides."""

    def __init__(
        self,
        request: bytes,
        result: asyncio.Future[ProbeResult],
        is_final: Callable[[int], bool],
        *,
        resets: bool = False,
    ) -> None:
        """`is_final`: does the head with this status end the probe? `resets`: a TCP check ends with RST."""
        self._request = request
        self._is_final = is_final
        self._resets = resets
        self._result = result
        self._head = b""
        self._read = 0
        self._transport: asyncio.Transport | None = None
        self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = open_transport(transport)
        if self._request:
            self._transport.write(self._request)
        else:
            self._decide(ProbeResult())
            if self._resets:
                self.end()
            else:
                self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._read += len(data)
        if self._result.done():
            if self._read > _MAX_LINGER:
                self.end()
            return
        self._head += data
        try:
            result = _read_answer(self._head, self._is_final)
        except BadMessage:
            self._decide(ProbeResult(error="garbage"))
            self.end()
            return
        if isinstance(result, bytes):
            self._head = result
        else:
            self._decide(result)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.over = True
        self._decide(ProbeResult(error="closed" if error is None else "reset"))

    def end(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _decide(self, result: ProbeResult) -> None:
        if not self._result.done():
            self._result.set_result(result)


def _read_answer(data: bytes, is_final: Callable[[int], bool]) -> ProbeResult | bytes:
    """The final head's status; the bytes to wait with while it is not whole (interim answers are read over)."""
    while True:
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(data) >= MAX_HEAD or not (data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)):
                raise BadMessage(502, "not an answer's head")
            return data
        status = parse_answer(data[:end])[0]
        if is_final(status):
            return ProbeResult(status)
        data = data[end + 4 :]


class Prober:
    """Probes one backend again and again until it is stopped."""

    def __init__(self, balancer: Balancer, pool: PoolState, backend: BackendState, check: HealthCheck) -> None:
        self.pool = pool
        self.backend = backend
        self.check = check
        self._balancer = balancer
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._lingering: list[tuple[Probe, asyncio.TimerHandle]] = []
        now = balancer.now()
        delay_s = balancer.decisions.first_probe(check, now) - now
        if delay_s > 0:
            self._timer = balancer.loop.call_later(delay_s, self._begin)
        else:
            self._begin()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        for probe, timer in self._lingering:
            timer.cancel()
            probe.end()

    def _begin(self) -> None:
        self._timer = None
        self._task = self._balancer.loop.create_task(self._once())

    async def _once(self) -> None:
        balancer = self._balancer
        started = balancer.now()
        result = await self._probe()
        finished = balancer.now()
        passed = balancer.decisions.passed(self.check, result)
        balancer.probed(self.pool, self.backend, passed, finished)
        delay_s = balancer.decisions.next_probe(self.check, started, finished) - balancer.now()
        self._task = None
        self._timer = balancer.loop.call_later(max(delay_s, 0.0), self._begin)

    async def _probe(self) -> ProbeResult:
        balancer = self._balancer
        host, port, request = balancer.decisions.probe_head(self.pool, self.backend)
        ends = balancer.loop.time() + balancer.decisions.probe_timeout(self.check)
        result: asyncio.Future[ProbeResult] = balancer.loop.create_future()
        decisions = balancer.decisions
        probe = Probe(request, result, decisions.ends_probe, resets=not decisions.probe_linger_s)
        try:
            async with asyncio.timeout(decisions.probe_connect_timeout(self.check)) as limit:
                await balancer.loop.create_connection(lambda: probe, host, port)
                limit.reschedule(ends)
                return await result
        except TimeoutError:
            probe.end()
            return ProbeResult(error="timeout")
        except asyncio.CancelledError:
            probe.end()
            raise
        except ConnectionRefusedError:
            return ProbeResult(error="refused")
        except OSError:
            return ProbeResult(error="reset")
        finally:
            self._linger(probe)

    def _linger(self, probe: Probe) -> None:
        """Lets the backend finish its answer, for a while: one that is cut off might take it for its own failure."""
        self._lingering = [(p, t) for p, t in self._lingering if not t.cancelled() and not p.over]
        linger_s = self._balancer.decisions.probe_linger_s
        if linger_s:
            self._lingering.append((probe, self._balancer.loop.call_later(linger_s, probe.end)))
        else:
            probe.end()


class Probers:
    """The probers of all pools, kept in step with the decisions' backends."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._running: dict[tuple[str, str], Prober] = {}

    def follow(self) -> None:
        """Starts a prober for who is new, stops those of who has gone; whoever stays keeps its pace."""
        wanted: dict[tuple[str, str], tuple[PoolState, BackendState, HealthCheck]] = {}
        for pool in self._balancer.decisions.pools.values():
            check = pool.spec.health_check
            if check is not None:
                wanted |= {(pool.name, b.name): (pool, b, check) for b in pool.backends}
        for key, prober in list(self._running.items()):
            if wanted.get(key) != (prober.pool, prober.backend, prober.check):
                self._running.pop(key).stop()
        for key, (pool, backend, check) in wanted.items():
            if key not in self._running:
                self._running[key] = Prober(self._balancer, pool, backend, check)

    def stop(self) -> None:
        for prober in self._running.values():
            prober.stop()
        self._running.clear()


def refuse_unknown(check: HealthCheck | None, pool: str) -> None:
    """Unsupported where a pool declares a check that is not carried out here."""
    if check is not None and check.protocol not in (Protocol.HTTP, Protocol.TCP):
        raise Unsupported(f"pool {pool}: {check.protocol.value} health checks are not carried out by the reference yet")
