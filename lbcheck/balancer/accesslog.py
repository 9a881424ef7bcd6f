"""The access log: one line an exchange, written in batches so that no request waits for a disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from lbcheck.balancer.exchange import Exchange
    from lbcheck.balancer.http1 import Client
    from lbcheck.balancer.wire import BadMessage

_EVERY_S = 0.2
_MAX_LINES = 512


class AccessLog:
    """`at listener peer "METHOD target" status bytes pool/backend duration_ms note`.

    `at` is the balancer's clock in seconds. No client can forge a line: heads hold no controls, quotes are escaped.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def exchange(self, exchange: Exchange, duration_s: float) -> None:
        request = exchange.request
        where = f"{exchange.backend.pool}/{exchange.backend.name}" if exchange.backend is not None else "-"
        self._add(
            exchange.client,
            f'{exchange.began:.6f} {exchange.listener.name} {request.peer} "{request.method} {_plain(request.target)}" '
            f"{exchange.status or '-'} {exchange.sent_bytes} {where} {duration_s * 1000:.3f} {exchange.note or '-'}\n",
        )

    def refusal(self, client: Client, bad: BadMessage) -> None:
        name, now = client.frontend.listener.name, client.balancer.now()
        self._add(client, f'{now:.6f} {name} {client.peer} "-" {bad.status} 0 - 0.000 refused: {bad.reason}\n')

    def _add(self, client: Client, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) >= _MAX_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = client.balancer.loop.call_later(_EVERY_S, self.flush)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        self._out.write("".join(lines))
        self._out.flush()

    def close(self) -> None:
        """Writes what is left; the file stays its owner's."""
        self.flush()


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
