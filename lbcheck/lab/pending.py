"""Requests in a check's hands: one on its way, and a client that lives on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lbcheck.client.call import Call
from lbcheck.client.http import Kept
from lbcheck.history import Exchange
from lbcheck.lab.aiming import Aim, Destination
from lbcheck.lab.cookies import Jar
from lbcheck.lab.sender import Sender

Do = Callable[[Awaitable[Any]], Any]
To = Callable[[Destination], Aim]


class Pending:
    """A request on its way."""

    def __init__(self, call: Call, do: Do) -> None:
        self.id: str = call.id
        self._call = call
        self._do = do

    @property
    def over(self) -> bool:
        return self._call.over

    def wait(self, within: float) -> Exchange:
        """The exchange, once it is over; after `within` seconds it is given up, with the error `timeout`."""
        return self._do(finished(self._call, within))  # type: ignore[no-any-return]

    def abort(self, *, reset: bool = False) -> Exchange:
        """The client goes away before its answer is complete, with FIN or with RST."""
        return self._do(_aborted(self._call, reset))  # type: ignore[no-any-return]


class Client:
    """One client: its source address, its cookie jar where it has one, its kept connection where it keeps it."""

    def __init__(
        self, sender: Sender, do: Do, to: To, *, source: str | None, jar: Jar | None, keep_alive: bool
    ) -> None:
        self.source = source
        self._sender = sender
        self._do = do
        self._to = to
        self._jar = jar
        self._keep_alive = keep_alive
        self._kept: dict[str, Kept] = {}  # by listener

    @property
    def jar(self) -> dict[str, str]:
        """Cookies that it would send now, by name; empty without a jar. Changing a value forges a cookie."""
        return self._jar.values if self._jar is not None else {}

    def send(self, to: Destination, **request: Any) -> Exchange:
        """One request, with its cookies, on its kept connection if it keeps one; fields as of `Sender.begin`."""
        listener, base = self._to(to)
        request.setdefault("source", self.source)
        if self._jar is not None:
            request["headers"] = (*request.get("headers", ()), *self._jar.header())
        on = self._kept.setdefault(listener, Kept()) if self._keep_alive else None
        exchange: Exchange = self._do(begun(lambda: self._sender.begin(listener, base, on=on, **request)))
        if self._jar is not None:
            self._jar.take(exchange.all_headers("Set-Cookie"))
        return exchange


async def begun(begin: Callable[[], Call]) -> Exchange:
    """Begins a request on the running loop; its exchange."""
    return await begin().done


async def finished(call: Call, within: float) -> Exchange:
    await asyncio.wait([call.done], timeout=within)
    call.end("timeout")
    return await call.done


async def _aborted(call: Call, reset: bool) -> Exchange:
    if reset:
        call.reset()
    else:
        call.cancel()
    return await call.done
