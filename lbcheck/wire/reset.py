"""RST as a stimulus: the one way to end a connection that drops what is under way."""

from __future__ import annotations

import asyncio
import socket
import struct

# A linger time of zero makes close() send RST (socket(7), SO_LINGER). Simulated transports send it by abort() alone.
_LINGER_ZERO = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Ends the connection with RST; what the transport had not yet sent is lost."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()
