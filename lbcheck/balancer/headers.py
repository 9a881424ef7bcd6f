"""Header fields on their way through: hop-by-hop ones end here, X-Forwarded-* and Host as declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState
from lbcheck.spec.model import Forwarded, Listener

Fields = list[tuple[str, str]]

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)  # RFC 9110 section 7.6.1; Trailer and Proxy-Authorization may pass (6.6.2, 11.7.2)

PASS, DROP, CONNECTION, FORWARDED_FOR = range(4)


class Kinds(dict[str, int]):
    """What becomes of a field, by its name as received; remembers a bounded number of spellings."""

    def __init__(self, drop: Iterable[str], collect: bool = False, connection: bool = True) -> None:
        super().__init__()
        self.drop = frozenset(drop)
        self.collect = collect
        self.connection = connection

    def __missing__(self, name: str) -> int:
        kind = self._kind(name.lower())
        if len(self) < 1024:
            self[name] = kind
        return kind

    def _kind(self, lower: str) -> int:
        if lower == "connection" and self.connection:
            return CONNECTION
        if lower == "x-forwarded-for" and self.collect:
            return FORWARDED_FOR
        return DROP if lower in self.drop else PASS


def named(value: str) -> set[str]:
    """The field names that a Connection field makes hop-by-hop; `close` and `keep-alive` name none."""
    if value in ("keep-alive", "close"):
        return set()
    return {option.strip(" \t").lower() for option in value.split(",")}


class Upstream:
    """A listener's way of making the backend's fields out of the client's.

    What the client names in Connection is stripped first and the balancer's own fields are added after it, so that
    `Connection: Host, X-Forwarded-For` takes nothing away that the balancer adds.
    """

    def __init__(self, listener: Listener, hop_by_hop: Iterable[str] = HOP_BY_HOP, connection: bool = True) -> None:
        rules = listener.forwarded or Forwarded()
        drop = {"host", "content-length", "transfer-encoding", *hop_by_hop}
        if rules.x_forwarded_for in ("replace", "remove"):
            drop.add("x-forwarded-for")
        if rules.x_forwarded_proto != "preserve":
            drop.add("x-forwarded-proto")
        if rules.x_forwarded_port != "preserve":
            drop.add("x-forwarded-port")
        self.kinds = Kinds(drop, rules.x_forwarded_for == "append", connection)
        self.keep_host = rules.host == "keep"
        self.tells_peer = rules.x_forwarded_for in ("append", "replace")
        port = [("X-Forwarded-Port", str(listener.port))] if rules.x_forwarded_port == "set" and listener.port else []
        proto = rules.x_forwarded_proto == "set"
        self.plain: Fields = [("X-Forwarded-Proto", "http"), *port] if proto else port
        self.secure: Fields = [("X-Forwarded-Proto", "https"), *port] if proto else port

    def fields(self, request: Request, backend: BackendState) -> Fields:
        out: Fields = [("Host", request.host if self.keep_host else backend.authority)]
        kinds = self.kinds
        came = ""
        gone: set[str] | None = None
        for field in request.headers:
            kind = kinds[field[0]]
            if kind == PASS:
                out.append(field)
            elif kind == CONNECTION:
                gone = (gone or set()) | named(field[1])
            elif kind == FORWARDED_FOR and field[1]:
                came = f"{came}{field[1]}, "
        if gone:
            out[1:] = [field for field in out[1:] if field[0].lower() not in gone]
            if "x-forwarded-for" in gone:
                came = ""
        if self.tells_peer:
            out.append(("X-Forwarded-For", came + request.peer))
        out += self.secure if request.tls else self.plain
        return out


def downstream(kinds: Kinds, headers: Sequence[tuple[str, str]]) -> Fields:
    """The answer's fields in order, without hop-by-hop ones. Content-Length stays even where Connection names it:
    without it the client would read another message than the backend sent."""
    out: Fields = []
    gone: set[str] | None = None
    for field in headers:
        kind = kinds[field[0]]
        if kind == PASS:
            out.append(field)
        elif kind == CONNECTION:
            gone = (gone or set()) | named(field[1])
    if gone:
        gone.discard("content-length")
        return [field for field in out if field[0].lower() not in gone]
    return out
