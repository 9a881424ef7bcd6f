"""A request as the spec sees it: what rules read, nothing of the wire."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is the request target in origin form, exactly as sent; `source` is the peer's address."""

    method: str = "GET"
    target: str = "/"
    host: str = "lb.test"
    headers: tuple[tuple[str, str], ...] = ()  # without Host
    source: str = "127.0.0.1"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> tuple[str, ...]:
        """All values of a header, in order; the name is case-insensitive."""
        return tuple(v for n, v in self.headers if n.lower() == name.lower())
