"""A stage's requests: where they go, where they come from, and the client that sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lbcheck.client.call import Call
from lbcheck.client.http import LOOPBACK, Endpoint, HttpClient, Kept
from lbcheck.client.ids import Ids
from lbcheck.client.outgoing import Pace
from lbcheck.client.traffic import SteadyTraffic
from lbcheck.errors import Unsupported
from lbcheck.history import Exchange, History
from lbcheck.lab.aiming import from_source
from lbcheck.lab.control import CONTROL, Control, rehearse
from lbcheck.lab.placing import Ground
from lbcheck.spec.model import Spec
from lbcheck.spec.request import Request

CONTROL_WITHIN_S = 2.0


class Sender:
    """Sends to the listeners of a placed spec; every exchange is recorded in the history."""

    def __init__(
        self,
        spec: Spec,
        history: History,
        ground: Ground,
        now: Callable[[], float],
        sign: Callable[[Exchange], Exchange] | None = None,
    ) -> None:
        """`sign`: what is made of each exchange before anybody sees it."""
        self.now = now
        self.http = HttpClient(history.append, Ids(f"c{ground.worker + 1}"), sign)
        self.spec = spec
        self._ground = ground

    def endpoint(self, listener: str) -> Endpoint:
        return self._ground.endpoint(self.spec.listener(listener))

    def request(
        self,
        listener: str,
        base: Request,
        *,
        method: str | None = None,
        target: str | None = None,
        host: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        source: str | None = None,
    ) -> Request:
        """The base with what is given put in its place; `headers` are added after the base's own."""
        changed = replace(
            base,
            method=method or base.method,
            target=target or base.target,
            host=host or base.host,
            headers=(*base.headers, *headers),
        )
        sent = from_source(self.spec, listener, changed, source, self._ground.client)
        return replace(sent, source=self._own(sent.source, listener))

    def _own(self, source: str | None, listener: str) -> str:
        """Unsupported where this machine has no such address, or one of the other family than the listener's."""
        usual = source in (None, LOOPBACK, self._ground.client)
        if not usual and ":" in self.endpoint(listener).host and ":" not in str(source):
            raise Unsupported(f"listener {listener} has an IPv6 address, and {source} is none")
        if source not in (None, self._ground.client) and self._ground.abroad:
            raise Unsupported(f"a balancer elsewhere gets no requests from {source}: this machine has not that address")
        return source or self._ground.client

    def begin(
        self,
        listener: str,
        base: Request,
        *,
        on: Kept | None = None,
        body: bytes | None = None,
        chunked: bool = False,
        expect_continue: bool = False,
        pace: Pace | None = None,
        deaf_s: float = 0.0,
        within: float = 10.0,
        method: str | None = None,
        target: str | None = None,
        host: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        source: str | None = None,
    ) -> Call:
        """Sends one request, on a fresh connection or on a kept one, and does not wait.

        `within`: seconds after which it is over with the error `timeout`. `pace`: a slow client's;
        `deaf_s`: so long it reads nothing of its answer.
        """
        request = self.request(listener, base, method=method, target=target, host=host, headers=headers, source=source)
        return self.http.start(
            self.endpoint(listener),
            request,
            body=body,
            chunked=chunked,
            expect_continue=expect_continue,
            pace=pace,
            deaf_s=deaf_s,
            within=within,
            on=on,
        )

    def steady(
        self,
        listener: str,
        base: Request,
        rate: float,
        *,
        method: str | None = None,
        target: str | None = None,
        host: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        source: str | None = None,
        **options: Any,
    ) -> SteadyTraffic:
        """Open-loop traffic, to be started; `options` as of `HttpClient.start`, and `keep_alive`."""
        request = self.request(listener, base, method=method, target=target, host=host, headers=headers, source=source)
        return SteadyTraffic(self.http, self.endpoint(listener), lambda _: request, rate=rate, **options)

    async def raw(
        self,
        listener: str,
        data: bytes,
        *,
        source: str | None,
        within: float,
        linger_s: float,
        half_close: bool,
        pace: Pace | None,
        deaf_s: float,
    ) -> list[Exchange]:
        """Exact bytes on a fresh connection; see `HttpClient.raw`."""
        return await self.http.raw(
            self.endpoint(listener),
            data,
            source=self._own(source, listener),
            within=within,
            linger_s=linger_s,
            half_close=half_close,
            pace=pace,
            deaf_s=deaf_s,
        )

    async def control(self, backends: Sequence[Endpoint], n: int) -> bool:
        """Asks each backend directly `n` times; is each request answered by the one that was asked?"""
        exchanges: list[Exchange] = []
        client = HttpClient(exchanges.append, Ids(CONTROL))
        request = Request(source=self._ground.control)
        calls = [client.start(backend, request, within=CONTROL_WITHIN_S) for backend in backends for _ in range(n)]
        for call in calls:
            await call.done
        await client.close()
        return all(exchange.complete and exchange.backend == exchange.listener for exchange in exchanges)

    async def rehearse(self, backends: Sequence[Endpoint]) -> Control:
        """The like of all that was sent so far, straight at these backends."""
        client = HttpClient(lambda _: None, Ids(CONTROL))
        return await rehearse(self.http.sendings, backends, client, self._ground.control)

    async def close(self) -> None:
        """Ends what is still on its way and every kept connection."""
        await self.http.close()
        await asyncio.sleep(0)
