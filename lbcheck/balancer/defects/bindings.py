"""STK: bindings that are made or looked at too rarely, or end at the wrong time."""

from __future__ import annotations

from collections.abc import Sequence

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.defects.stickiness import OtherCookie
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.balancer.stickiness import Affinity, AppCookie, LbCookie, SourceAddress, Table
from lbcheck.spec.model import Pool

Fields = Sequence[tuple[str, str]]


@defect(
    "bound-once-a-connection",
    "STK",
    "The first request of a connection chooses the backend for all that follow on it, whatever cookies they bring.",
    "HAProxy without `option http-server-close` before 1.4: cookies were looked at once a connection",
)
class BoundOnceAConnection(Decisions):
    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        right = super().bound(pool, request, now)
        firsts = self.__dict__.setdefault("_firsts", {})
        if request.index == 0:
            firsts[pool.name, request.peer] = right
        return firsts.get((pool.name, request.peer)) or right


class FirstLineCookie(LbCookie):
    def values(self, request: Request) -> list[str]:
        line = [("Cookie", value) for value in request.header("cookie")[:1]]
        return super().values(Request(request.method, request.target, request.host, line, request.peer))


@defect(
    "cookie-first-line-only",
    "STK",
    "The cookie is looked for in the first Cookie line alone.",
    "RFC 9113 section 8.2.3: a client of HTTP/2 may send a line for each; not every gateway joins them",
)
class CookieFirstLineOnly(OtherCookie):
    kind = FirstLineCookie


class UnhurriedCookie(LbCookie):
    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        told = any(name.lower() == "set-cookie" for name, _ in headers)
        return None if told else super().bind(pool, request, backend, headers, now)


@defect(
    "cookie-withheld-beside-others",
    "STK",
    "An answer with a Set-Cookie of the application's does not get the balancer's.",
    "a header that is set where none is, in place of one that is added (RFC 6265 section 3: a line for each cookie)",
)
class CookieWithheldBesideOthers(OtherCookie):
    kind = UnhurriedCookie


@defect(
    "table-halves-duration",
    "STK",
    "A binding by address or by the application's cookie ends after half of its duration.",
    "a table that is swept in steps, so that entries go before their time",
)
class TableHalvesDuration(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        affinity = super().affinity(pool)
        if isinstance(affinity, AppCookie | SourceAddress):
            affinity.table.lasts /= 2
        return affinity


class AdoptingAppCookie(AppCookie):
    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        for value in self.values(request):
            if self.table.get(value, now) is None:
                self.table.put(value, backend.name, now)
        return super().bind(pool, request, backend, headers, now)


@defect(
    "app-cookie-of-a-client",
    "STK",
    "A value that no application has set binds as well, so that clients can fill the table.",
    "HAProxy's `appsession` with `request-learn`, where it was not asked for",
)
class AppCookieOfAClient(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        right = super().affinity(pool)
        return AdoptingAppCookie(right.spec) if isinstance(right, AppCookie) else right


@defect(
    "long-bindings-end-soon",
    "STK",
    "Bindings of an hour and more, and those of a browser's session, end after some seconds.",
    "HAProxy's `expire` takes a number without a unit as milliseconds (2.2, Time format): 3600 is 3.6 s",
)
class LongBindingsEndSoon(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        affinity = super().affinity(pool)
        lasting = affinity.table if isinstance(affinity, AppCookie | SourceAddress) else affinity
        if isinstance(lasting, Table | LbCookie) and lasting.lasts >= 3600:
            lasting.lasts = 3.6
        return affinity


class PeerAddress(SourceAddress):
    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        name = self.table.get(request.peer, now)
        return None if name is None else pool.backend(name)

    def chosen(self, request: Request, backend: BackendState, now: float) -> None:
        self.table.put(request.peer, backend.name, now)


@defect(
    "peers-bound-for-clients",
    "STK",
    "Behind a trusted peer it is the peer that is bound: all of its clients go to one backend.",
    "HAProxy's `stick on src` behind another proxy, where `hdr_ip(x-forwarded-for,-1)` is meant",
)
class PeersBoundForClients(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        right = super().affinity(pool)
        return PeerAddress(right.spec) if isinstance(right, SourceAddress) else right


class QuotesOfOneSide(AppCookie):
    def learn(self, line: str, backend: BackendState, now: float) -> None:
        name, _, value = line.partition(";")[0].partition("=")
        if name.strip() == self.spec.cookie:
            self.table.put(value.strip(), backend.name, now)


@defect(
    "app-cookie-quotes-one-side",
    "STK",
    "Quotes around a session's value are taken off in requests alone, so that such a client is not known again.",
    "RFC 6265 section 4.1.1 allows them, 5.2 keeps them: readers differ",
)
class AppCookieQuotesOneSide(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        right = super().affinity(pool)
        return QuotesOfOneSide(right.spec) if isinstance(right, AppCookie) else right
