"""A request as the reference balancer's decisions see it; parts are taken apart once and only when asked for."""

from __future__ import annotations

from lbcheck.history import Headers


class Request:
    """Head of a request on the balancer. `headers` are (name as received, value) in order, without framing decisions.

    `target` is the origin form (the shell has reduced absolute form, and put its authority in `host`).
    `client` is the address that is hashed and remembered: the peer's, unless the listener trusts that peer's
    X-Forwarded-For (set by `Decisions.route`). `worker`, of several, accepted the connection,
    on which this is the `index`-th request, from 0.
    """

    __slots__ = ("_cookies", "client", "headers", "host", "index", "method", "peer", "target", "tls", "worker")

    def __init__(
        self,
        method: str,
        target: str,
        host: str,
        headers: Headers | list[tuple[str, str]],
        peer: str,
        tls: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.host = host
        self.headers = headers
        self.peer = peer
        self.client = peer
        self.tls = tls
        self.worker = 0
        self.index = 0
        self._cookies: list[tuple[str, str]] | None = None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> list[str]:
        """All values of a header, in order; `name` in lower case."""
        return [v for n, v in self.headers if n.lower() == name]

    @property
    def cookies(self) -> list[tuple[str, str]]:
        """Every cookie pair in order (RFC 6265 section 5.4 as servers read it); quotes around a value are kept."""
        if self._cookies is None:
            self._cookies = [
                (name.strip(), value.strip())
                for line in self.header("cookie")
                for name, eq, value in (pair.partition("=") for pair in line.split(";"))
                if eq
            ]
        return self._cookies
