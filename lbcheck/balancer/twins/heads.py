"""Heads and frames: what the RFCs leave to whoever writes a message."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from typing import ClassVar

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.balancer.stickiness import Affinity, LbCookie
from lbcheck.balancer.twins.catalogue import twin
from lbcheck.spec.model import Action, Listener, Pool, Respond, Rewrite

Fields = list[tuple[str, str]]


@twin(
    "clients-not-kept",
    "HTT STK",
    "Each answer ends the client's connection, and says so.",
    "HAProxy's `option httpclose`: https://docs.haproxy.org/2.6/configuration.html#4.2-option%20httpclose",
)
class ClientsNotKept(Decisions):
    keeps_clients: ClassVar[bool] = False


@twin(
    "names-in-lower-case",
    "HTT STK",
    "Field names are written in lower case, both ways.",
    "Envoy and HAProxy: field names are case-insensitive (RFC 9110 section 5.1)",
)
class NamesInLowerCase(Decisions):
    def upstream_headers(self, listener: Listener, pool: PoolState, backend: BackendState, request: Request) -> Fields:
        return [(n.lower(), v) for n, v in super().upstream_headers(listener, pool, backend, request)]

    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> Fields:
        return [(n.lower(), v) for n, v in super().downstream_headers(headers)]


@twin(
    "lengths-become-chunks",
    "HTT FLO STK",
    "An answer of known length is passed on without it, in chunks.",
    "nginx with a body filter such as `sub_filter`, which clears the length (RFC 9112 section 7.1)",
)
class LengthsBecomeChunks(Decisions):
    in_chunks: ClassVar[bool] = True


@twin(
    "says-continue-itself",
    "HTT",
    "A client that waits for 100 is told so by the balancer, which passes the request on without `Expect`.",
    "nginx (`ngx_http_test_expect`), allowed by RFC 9110 section 10.1.1",
)
class SaysContinueItself(Decisions):
    def says_continue(self, request: Request) -> bool:
        return any(value.lower() == "100-continue" for value in request.header("expect"))

    def upstream_headers(self, listener: Listener, pool: PoolState, backend: BackendState, request: Request) -> Fields:
        fields = super().upstream_headers(listener, pool, backend, request)
        return [field for field in fields if field[0].lower() != "expect"]


@twin(
    "adds-fields",
    "HTT STK RTE",
    "Requests gain `Via` and `X-Request-Id`, answers `Via` and `Date`, and `Server` is the balancer's.",
    "Apache httpd's `ProxyVia On`, Varnish, Envoy's `x-request-id` (RFC 9110 sections 6.6.1 and 7.6.3)",
)
class AddsFields(Decisions):
    heads_vary: ClassVar[bool] = True

    def upstream_headers(self, listener: Listener, pool: PoolState, backend: BackendState, request: Request) -> Fields:
        own = [("Via", "1.1 lb"), ("X-Request-Id", f"{self.rng.getrandbits(64):016x}")]
        return [*super().upstream_headers(listener, pool, backend, request), *own]

    def downstream_headers(self, headers: Sequence[tuple[str, str]]) -> Fields:
        fields = super().downstream_headers(headers)
        kept = [field for field in fields if field[0].lower() not in ("server", "date")]
        return [*kept, ("Via", "1.1 lb"), ("Server", "lb"), ("Date", formatdate(0.0, usegmt=True))]


@twin(
    "pages-of-its-own",
    "FLO HLT ALG RTE HTT",
    "Errors of the balancer's own come as a page of HTML.",
    "HAProxy's built-in error files, nginx's error pages",
)
class PagesOfItsOwn(Decisions):
    def own_page(self, status: int) -> tuple[str, bytes] | None:
        page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1><p>Sorry.</p></body></html>\n"
        return "text/html; charset=utf-8", page.encode()


@twin(
    "encoded-slash-refused",
    "RTE",
    "A path with an encoded slash is refused with 404.",
    "Apache httpd's default `AllowEncodedSlashes Off`: https://httpd.apache.org/docs/2.4/mod/core.html#allowencodedslashes",
)
class EncodedSlashRefused(Decisions):
    def route(self, listener: Listener, request: Request) -> tuple[Action, Rewrite | None]:
        action, rewrite = super().route(listener, request)
        return (Respond(404), None) if "%2f" in request.path.lower() else (action, rewrite)


@twin(
    "own-cookie-kept-back",
    "STK",
    "The balancer's own cookie does not reach the backends.",
    "HAProxy's `cookie ... indirect`: https://docs.haproxy.org/2.6/configuration.html#4.2-cookie",
)
class OwnCookieKeptBack(Decisions):
    def upstream_headers(self, listener: Listener, pool: PoolState, backend: BackendState, request: Request) -> Fields:
        fields = super().upstream_headers(listener, pool, backend, request)
        sticky = pool.spec.stickiness
        if sticky is None or sticky.type != "lb_cookie":
            return fields
        lines = [(n, without(v, sticky.cookie) if n.lower() == "cookie" else v) for n, v in fields]
        return [(n, v) for n, v in lines if v or n.lower() != "cookie"]


def without(line: str, name: str) -> str:
    """A Cookie field's value without the pairs of that name."""
    return "; ".join(pair.strip() for pair in line.split(";") if pair.partition("=")[0].strip() != name)


class DatedCookie(LbCookie):
    def set_cookie(self, backend: BackendState, now: float) -> str:
        pair, *attributes = super().set_cookie(backend, now).split("; ")
        return ";".join([pair, *(a.upper() if a == "Secure" else a for a in reversed(attributes))])


@twin(
    "cookie-attributes-elsewhere",
    "STK",
    "The cookie has Expires beside Max-Age, and its attributes in another order and case, without blanks.",
    "ALB puts Expires before Path; order and case of attributes mean nothing (RFC 6265 section 5.2)",
)
class CookieAttributesElsewhere(Decisions):
    def affinity(self, pool: Pool) -> Affinity | None:
        sticky = pool.stickiness
        if sticky is None or sticky.type != "lb_cookie":
            return super().affinity(pool)
        return DatedCookie(sticky, self.secret, 1_700_000_000.0 if self.epoch is None else self.epoch)
