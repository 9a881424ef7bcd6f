"""The admin API: what the balancer knows and how it is told to change, as JSON.

It listens on loopback behind a bearer token, or on a Unix socket that only its owner may open.

    GET  /health      every backend of every pool: healthy (null: not known yet), draining, in_flight, weight, address
    GET  /metrics     Prometheus text
    POST /drain       {"pool", "backend"}
    POST /register    {"pool", "name", "address", "weight"}
    POST /deregister  {"pool", "backend"}
    POST /weights     {"pool", "backend", "weight"}
    POST /reload      reads the spec file again

A change is in force when its answer (204) has come; what can't be done is 400 with {"error"}.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lbcheck.balancer.bodies import body_of
from lbcheck.balancer.decisions import BackendState
from lbcheck.balancer.server import Balancer
from lbcheck.balancer.wire import BadMessage, known_sections, own_answer, parse_request
from lbcheck.errors import LbcheckError, UsageError

_MAX_BODY = 64 * 1024
_PATIENCE_S = 5.0  # for a whole request

Answer = tuple[int, str, bytes]


class Admin:
    """The API's listener. `reload` reads the spec file again and hands it to the balancer."""

    def __init__(self, balancer: Balancer, token: str, reload: Callable[[], None]) -> None:
        self._balancer = balancer
        self._authorization = f"Bearer {token}".encode()
        self._reload = reload
        self._sections = known_sections()
        self._server: asyncio.AbstractServer | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """The address in use; UsageError where it is not loopback or can't be bound."""
        if not _is_loopback(host):
            raise UsageError(f"the admin API listens on loopback only, not on {host}", remedy="use 127.0.0.1:PORT")
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            raise UsageError(
                f"the admin API can't listen on {host}:{port}: {error.strerror or error}",
                remedy="use port 0: a free one",
            ) from error
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def start_unix(self, path: str) -> None:
        """Listens on a Unix socket of mode 0600, which needs no token. UsageError where it can't be bound."""
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(partial(self._serve, trusted=True), path)
        except OSError as error:
            raise UsageError(
                f"the admin API can't listen on {path}: {error.strerror or error}",
                remedy="give a path of at most 107 bytes in a folder that can be written",
            ) from error
        finally:
            os.umask(before)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, trusted: bool = False
    ) -> None:
        """One request, one answer, and the connection ends."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                status, content_type, body = await self._answer(reader, trusted=trusted)
                close = own_answer(status, head_only=False, close=True, body=body, content_type=content_type)
                writer.write(close)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or never finished asking
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, *, trusted: bool) -> Answer:
        head = await reader.readuntil(b"\r\n\r\n")
        try:
            method, target, _, version, _, section = parse_request(head[:-4], self._sections)
            if not trusted and not self._authorized(section.fields):
                return _error(401, "the bearer token is missing or wrong")
            framing = self._balancer.decisions.framing(method, section.fields, version)
            if framing is None or (framing != "chunked" and int(framing) > _MAX_BODY):
                raise BadMessage(413, "a body that is too long or has no clear end")
            body = body_of(framing)
            read = b""
            while not body.done and len(read) <= _MAX_BODY:
                data = await reader.read(_MAX_BODY)
                if not data:
                    raise BadMessage(400, "a body that is not whole")
                read += body.feed(data)[0]
            return self._act(method, target, read)
        except BadMessage as bad:
            return _error(bad.status, bad.reason)

    def _authorized(self, fields: Sequence[tuple[str, str]]) -> bool:
        authorization = [value for name, value in fields if name.lower() == "authorization"]
        return hmac.compare_digest(" ".join(authorization).encode("latin-1"), self._authorization)

    def _act(self, method: str, target: str, body: bytes) -> Answer:
        reads: dict[str, Callable[[], Answer]] = {"/health": self._health, "/metrics": self._metrics}
        changes: dict[str, Callable[[dict[str, Any]], None]] = {
            "/drain": lambda said: self._balancer.drain(self._pool(said), _text(said, "backend")),
            "/register": self._register,
            "/deregister": lambda said: self._balancer.deregister(self._pool(said), _text(said, "backend")),
            "/weights": lambda said: self._balancer.reweigh(self._pool(said), _text(said, "backend"), _weight(said)),
            "/reload": lambda said: self._reload(),  # noqa: ARG005
        }
        if target in reads:
            return reads[target]() if method == "GET" else _error(405, "GET reads it")
        if target not in changes:
            return _error(404, f"no {target} here; there are {', '.join([*reads, *changes])}")
        if method != "POST":
            return _error(405, "POST changes it")
        try:
            changes[target](_object(body))
        except LbcheckError as error:
            return _error(400, str(error))
        return 204, "", b""

    def _register(self, said: dict[str, Any]) -> None:
        address = _text(said, "address")
        host, colon, port = address.rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise UsageError(f"address is {address!r}, expected host:port")
        self._balancer.register(self._pool(said), _text(said, "name"), address, _weight(said))

    def _pool(self, said: dict[str, Any]) -> str:
        pool, known = _text(said, "pool"), self._balancer.decisions.pools
        if pool not in known:
            raise UsageError(f"no pool {pool!r}", remedy=f"there are {', '.join(known)}")
        return pool

    def _health(self) -> Answer:
        pools = self._balancer.decisions.pools.values()
        said = {"pools": {pool.name: {b.name: _shown(b) for b in pool.backends} for pool in pools}}
        return 200, "application/json", json.dumps(said).encode()

    def _metrics(self) -> Answer:
        return 200, "text/plain; version=0.0.4", self._balancer.metrics.text(self._balancer.gauges()).encode()


def _shown(backend: BackendState) -> dict[str, Any]:
    return {
        "healthy": backend.healthy,
        "draining": backend.draining,
        "in_flight": backend.in_flight,
        "weight": backend.weight,
        "address": backend.authority,
    }


def _error(status: int, text: str) -> Answer:
    return status, "application/json", json.dumps({"error": text}).encode()


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body or b"{}")
    except ValueError as error:
        raise UsageError(f"the body is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise UsageError("the body is no JSON object")
    return said


def _text(said: dict[str, Any], key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{key} is {value!r}, expected a name")
    return value


def _weight(said: dict[str, Any]) -> int:
    value = said.get("weight", 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65535:
        raise UsageError(f"weight is {value!r}, expected a number from 0 to 65535")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
