"""What no field of a spec says, and correct products do differently: the shell asks here how it is to go about it."""

# ruff: noqa: ARG002  (other manners look at more)

from __future__ import annotations

from typing import ClassVar

from lbcheck.balancer.request import Request
from lbcheck.spec.model import HealthCheck


class Manners:
    """The reference's own manners. Another balancer's are those of a twin (`twins`); none of them may matter."""

    keeps_clients: ClassVar[bool] = True  # may a client's connection be used again after an answer?
    in_chunks: ClassVar[bool] = False  # is an answer of known length passed on without it, in chunks?
    pause_s: ClassVar[float] = 0.0  # between the choice of a backend and the first byte to it
    oldest_first: ClassVar[bool] = False  # which kept connection to a backend is used next
    probe_linger_s: ClassVar[float] = 1.0  # how long the rest of a probe's answer is read once its head has decided

    def worker(self) -> int:
        """Which of several workers accepts the connection that has just come."""
        return 0

    def says_continue(self, request: Request) -> bool:
        """Is a client with a body told 100 by the balancer, before a backend is asked?"""
        return False

    def own_page(self, status: int) -> tuple[str, bytes] | None:
        """(Content-Type, body) of the balancer's own errors; None: a line that says the status."""
        return None

    def first_probe(self, check: HealthCheck, now: float) -> float:
        """When a backend that has just come is probed first."""
        return now
