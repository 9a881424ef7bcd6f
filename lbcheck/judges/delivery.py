"""Is each request answered once, whole, by whom it reached; and if not, is that said honestly and in time?"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from lbcheck.history import Exchange, Fate, History
from lbcheck.judges.answers import described, refused
from lbcheck.judges.judging import judge
from lbcheck.judges.overlap import OVERLAP, Interval, overlapping
from lbcheck.spec.model import Seconds
from lbcheck.verdict import Basis, Verdict, decided, inconclusive

ANY_GATEWAY_ERROR = frozenset({502, 503, 504})


def allowed(status: int | None) -> frozenset[int]:
    """What the spec lets the balancer say: the declared status, or any gateway error."""
    return ANY_GATEWAY_ERROR if status is None else frozenset({status})


@judge
def bounded_outage(
    history: History, exchanges: Sequence[Exchange], *, began: float, bound: Seconds, errors_allowed: bool = True
) -> Verdict:
    """Before the fault and `bound` seconds after it each request is answered; in between errors are allowed, or not."""
    fates = [(e, history.journey(e).fate) for e in exchanges]
    bad = [(e, fate) for e, fate in fates if fate is not Fate.ANSWERED]
    before = [x for x in bad if x[0].done is not None and x[0].done < began]
    after = [x for x in bad if x[0].invoked > began + bound]
    within = len(bad) - len(before) - len(after)
    expected = f"no error {bound:.2f} s after the fault" if errors_allowed else "no error at all"
    met = len(overlapping(exchanges, [Interval(began, began + bound)]))
    later = sum(1 for e in exchanges if e.invoked > began + bound)
    figures: dict[str, Any] = {"n": len(exchanges), "errors": len(bad), "bound_s": round(bound, 3)}
    if bad:
        figures["last_error_s"] = round(max(e.invoked for e, _ in bad) - began, 3)
    wrong = after or before or (bad if not errors_allowed else [])
    if wrong:
        exchange, fate = wrong[0]
        when = f"{exchange.invoked - began:+.3f} s from the fault"
        saw = f"{len(wrong)} of {len(exchanges)} requests, the first {when}: {described(exchange)} ({fate.value})"
        proof = tuple(e.id for e, _ in wrong[:10])
        return decided(False, "bounded_outage", expected, saw, ids=proof, rests_on="losses", **figures)
    if met < OVERLAP or later < OVERLAP:
        why = f"{met} requests met the fault and {later} came after its bound; {OVERLAP} of each are needed"
        return inconclusive("bounded_outage", expected, why, **figures)
    return decided(True, "bounded_outage", expected, f"{within} errors within the bound, none later", **figures)


@judge
def honest_error(
    exchange: Exchange, statuses: Collection[int], *, earliest: Seconds = 0.0, latest: Seconds | None = None
) -> Verdict:
    """The balancer's own, complete answer with one of these statuses, between these seconds after it was asked."""
    times = f" within {latest:.2f} s" if latest is not None else ""
    times += f", not before {earliest:.2f} s" if earliest else ""
    expected = f"the balancer's own {' or '.join(map(str, sorted(statuses)))}{times}"
    took = None if exchange.first_byte is None else exchange.first_byte - exchange.invoked
    saw = described(exchange) + ("" if took is None else f" after {took:.3f} s")
    own = exchange.status in statuses and exchange.backend is None and exchange.complete
    timely = took is not None and took >= earliest and (latest is None or took <= latest)
    basis: Basis = "times" if own else "losses" if took is None else "counts"
    return decided(own and timely, "honest_error", expected, saw, ids=(exchange.id,), rests_on=basis)


@judge
def never_repeated(history: History, exchange: Exchange, what: str) -> Verdict:
    """A non-idempotent request that a backend has read arrives nowhere else (RFC 9110 section 9.2.2)."""
    arrivals = history.arrivals_of(exchange.id)
    expected = f"{exchange.method} with {what}: at most one arrival over all backends"
    saw = f"{len(arrivals)} arrivals" + (f" at {', '.join(a.backend for a in arrivals)}" if arrivals else "")
    if not arrivals:
        return inconclusive("never_repeated", expected, f"it reached no backend ({described(exchange)})")
    return decided(len(arrivals) == 1, "never_repeated", expected, saw, ids=(exchange.id,), rests_on="counts")


@judge
def repeats_bounded(history: History, exchange: Exchange, most: int) -> Verdict:
    """No more arrivals than the first try and the declared retries."""
    arrivals = history.arrivals_of(exchange.id)
    expected = f"at most {most} arrivals"
    saw = f"{len(arrivals)} at {', '.join(a.backend for a in arrivals)}" if arrivals else "none"
    basis: Basis = "counts" if arrivals else "losses"
    return decided(0 < len(arrivals) <= most, "repeats_bounded", expected, saw, ids=(exchange.id,), rests_on=basis)


@judge
def tries_as_declared(history: History, exchange: Exchange, tries: int) -> Verdict:
    """Where every try fails there are exactly the first one and the declared repeats."""
    arrivals = history.arrivals_of(exchange.id)
    expected = f"exactly {tries} arrivals"
    saw = f"{len(arrivals)} at {', '.join(a.backend for a in arrivals)}" if arrivals else "none"
    return decided(len(arrivals) == tries, "tries_as_declared", expected, saw, ids=(exchange.id,))


@judge
def retried_elsewhere(history: History, exchange: Exchange) -> Verdict:
    """The first try failed, a later one at another backend answered."""
    journey = history.journey(exchange)
    expected = "a second try at another backend, which answers"
    saw = f"arrivals at {', '.join(journey.backends) or 'none'}; {described(exchange)}"
    distinct = len(set(journey.backends)) == len(journey.backends) >= 2
    ok = distinct and journey.fate is Fate.ANSWERED and exchange.backend == journey.backends[-1]
    return decided(ok, "retried_elsewhere", expected, saw, ids=(exchange.id,))


@judge
def saved_from(history: History, exchanges: Sequence[Exchange], sick: str) -> Verdict:
    """Every request that the sick backend failed was answered by another one."""
    met = [e for e in exchanges if sick in history.journey(e).backends]
    expected = f"requests that {sick} fails answered by another backend"
    if not met:
        return inconclusive("saved_from", expected, f"none of {len(exchanges)} requests came to {sick}")
    lost = [e for e in met if history.journey(e).fate is not Fate.ANSWERED or e.backend == sick]
    saw = f"{len(lost)} of {len(met)} not, the first: {described(lost[0])}" if lost else f"{len(met)} of {len(met)}"
    return decided(not lost, "saved_from", expected, saw, ids=tuple(e.id for e in lost[:10]), n=len(met))


@judge
def cut_is_seen(exchange: Exchange, what: str) -> Verdict:
    """An answer that its backend did not finish is not passed off as a whole one, nor is more of it waited for."""
    expected = f"{what}: an answer that ends incomplete, or the balancer's own error, never a whole one"
    ended = not exchange.complete and exchange.error != "timeout"
    honest = ended or (exchange.complete and exchange.backend is None and (exchange.status or 0) >= 400)
    return decided(honest, "cut_is_seen", expected, described(exchange), ids=(exchange.id,), rests_on="counts")


@judge
def cut_at(exchange: Exchange, what: str, *, earliest: float, latest: float) -> Verdict:
    """An answer under way is ended between these moments, and the client can tell that it is not whole."""
    began = exchange.invoked
    expected = f"{what}: an answer cut from {earliest - began:.2f} to {latest - began:.2f} s after it was asked for"
    if exchange.first_byte is None or exchange.first_byte > earliest or exchange.done is None:
        return inconclusive("cut_at", expected, f"no answer was under way by then ({described(exchange)})")
    saw = f"{described(exchange)}, over after {exchange.done - began:.3f} s"
    timely = earliest <= exchange.done <= latest
    basis: Basis = "counts" if exchange.complete else "times"
    return decided(timely and not exchange.complete, "cut_at", expected, saw, ids=(exchange.id,), rests_on=basis)


@judge
def whole_body(history: History, exchange: Exchange, body: bytes, what: str, refusable: bool = False) -> Verdict:
    """The backend that answered read exactly the body that the client sent; or nothing, where it may be refused."""
    expected = f"{what}: {len(body)} bytes, unchanged, at the backend that answers"
    arrivals = history.arrivals_of(exchange.id)
    if refusable and refused(history, exchange):
        return decided(True, "whole_body", f"{expected}, or the request refused", described(exchange))
    read = history.body_of(arrivals[-1]) if arrivals else None
    if read is None or history.journey(exchange).fate is not Fate.ANSWERED:
        return decided(False, "whole_body", expected, described(exchange), ids=(exchange.id,))
    same = read.complete and read.length == len(body) and read.sha == hashlib.sha256(body).hexdigest()
    saw = f"{read.length} bytes" + ("" if same else ", not the same" if read.complete else ", incomplete")
    return decided(same, "whole_body", expected, saw, ids=(exchange.id,))


@judge
def whole_answer(exchange: Exchange, body: bytes, what: str) -> Verdict:
    """The client got exactly the body that the backend sent."""
    expected = f"{what}: {len(body)} bytes, unchanged, at the client"
    same = exchange.complete and exchange.body_sha == hashlib.sha256(body).hexdigest()
    saw = f"{exchange.body_len} bytes, {described(exchange)}"
    return decided(same, "whole_answer", expected, saw, ids=(exchange.id,))


@judge
def none_cross_wired(history: History, exchanges: Sequence[Exchange]) -> Verdict:
    """Nobody got another's answer."""
    wrong = [e for e in exchanges if history.journey(e).fate is Fate.CROSS_WIRED]
    expected = f"each of {len(exchanges)} answers its own request's"
    if not exchanges:
        return inconclusive("none_cross_wired", expected, "no request at all")
    saw = f"{len(wrong)} answers of other requests" if wrong else "so it was"
    proof = tuple(e.id for e in wrong[:10])
    return decided(not wrong, "none_cross_wired", expected, saw, ids=proof, rests_on="counts", n=len(exchanges))
