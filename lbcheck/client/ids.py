"""Names for requests and connections: short, unique in a run, the same in every run."""

from __future__ import annotations


class Ids:
    """Counts up: requests are `c1-1`, `c1-2` ..., connections `c1.1`, `c1.2` ..."""

    def __init__(self, prefix: str = "c1") -> None:
        self.prefix = prefix
        self._requests = 0
        self._connections = 0

    def __call__(self) -> str:
        self._requests += 1
        return f"{self.prefix}-{self._requests}"

    def connection(self) -> str:
        self._connections += 1
        return f"{self.prefix}.{self._connections}"
