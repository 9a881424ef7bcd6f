"""The reference balancer: listeners, clients, backends' connections, probes. Acts; every decision is `Decisions`'."""

from __future__ import annotations

import asyncio
import errno
from functools import partial
from typing import TYPE_CHECKING

from lbcheck import clock
from lbcheck.balancer.answers import known_answers
from lbcheck.balancer.decisions import BackendState, Decisions, PoolState
from lbcheck.balancer.http1 import Client
from lbcheck.balancer.metrics import Labels, Metrics
from lbcheck.balancer.outbox import Outbox
from lbcheck.balancer.probing import Probers, refuse_unknown
from lbcheck.balancer.queue import Queue
from lbcheck.balancer.upstream import Upstreams
from lbcheck.balancer.wire import BadMessage, Known, Section, known_sections
from lbcheck.errors import LbcheckError, Unsupported
from lbcheck.spec.model import Listener, Protocol, Spec

if TYPE_CHECKING:
    from lbcheck.balancer.accesslog import AccessLog
    from lbcheck.balancer.exchange import Exchange


class Frontend:
    """A listener with its clients. A reload puts another `listener` in; requests that have begun keep theirs."""

    __slots__ = ("clients", "listener", "sections", "sent", "server")

    def __init__(self, listener: Listener, sections: Known[Section]) -> None:
        self.sections = sections
        self.take_over(listener)
        self.clients: dict[Client, None] = {}
        self.server: asyncio.AbstractServer | None = None

    def take_over(self, listener: Listener) -> None:
        self.listener = listener
        self.sent: dict[object, str] = {}  # fields as backends get them by this listener's rules; see `Try`

    @property
    def address(self) -> tuple[str, int]:
        return _address(self.listener)


def _address(listener: Listener) -> tuple[str, int]:
    return listener.address or "127.0.0.1", listener.port or 0


class Balancer:
    """One running balancer.

    `await start()` binds every listener and begins to probe; `await stop(grace_s)` finishes what is under way;
    `abort()` ends everything at once. The rest may be called between the two.
    """

    def __init__(
        self, decisions: Decisions, *, access_log: AccessLog | None = None, metrics: Metrics | None = None
    ) -> None:
        self.decisions = decisions
        self.metrics = metrics or Metrics()
        self.access_log = access_log
        self.answers = known_answers(decisions)
        self.stopping = False
        self.frontends: list[Frontend] = []
        self.queue = Queue(self)
        self.probers = Probers(self)
        self._cut_offs: list[asyncio.TimerHandle] = []
        self._quiet: asyncio.Event | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """LbcheckError where a listener can't be bound, Unsupported where the spec asks for what is not carried out."""
        refuse_unsupported(self.decisions.spec)
        self.loop = asyncio.get_running_loop()
        self.now = clock.reader(self.loop)
        self.upstreams = Upstreams(self.loop, self.now, self.decisions)
        self.outbox = Outbox(self.loop)
        self._quiet = asyncio.Event()
        for listener in self.decisions.spec.listeners:
            frontend = Frontend(listener, known_sections(self.decisions.host_of))
            self.frontends.append(frontend)
            try:
                await self._bind(frontend)
            except OSError as error:
                self.abort()
                raise cannot_listen(frontend, error) from error
        self._members_changed()

    async def _bind(self, frontend: Frontend) -> None:
        host, port = frontend.address
        accept = partial(Client, self, frontend)
        if getattr(self.loop, "simulated", False):
            frontend.server = await self.loop.create_server(accept, host, port)
        else:
            frontend.server = await self.loop.create_server(accept, host, port, backlog=1024)

    async def stop(self, grace_s: float) -> None:
        """Accepts nothing more, lets requests finish for at most `grace_s`, then ends what is left."""
        if not self.decisions.accepts(stopping=True):
            self._stop_accepting()
        self.stopping = True
        for frontend in self.frontends:
            for client in list(frontend.clients):
                client.retire()
        if self._quiet is not None and not self._clients_gone():
            self._quiet.clear()
            try:
                async with asyncio.timeout(self.decisions.grace(grace_s)):
                    await self._quiet.wait()
            except TimeoutError:
                pass
        self.abort()

    def abort(self) -> None:
        """Ends everything now: clients see a reset or a close."""
        self._stop_accepting()
        self.probers.stop()
        for timer in self._cut_offs:
            timer.cancel()
        for frontend in self.frontends:
            for client in list(frontend.clients):
                client.abort()
        self.upstreams.close()
        if self.access_log is not None:
            self.access_log.close()

    def _stop_accepting(self) -> None:
        self.stopping = True
        for frontend in self.frontends:
            if frontend.server is not None:
                frontend.server.close()

    def _clients_gone(self) -> bool:
        return self.decisions.stopped([len(frontend.clients) for frontend in self.frontends])

    def client_gone(self) -> None:
        if self.stopping and self._quiet is not None and self._clients_gone():
            self._quiet.set()

    # --- change ------------------------------------------------------------------------------------------------------

    def reload(self, spec: Spec) -> None:
        """Takes a new spec over without touching a request; listeners keep their addresses."""
        refuse_unsupported(spec)
        new = {listener.name: listener for listener in spec.listeners}
        if [(f.listener.name, f.address) for f in self.frontends] != [(n, _address(x)) for n, x in new.items()]:
            raise LbcheckError(
                "a reload can't add, remove or move listeners", remedy="start the balancer anew for other listeners"
            )
        was_draining = self._draining()
        before = [(pool, b) for pool in self.decisions.pools.values() for b in pool.backends]
        self.decisions.reload(spec, self.now())
        for frontend in self.frontends:
            frontend.take_over(new[frontend.listener.name])
        after = [b for pool in self.decisions.pools.values() for b in pool.backends]
        self._members_changed()
        for pool, backend in before:
            if not any(backend is a for a in after):
                self._cut_off_later(pool, backend)
        for pool, backend in self._draining():
            if not any(backend is was for _, was in was_draining):
                self._cut_off_later(pool, backend)

    def drain(self, pool: str, backend: str) -> None:
        """Nothing new for this backend; what it is at may go on for `deregistration_delay`."""
        self.decisions.drain(pool, backend, self.now())
        self._members_changed()
        for state in self.decisions.pools[pool].backends:
            if state.name == backend:
                self._cut_off_later(self.decisions.pools[pool], state)

    def register(self, pool: str, name: str, address: str, weight: int = 1) -> None:
        self.decisions.register(pool, name, address, weight, self.now())
        self._members_changed()

    def deregister(self, pool: str, backend: str) -> None:
        """As `drain`, and gone from the pool."""
        gone = (
            [b for b in self.decisions.pools[pool].backends if b.name == backend]
            if pool in self.decisions.pools
            else []
        )
        self.decisions.deregister(pool, backend, self.now())
        self._members_changed()
        for state in gone:
            self._cut_off_later(self.decisions.pools[pool], state)

    def reweigh(self, pool: str, backend: str, weight: int) -> None:
        self.decisions.reweigh(pool, backend, weight, self.now())
        self._members_changed()

    def _draining(self) -> list[tuple[PoolState, BackendState]]:
        return [(pool, b) for pool in self.decisions.pools.values() for b in pool.backends if b.draining]

    def _members_changed(self) -> None:
        pools = list(self.decisions.pools.values())
        self.upstreams.retain((b.host, b.port) for pool in pools for b in pool.backends if not b.draining)
        self.probers.follow()
        if self.decisions.frees("members"):
            for pool in pools:
                self.queue.move(pool)

    def _cut_off_later(self, pool: PoolState, backend: BackendState) -> None:
        """`pool` is the backend's, which a reload may have dropped: it says how long what is under way may go on."""
        delay_s = self.decisions.time_to_finish(pool, backend)
        now = self.loop.time()
        self._cut_offs = [timer for timer in self._cut_offs if timer.when() > now]
        self._cut_offs.append(self.loop.call_later(delay_s, self._cut_off, backend))

    def _cut_off(self, backend: BackendState) -> None:
        """Ends what a backend is still at once its time is over; one that came back meanwhile is left alone."""
        if not self.decisions.cuts_off(self.decisions.pools.get(backend.pool), backend):
            return
        for frontend in self.frontends:
            for client in list(frontend.clients):
                attempt = client.exchange.attempt if client.exchange is not None else None
                if attempt is not None and attempt.backend is backend:
                    attempt.cut_off()

    # --- what its parts report ---------------------------------------------------------------------------------------

    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        self.decisions.probed(pool, backend, passed, now)
        self.metrics.probed(pool.name, backend.name, passed)
        if self.decisions.frees("probed"):
            self.queue.move(pool)

    def record(self, exchange: Exchange, now: float) -> None:
        """An exchange is over."""
        pool = exchange.pool.name if exchange.pool is not None else ""
        backend = exchange.backend.name if exchange.backend is not None else ""
        duration_s = now - exchange.began
        self.metrics.request(exchange.listener.name, pool, backend, exchange.status, duration_s)
        if self.access_log is not None:
            self.access_log.exchange(exchange, duration_s)

    def refused(self, client: Client, bad: BadMessage) -> None:
        """A client sent what is no acceptable request."""
        self.metrics.refused(client.frontend.listener.name, bad.status)
        if self.access_log is not None:
            self.access_log.refusal(client, bad)

    def gauges(self) -> list[tuple[str, str, list[tuple[Labels, float]]]]:
        """What is so now, for the metrics' text."""
        states = [
            ((("pool", p.name), ("backend", b.name)), b) for p in self.decisions.pools.values() for b in p.backends
        ]
        clients: list[tuple[Labels, float]] = [
            ((("listener", f.listener.name),), len(f.clients)) for f in self.frontends
        ]
        waiting: list[tuple[Labels, float]] = [
            ((("pool", name),), self.queue.length(name)) for name in self.decisions.pools
        ]
        return [
            ("lbcheck_in_flight", "Tries under way.", [(labels, b.in_flight) for labels, b in states]),
            ("lbcheck_backend_healthy", "1 healthy, 0 not, -1 not known yet.", [(n, _health(b)) for n, b in states]),
            ("lbcheck_backend_weight", "The weight in force.", [(labels, b.weight) for labels, b in states]),
            ("lbcheck_connections", "Clients' connections.", clients),
            ("lbcheck_queue", "Requests that wait for a free backend.", waiting),
        ]


def _health(backend: BackendState) -> int:
    return -1 if backend.healthy is None else int(backend.healthy)


def refuse_unsupported(spec: Spec) -> None:
    for listener in spec.listeners:
        if listener.protocol is not Protocol.HTTP or listener.http2:
            protocol = "HTTP/2" if listener.http2 else listener.protocol.value
            raise Unsupported(f"listener {listener.name}: {protocol} is not carried out by the reference yet")
    for pool in spec.pools:
        if pool.protocol is not Protocol.HTTP:
            raise Unsupported(f"pool {pool.name}: {pool.protocol.value} is not carried out by the reference yet")
        if pool.proxy_protocol != "none":
            raise Unsupported(f"pool {pool.name}: proxy_protocol is not carried out by the reference yet")
        refuse_unknown(pool.health_check, pool.name)


def cannot_listen(frontend: Frontend, error: OSError) -> LbcheckError:
    host, port = frontend.address
    what = f"listener {frontend.listener.name} can't listen on {host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return LbcheckError(f"{what}: the port is taken", remedy="end the process that holds it, or give another port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return LbcheckError(f"{what}: not allowed", remedy="ports below 1024 need rights; give a higher one")
    if error.errno == errno.EADDRNOTAVAIL:
        return LbcheckError(f"{what}: not an address of this machine", remedy="give an address of this machine")
    return LbcheckError(f"{what}: {error.strerror or error}")
