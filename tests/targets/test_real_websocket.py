"""An upgrade passes through the products that claim it: the handshake, then bytes both ways (RFC 6455, section 4)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lbcheck.features import Feature
from lbcheck.lab.placing import placed
from lbcheck.spec.model import Backend, Claims, Forward, Listener, Pool, Spec
from lbcheck.targets import find

from .running import BACKENDS, LISTEN, WITHIN_S, accepts, prepare, process

pytestmark = pytest.mark.slow

PORT = 9580
HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: lb.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Agrees to every upgrade it is asked for, then says back what it hears, in upper case."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"upgrade: websocket" in head.lower():
        writer.write(SWITCHED)
        while data := await reader.read(100):
            writer.write(data.upper())
    writer.close()


async def _heard(product: str, folder: Path) -> tuple[bytes, bytes]:
    server = await asyncio.start_server(_echo, BACKENDS, 0)
    pool = Pool("web", (Backend("a"),))
    spec = Spec((Listener("public", Forward((("web", 1),))),), (pool,), Claims(websocket=True))
    where = {("web", "a"): (BACKENDS, server.sockets[0].getsockname()[1])}
    rendering = find(product).render(placed(spec, {"public": (LISTEN, PORT)}, where), folder)
    prepare(rendering, folder)
    async with server, process(rendering, folder) as log:
        await accepts(LISTEN, PORT, log)
        reader, writer = await asyncio.open_connection(LISTEN, PORT)
        writer.write(HANDSHAKE)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WITHIN_S)
        writer.write(b"hello")
        echoed = await asyncio.wait_for(reader.readexactly(5), WITHIN_S)
        writer.close()
        await writer.wait_closed()
    return head, echoed


@pytest.mark.parametrize("product", ["haproxy", "nginx", "envoy", "caddy", "httpd"])
def test_upgrade_passes_and_bytes_go_both_ways(product: str, tmp_path: Path) -> None:
    assert Feature.WEBSOCKET in find(product).features
    head, echoed = asyncio.run(_heard(product, tmp_path))
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"s3pplmbitxaq9kygzzhzrbk+xoo=" in head.lower()
    assert echoed == b"HELLO"
