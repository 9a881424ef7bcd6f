"""What a backend is told of the client: X-Forwarded-* with and without trust in the peer, and the PROXY protocol."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from lbcheck.history import Arrival
from lbcheck.lab.placing import placed
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Backend, Forward, Listener, Pool, Spec
from lbcheck.spec.request import Request
from lbcheck.targets import find

from .running import BACKENDS, LISTEN, WITHIN_S, accepts, prepare, process, running

pytestmark = pytest.mark.slow

PORT = 9570
CLIENT = "127.78.9.201"
CLAIMED = "10.1.1.1, 10.2.2.2"
LISTENERS = """
listeners:
  - {name: believing, default: {forward: web}, forwarded: {trust: [127.0.0.0/8]}}
  - {name: wary, default: {forward: web}, forwarded: {trust: [10.0.0.0/8]}}
  - {name: replacing, default: {forward: web}, forwarded: {trust: [127.0.0.0/8], x_forwarded_for: replace}}
  - name: removing
    default: {forward: web}
    forwarded: {x_forwarded_for: remove, x_forwarded_proto: none, x_forwarded_port: none}
pools: {web: {backends: [a]}}
"""
TOLD = {
    "believing": [f"{CLAIMED}, {CLIENT}", "http", "own"],
    "wary": [f"{CLAIMED}, {CLIENT}", "http", "own"],
    "replacing": [CLIENT, "http", "own"],
    "removing": [None, None, None],
}


@pytest.mark.parametrize("product", ["nginx", "envoy"])
def test_a_peer_that_is_trusted_changes_nothing_that_is_passed_on(product: str, tmp_path: Path) -> None:
    async def told() -> dict[str, list[str | None]]:
        async with running(find(product), loads(LISTENERS, battery=True).spec, tmp_path) as world:
            sent = (("X-Forwarded-For", CLAIMED), ("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Port", "70"))
            for name in TOLD:
                assert (await world.ask(name, Request(headers=sent, source=CLIENT))).status == 200
            ports = {str(listener.port) for listener in world.spec.listeners}
            heads = [event.head.decode() for event in world.journal if isinstance(event, Arrival)]
            return {name: _forwarded(head, ports) for name, head in zip(TOLD, heads, strict=True)}

    assert asyncio.run(told()) == TOLD


def _forwarded(head: str, own_ports: set[str]) -> list[str | None]:
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    addresses, proto, port = (fields.get(f"x-forwarded-{word}") for word in ("for", "proto", "port"))
    listed = ", ".join(part.strip() for part in addresses.split(",")) if addresses is not None else None
    return [listed, proto, "own" if port in own_ports else port]


async def _first_bytes(product: str, version: Literal["v1", "v2"], folder: Path) -> bytes:
    heard = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(listen, BACKENDS, 0)
    pool = Pool("web", (Backend("a"),), proxy_protocol=version)
    spec = Spec((Listener("public", Forward((("web", 1),))),), (pool,))
    where = {("web", "a"): (BACKENDS, server.sockets[0].getsockname()[1])}
    rendering = find(product).render(placed(spec, {"public": (LISTEN, PORT)}, where), folder)
    prepare(rendering, folder)
    async with server, process(rendering, folder) as log:
        await accepts(LISTEN, PORT, log)
        _, writer = await asyncio.open_connection(LISTEN, PORT, local_addr=(CLIENT, 0))
        writer.write(b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n")
        first: bytes = await asyncio.wait_for(heard, WITHIN_S)
        writer.close()
        await writer.wait_closed()
    return first


@pytest.mark.parametrize("product", ["haproxy", "envoy"])
@pytest.mark.parametrize(
    ("version", "begins"),
    [("v1", f"PROXY TCP4 {CLIENT} {LISTEN} ".encode()), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\x4e\x09\xc9")],
    ids=["v1", "v2"],  # the bytes hold an address of this process
)
def test_a_backend_is_greeted_with_the_clients_address(
    product: str, version: Literal["v1", "v2"], begins: bytes, tmp_path: Path
) -> None:
    """PROXY protocol, sections 2.1 and 2.2."""
    assert asyncio.run(_first_bytes(product, version, tmp_path)).startswith(begins)
