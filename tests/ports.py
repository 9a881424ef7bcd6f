"""Ports for configurations with literal addresses: below the range that outgoing connections draw theirs from."""

from __future__ import annotations

import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_000)


def free_ports(n: int) -> list[int]:
    """So many ports of 127.0.0.1 that nobody has at this moment."""
    found: list[int] = []
    for port in random.SystemRandom().sample(BELOW_EPHEMERAL, k=len(BELOW_EPHEMERAL)):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
        if len(found) == n:
            return found
    raise OSError("no free ports below the ephemeral range")


def free_port() -> int:
    return free_ports(1)[0]
