"""Did a request end where the spec sends it? The oracle says where; these judges compare."""

from __future__ import annotations

from urllib.parse import urlsplit

from lbcheck.history import Arrival, Exchange, History
from lbcheck.judges.answers import described, refused
from lbcheck.judges.judging import judge
from lbcheck.spec.model import Action, Forward, Redirect, Respond, Spec
from lbcheck.spec.routing import scheme
from lbcheck.verdict import Verdict, decided

DEFAULT_PORTS = {"http": 80, "https": 443}


@judge
def acts(
    history: History, exchange: Exchange, action: Action, spec: Spec, *, location: str = "", refusable: bool = False
) -> Verdict:
    """The request met this action: a backend of the pool, the redirect's status and Location, the fixed response.

    Or it was refused with a 4xx, where it may be.
    """
    asked = f"{exchange.method} {exchange.target}"
    if refusable and refused(history, exchange):
        return decided(True, "acts", f"{asked} refused or as declared", described(exchange))
    if isinstance(action, Forward):
        return _forwarded(history, exchange, action, spec, asked)
    if isinstance(action, Redirect):
        return _redirected(history, exchange, action, location, asked, scheme(spec.listener(exchange.listener)))
    return _responded(history, exchange, action, asked)


def _arrivals(history: History, exchange: Exchange) -> tuple[Arrival, ...]:
    """Where backends tell nothing the answer has to say it all: who gave it, and what stands in it."""
    return history.arrivals_of(exchange.id) if history.witnessed else ()


def _forwarded(history: History, exchange: Exchange, action: Forward, spec: Spec, asked: str) -> Verdict:
    pools = [name for name, weight in action.pools if weight]
    names = {b.name for pool in pools for b in spec.pool(pool).backends}
    expected = f"{asked} forwarded to {' or '.join(pools)}"
    at = [arrival.backend for arrival in _arrivals(history, exchange)]
    ok = exchange.backend in names and exchange.complete and set(at) <= names
    return decided(
        ok, "acts", expected, f"{described(exchange)}; arrivals: {', '.join(at) or 'none'}", ids=(exchange.id,)
    )


def _redirected(
    history: History, exchange: Exchange, action: Redirect, location: str, asked: str, scheme: str
) -> Verdict:
    got = exchange.header("location") or ""
    expected = f"{asked} redirected with {action.status} to {location}"
    try:
        same = _url(got, exchange, scheme) == _url(location, exchange, scheme)
    except ValueError:  # no URL, such as one with two ports
        same = False
    same &= "?" not in got or "?" in location or "?" in exchange.target  # an empty query is none that was replaced
    ok = exchange.status == action.status and same and not _arrivals(history, exchange)
    return decided(ok, "acts", expected, f"{described(exchange)}, Location {got or '(none)'}", ids=(exchange.id,))


def _url(url: str, exchange: Exchange, asked_by: str) -> tuple[str, str, int | None, str, str]:
    """What must be equal in two Locations; a port or final dot may be left out, a relative one is resolved."""
    parts = urlsplit(url)
    host = ""
    for line in exchange.request.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "host":
            host = value.strip()
    base = urlsplit(f"{asked_by}://{host}")
    scheme = (parts.scheme or base.scheme).lower()
    place, port = (parts.hostname, parts.port) if parts.netloc else (base.hostname, base.port)
    return scheme, (place or "").lower().rstrip("."), port or DEFAULT_PORTS.get(scheme), parts.path, parts.query


def _responded(history: History, exchange: Exchange, action: Respond, asked: str) -> Verdict:
    kind = (exchange.header("content-type") or "").partition(";")[0].strip().lower()
    expected = f"{asked} answered by the balancer with {action.status}, {action.content_type}, {action.body!r}"
    # A HEAD has the same head and no body; an empty body needs no type.
    body = b"" if exchange.method == "HEAD" else action.body.encode()
    same_body = exchange.body == body and (not body or kind == action.content_type)
    if action.status == 204 and (said := exchange.header("content-length")) is not None:  # RFC 9110 section 8.6
        saw = f"{described(exchange)}, Content-Length: {said}"
        return decided(False, "acts", f"{expected}, and no Content-Length", saw, ids=(exchange.id,))
    ok = exchange.status == action.status and same_body and not _arrivals(history, exchange)
    return decided(ok, "acts", expected, f"{described(exchange)}, {kind}, {exchange.body[:60]!r}", ids=(exchange.id,))


@judge
def arrives_as(history: History, exchange: Exchange, target: str) -> Verdict:
    """The backend was asked for exactly this request target: what was matched is what is forwarded."""
    arrivals = history.arrivals_of(exchange.id)
    expected = f"{exchange.target} arrives as {target}"
    got = ", ".join(a.target for a in arrivals) or f"no arrival ({described(exchange)})"
    ok = bool(arrivals) and all(a.target == target for a in arrivals)
    return decided(ok, "arrives_as", expected, got, ids=(exchange.id,))


@judge
def refused_or_as(history: History, exchange: Exchange, target: str) -> Verdict:
    """A doubtful target is refused with a 4xx, or arrives unchanged."""
    if refused(history, exchange):
        return decided(True, "arrives_as", f"{exchange.target} refused or arrives unchanged", described(exchange))
    return arrives_as(history, exchange, target)
