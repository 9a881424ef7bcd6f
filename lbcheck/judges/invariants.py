"""What holds of every history, whatever was claimed: nothing lost, mixed up, or repeated or cut in silence.

These look at what no lawful balancer does under any fault, so that they may be asked of every check's history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lbcheck.history import GIVEN, Answered, Exchange, Fate, History, Journey
from lbcheck.judges.answers import described
from lbcheck.spec.model import Pool, Spec
from lbcheck.verdict import Verdict, decided

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110 section 9.2.2
SHOWN = 10  # ids


@dataclass(slots=True)
class _Count:
    """Journeys that broke one invariant, the first of them told."""

    count: int = 0
    first: str = ""
    ids: list[str] = field(default_factory=list)

    def add(self, journey: Journey, saw: str) -> None:
        self.count += 1
        self.first = self.first or f"{journey.exchange.method} {journey.exchange.target}: {saw}"
        if len(self.ids) < SHOWN:
            self.ids.append(journey.exchange.id)


def invariants(history: History, spec: Spec) -> tuple[Verdict, ...]:
    """A verdict on each invariant over all requests, in one pass; none where there was no request."""
    counts = {name: _Count() for name in EXPECTED}
    pools = {backend.name: pool for pool in spec.pools for backend in pool.backends}
    total = len(history.exchanges)
    for exchange in history.doubtful():
        journey = history.journey(exchange)
        for name, saw in _wrongs(history, journey, spec, pools):
            counts[name].add(journey, saw)
    return tuple(_verdict(name, each, total) for name, each in counts.items()) if total else ()


EXPECTED = {
    "nothing_lost": "every request that was sent whole arrives or is answered",
    "nothing_cross_wired": "every answer is its own request's",
    "no_unlawful_repeat": "no request arrives more often than its method and the declared retries allow",
    "no_cut_told_whole": "no answer that its backend cut is passed off as whole",
}


def _verdict(name: str, counted: _Count, total: int) -> Verdict:
    saw = f"{counted.count} of {total} requests not so, the first: {counted.first}" if counted.count else "so it was"
    return decided(not counted.count, name, EXPECTED[name], saw, ids=tuple(counted.ids), n=total)


def _wrongs(history: History, journey: Journey, spec: Spec, pools: dict[str, Pool]) -> Iterator[tuple[str, str]]:
    """(invariant, what was seen) of each that this request breaks."""
    exchange = journey.exchange
    if is_lost(journey, spec):
        yield "nothing_lost", described(exchange)
    if journey.fate is Fate.CROSS_WIRED:
        yield "nothing_cross_wired", described(exchange)
    if journey.repeated:
        became = [history.answered_of(arrival) for arrival in journey.arrivals]
        if len(became) > lawful_arrivals(journey, became, pools) * alike(history, exchange):
            yield "no_unlawful_repeat", f"{len(became)} arrivals at {', '.join(journey.backends)}"
    if journey.answer == "own" and exchange.complete and shows_its_end(exchange):
        last = history.answered_of(journey.arrivals[-1])
        if last is not None and last.how in ("reset", "cut"):
            yield "no_cut_told_whole", f"{described(exchange)}, while its backend ended it by {last.how}"


def alike(history: History, exchange: Exchange) -> int:
    """How many requests were made with this id: one, but where a check wrote the same bytes several times."""
    return 1 if GIVEN.fullmatch(exchange.id) else sum(other.id == exchange.id for other in history.exchanges)


def is_lost(journey: Journey, spec: Spec) -> bool:
    """A plain request, sent whole as the first on its connection, that neither arrived nor was answered.

    One on a kept connection may meet its end and be sent again by its client (RFC 9112 section 9.3.1); one that its
    client gave up early may still have stood in a queue; and what is no plain HTTP may be met by silence.
    """
    exchange = journey.exchange
    if journey.fate is not Fate.LOST or exchange.sent is None or exchange.index or not is_plain(exchange.request):
        return False
    if exchange.error == "timeout":
        return exchange.done is not None and exchange.done - exchange.sent > longest_wait_s(spec)
    return exchange.error in ("closed", "reset")


def longest_wait_s(spec: Spec) -> float:
    """How long a balancer may keep a client waiting before it must answer."""
    waits = (
        p.timeouts.queue + (1 + p.retries.attempts) * (p.timeouts.connect + p.timeouts.response) for p in spec.pools
    )
    return max(waits, default=0.0)


def shows_its_end(exchange: Exchange) -> bool:
    """Has the answer a body whose end is told by more than the connection's (RFC 9112 section 6.3)?"""
    framed = exchange.header("Content-Length") is not None or exchange.header("Transfer-Encoding") is not None
    return framed and exchange.body_len > 0


def is_plain(head: bytes) -> bool:
    """One Host, no doubt about where its body ends, and lines as RFC 9112 section 2.2 has them."""
    if not head.endswith(b"\r\n\r\n") or head.count(b"\n") != head.count(b"\r\n"):
        return False
    lines = head[:-4].split(b"\r\n")[1:]
    names = [line.partition(b":")[0].lower() for line in lines]
    framing = names.count(b"content-length") + names.count(b"transfer-encoding")
    tidy = all(name == name.strip() and name and b":" in line for name, line in zip(names, lines, strict=True))
    return tidy and framing <= 1 and names.count(b"host") == 1


def lawful_arrivals(journey: Journey, became: list[Answered | None], pools: dict[str, Pool]) -> int:
    """How often a request may arrive: once, and once more for each declared retry that its method allows.

    What is not idempotent is not sent again once a backend has read it, unless the pool says so. What is may also be
    sent again when a kept connection ends on it (RFC 9112 section 9.3.1).
    """
    met = [pools[name].retries for name in journey.backends if name in pools]
    idempotent = journey.exchange.method in IDEMPOTENT
    declared = max((r.attempts for r in met if idempotent or r.non_idempotent), default=0)
    stale = [
        arrival
        for arrival, answered in zip(journey.arrivals, became, strict=True)
        if arrival.index and (answered is None or answered.how != "answered")
    ]
    return 1 + declared + (len(stale) if idempotent else 0)
