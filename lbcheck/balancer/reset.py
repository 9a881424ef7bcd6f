"""Ending connections: as TCP has it, a close that the peer may take for the end, and a reset that it can't."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast


def open_transport(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """What a stream protocol is given, by its right type (uvloop's and simulated ones do not inherit)."""
    return cast(asyncio.Transport, transport)


def reset(transport: asyncio.Transport) -> None:
    """Sends RST rather than FIN: a body that ends with its connection must not look whole."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
