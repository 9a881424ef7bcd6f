"""What a client sent, without what it was about: enough to send the like of it somewhere else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sending:
    """One request as it went out at `at`. `body_bytes` None: without any body.

    `kept`: on a connection that is kept; else on a fresh one. `open_loop`: because it was due, whatever had become of
    those before it.
    """

    at: float
    method: str = "GET"
    body_bytes: int | None = None
    chunked: bool = False
    kept: bool = False
    open_loop: bool = False
