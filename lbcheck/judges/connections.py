"""Several messages on one connection of a client: where each ends, who ends the connection, and is that said?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from lbcheck.history import Exchange, History
from lbcheck.judges.answers import described
from lbcheck.judges.heads import fields
from lbcheck.judges.judging import judge
from lbcheck.spec.model import Seconds
from lbcheck.verdict import Verdict, decided, inconclusive

ENDS = ("closed", "reset")


@judge
def ends_at_its_frame(exchanges: Sequence[Exchange], statuses: Collection[int], what: str) -> Verdict:
    """The balancer's own, whole answer with one of these statuses; then other whole ones, or the connection's end.

    A byte too many after the first one (RFC 9112 section 6.3: none after an answer to HEAD) makes garbage of the next.
    """
    expected = f"{what}: the balancer's own {' or '.join(map(str, sorted(statuses)))}, and what follows begins after it"
    first, *others = exchanges
    ok = first.complete and first.status in statuses and first.backend is None
    wrong = None if ok else first
    for other in others:
        wrong = wrong or (None if other.complete or (other.status is None and other.error in ENDS) else other)
    saw = "; ".join(f"{e.method or 'unasked'}: {described(e)}" for e in exchanges)
    return decided(wrong is None, "ends_at_its_frame", expected, saw, ids=(wrong.id,) if wrong else ())


@judge
def closes_when_told(history: History, exchanges: Sequence[Exchange], after: str, what: str) -> Verdict:
    """A request that says that it is the last is answered, and what comes `after` it is not processed.

    RFC 9112 section 9.6; `after` is the id of a request that stands behind it on the connection. The balancer may
    refuse it, as one that does not serve the client's version does.
    """
    first, *others = exchanges
    expected = f"{what}: its answer, and nothing of what follows is processed"
    processed = len(history.arrivals_of(after)) or len(others)
    refused = first.backend is None and 400 <= (first.status or 0) < 500
    ok = first.complete and (refused or history.journey(first).answer == "own") and not processed
    saw = described(first) + (f"; then {processed} more processed" if processed else "")
    return decided(ok, "closes_when_told", expected, saw, ids=() if ok else (first.id, after))


@judge
def stays_as_said(history: History, exchanges: Sequence[Exchange], what: str) -> Verdict:
    """Of a client that asks for it the connection is kept, which the answer says to HTTP/1.0, or it is ended.

    Who neither says that it stays nor ends it leaves such a client waiting for the end (RFC 9112 section 9.3).
    """
    first, second = exchanges
    expected = f"{what}: an answer that says keep-alive, and the next one; or the end of the connection"
    said = any("keep-alive" in value.lower() for value in first.all_headers("Connection"))
    answered = first.complete and history.journey(first).answer == "own"
    if second.status is None:
        ok = answered and second.error in ENDS
    else:
        ok = answered and said and second.complete and history.journey(second).answer == "own"
    saw = f"{described(first)}{', keep-alive' if said else ''}; then {described(second)}"
    return decided(ok, "stays_as_said", expected, saw, ids=() if ok else (first.id, second.id))


@judge
def readable_by_old(exchange: Exchange, body: bytes, what: str) -> Verdict:
    """What a client of HTTP/1.0 gets: no interim answer, no chunks, and the whole body (RFC 9110 section 15.2, RFC 9112
    section 7)."""
    expected = f"{what}: {len(body)} bytes, no 1xx before them and no chunks"
    coded = exchange.header("Transfer-Encoding")
    ok = exchange.complete and not exchange.interim and coded is None and exchange.body == body
    saw = f"{described(exchange)}, {exchange.body_len} bytes"
    saw += f", interim {', '.join(map(str, exchange.interim))}" if exchange.interim else ""
    saw += f", Transfer-Encoding: {coded}" if coded else ""
    return decided(ok, "readable_by_old", expected, saw, ids=() if ok else (exchange.id,))


@judge
def one_framing(exchange: Exchange, what: str) -> Verdict:
    """An error of the balancer's own, or an answer with one end: never two for its client (RFC 9112 section 6.3)."""
    expected = f"{what}: the balancer's own 502, a connection that ends, or one length or chunks"
    lengths = {part.strip() for line in exchange.all_headers("Content-Length") for part in line.split(",")}
    chunks = bool(exchange.all_headers("Transfer-Encoding"))
    plain = all(length.isascii() and length.isdigit() for length in lengths)
    passed = (exchange.status or 500) < 500
    one = exchange.error != "garbage" and (not passed or (plain and len(lengths) + chunks <= 1))
    told = [f"Content-Length: {length}" for length in sorted(lengths)] + ["Transfer-Encoding"] * chunks
    saw = f"{described(exchange)}, {' and '.join(told) or 'no framing'}"
    return decided(one, "one_framing", expected, saw, ids=(exchange.id,), rests_on="counts")


@judge
def interim_in_order(exchange: Exchange, given: Sequence[int]) -> Verdict:
    """The final answer is whole, and of the interim ones that its backend gave those that come keep their order."""
    expected = f"the final answer after some or all of {', '.join(map(str, given))}"
    rest = iter(given)
    ordered = all(status in rest for status in exchange.interim)
    ok = ordered and exchange.complete and exchange.backend is not None
    saw = f"{', '.join(map(str, exchange.interim)) or 'no interim answer'}; {described(exchange)}"
    return decided(ok, "interim_in_order", expected, saw, ids=() if ok else (exchange.id,))


@judge
def answered_before_refusal(history: History, exchanges: Sequence[Exchange], ids: Sequence[str], what: str) -> Verdict:
    """The first request is answered, the second refused, and nothing of the connection is processed after that.

    `ids`: of the refused request and of the one behind it.
    """
    expected = f"{what}: the answer to the one ahead, 4xx or the connection's end, and nothing processed after it"
    first, *others = exchanges
    arrived = sum(len(history.arrivals_of(identity)) for identity in ids)
    given = [other for other in others if other.status is not None]
    ok = first.complete and history.journey(first).answer == "own" and not arrived
    ok = ok and len(given) <= 1 and all(400 <= (other.status or 0) < 500 for other in given)
    saw = "; ".join(described(e) for e in exchanges) + (f"; {arrived} of the others arrived" if arrived else "")
    return decided(ok, "answered_before_refusal", expected, saw, ids=() if ok else (first.id, *ids))


@judge
def arrives_plainly(history: History, exchange: Exchange, target: str, host: str) -> Verdict:
    """A backend gets this target and this one Host, or nothing where the request is refused (RFC 9112 section 3.2)."""
    expected = f"{target} and Host: {host} at the backend, or the request refused"
    arrivals = history.arrivals_of(exchange.id)
    if not arrivals:
        refused = exchange.backend is None and 400 <= (exchange.status or 0) < 500
        return decided(refused, "arrives_plainly", expected, described(exchange), ids=(exchange.id,))
    got = arrivals[-1]
    hosts = [value for name, value in fields(got.head) if name.lower() == "host"]
    saw = f"{got.target} and Host: {', '.join(hosts) or '(absent)'}"
    return decided(got.target == target and hosts == [host], "arrives_plainly", expected, saw, ids=(exchange.id,))


@judge
def kept_until_idle(exchanges: Sequence[Exchange]) -> Verdict:
    """Each came sooner than the idle time after the one before: on the same connection, or that one had said close."""
    expected = f"{len(exchanges)} requests on one connection, or an answer that says that it ends"
    if len(exchanges) < 2:
        return inconclusive("kept_until_idle", expected, f"{len(exchanges)} requests say nothing of it")
    for before, after in pairwise(exchanges):
        said = any("close" in value.lower() for value in before.all_headers("Connection"))
        if not after.complete or (after.connection != before.connection and not said):
            saw = f"a request that met the end ({described(after)})" if not after.complete else "the end, unannounced"
            return decided(False, "kept_until_idle", expected, saw, ids=(before.id, after.id), rests_on="times")
    return decided(True, "kept_until_idle", expected, "so it was", n=len(exchanges))


@judge
def asked_anew(history: History, before: Sequence[Exchange], after: Sequence[Exchange]) -> Verdict:
    """No request came on a backend's connection on which one had come before the pause."""
    known = {(a.backend, a.connection) for e in before for a in history.arrivals_of(e.id)}
    arrivals = [a for e in after for a in history.arrivals_of(e.id)]
    expected = "new connections to the backends after the pause"
    if not known or not arrivals:
        return inconclusive("asked_anew", expected, f"{len(known)} connections before, {len(arrivals)} requests after")
    again = [a for a in arrivals if (a.backend, a.connection) in known]
    saw = f"{len(again)} of {len(arrivals)} requests on those from before" if again else f"none of {len(arrivals)}"
    ids = tuple(a.id for a in again[:10] if a.id)
    return decided(not again, "asked_anew", expected, saw, ids=ids, n=len(arrivals), rests_on="times")


@judge
def given_up_when_idle(before: Exchange, after: Exchange, idle: Seconds) -> Verdict:
    """So long after its last answer a connection is known to be over, and a client opens another."""
    expected = f"a connection without a request for {idle:.2f} s closed by the balancer"
    ok = after.connection != before.connection
    saw = "it was closed" if ok else f"it was open still, and used again: {described(after)}"
    return decided(ok, "given_up_when_idle", expected, saw, ids=(before.id, after.id), rests_on="times")


@judge
def refused_in_mid_head(history: History, exchanges: Sequence[Exchange], size: int) -> Verdict:
    """A head without an end is refused with 4xx, or by the connection's end, before all of it has been read.

    RFC 9110 section 5.4 and RFC 6585 section 5; nothing of it is processed.
    """
    expected = f"4xx or the connection's end within {size} bytes of a head, and nothing at a backend"
    first, *others = exchanges
    arrived = len(history.arrivals_of(first.id))
    told = first.complete and first.backend is None and 400 <= (first.status or 0) < 500
    ok = (told or (first.status is None and first.error in ENDS)) and not others and not arrived
    saw = described(first) + (f"; {arrived} arrived" if arrived else "")
    return decided(ok, "refused_in_mid_head", expected, saw, ids=() if ok else (first.id,))
