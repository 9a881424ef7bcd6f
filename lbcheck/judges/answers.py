"""Which backend answered what: the first look at a list of exchanges that most judges share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lbcheck.history import Exchange, Fate, Garbage, History
from lbcheck.judges.blame import lost
from lbcheck.judges.judging import judge
from lbcheck.verdict import Basis, Verdict, decided


def backends_of(exchanges: Iterable[Exchange]) -> list[str]:
    """The backends that answered, in order; an exchange without a backend's answer is left out."""
    return [e.backend for e in exchanges if e.backend is not None and e.complete]


def counts_of(exchanges: Iterable[Exchange], names: Iterable[str]) -> dict[str, int]:
    """Answers per backend, with a zero for each name that gave none."""
    seen = Counter(backends_of(exchanges))
    return {name: seen.pop(name, 0) for name in names} | dict(sorted(seen.items()))


def told(counts: dict[str, int]) -> str:
    """`a 10, b 9, c 11`."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def described(exchange: Exchange) -> str:
    """What came of one request, in a few words."""
    if exchange.status is None:
        return f"no answer ({exchange.error or 'nothing came'})"
    by = f"by backend {exchange.backend}" if exchange.backend else "made by the balancer"
    return f"status {exchange.status} {by}" + ("" if exchange.complete else ", incomplete")


def unanswered(exchanges: Sequence[Exchange]) -> list[Exchange]:
    return [e for e in exchanges if e.backend is None or not e.complete]


def missing_answers(judgement: str, expected: str, exchanges: Sequence[Exchange]) -> Verdict | None:
    """A broken verdict where some request was not answered by a backend, or where there was none to look at."""
    missing = unanswered(exchanges)
    if not exchanges:
        return decided(False, judgement, expected, "no request at all", rests_on="counts")
    if missing:
        saw = (
            f"{len(missing)} of {len(exchanges)} requests not answered by a backend, the first: {described(missing[0])}"
        )
        proof = tuple(e.id for e in missing[:10])
        return decided(False, judgement, expected, saw, ids=proof, rests_on=_basis(missing))
    return None


def _basis(missing: Iterable[Exchange]) -> Basis:
    """An answer below 500 that the balancer made is its own decision; all else may have been lost on the way."""
    return "counts" if any(e.complete and (e.status or 500) < 500 for e in missing) else "losses"


@judge
def all_answered(history: History, exchanges: Sequence[Exchange], *, by: Iterable[str] | None = None) -> Verdict:
    """Every request arrived once and was answered whole by the backend that it reached (one of `by`, where given)."""
    names = None if by is None else set(by)
    bad = []
    for exchange in exchanges:
        journey = history.journey(exchange)
        wrong_place = names is not None and exchange.backend not in names
        if journey.fate is not Fate.ANSWERED or journey.repeated or wrong_place:
            bad.append((exchange, journey))
    where = "" if names is None else f" by {' or '.join(sorted(names))}"
    expected = f"all {len(exchanges)} requests answered{where}, each by the one backend that it reached"
    if not exchanges:
        return decided(False, "all_answered", expected, "no request at all")
    if not bad:
        return decided(True, "all_answered", expected, f"{len(exchanges)} answered", n=len(exchanges))
    exchange, journey = bad[0]
    detail = f"{described(exchange)}, {journey.fate.value}, arrivals at {', '.join(journey.backends) or 'none'}"
    saw = f"{len(bad)} of {len(exchanges)} not so, the first ({exchange.method} {exchange.target}): {detail}"
    proof = tuple(e.id for e, _ in bad[:10])
    # Whoever was answered twice, by another, or not asked at all on purpose: no machine does that by being slow.
    counted = any(j.repeated or j.fate in (Fate.CROSS_WIRED, Fate.LOCAL) for _, j in bad)
    basis: Basis | None = "counts" if counted else "losses" if all(map(lost, (j for _, j in bad))) else None
    return decided(False, "all_answered", expected, saw, ids=proof, rests_on=basis, n=len(exchanges))


@judge
def reach_nobody(history: History, exchanges: Sequence[Exchange]) -> Verdict:
    """None of these requests arrives at a backend."""
    expected = f"none of {len(exchanges)} requests at a backend"
    there = [e for e in exchanges if history.arrivals_of(e.id)]
    saw = f"{len(there)} arrived" if there else "none"
    ids = tuple(e.id for e in there[:10])
    return decided(bool(exchanges) and not there, "reach_nobody", expected, saw, ids=ids, rests_on="counts")


def refused(history: History, exchange: Exchange) -> bool:
    """The balancer itself said no, with a 4xx: nothing of this request came to a backend, not even as garbage."""
    line = f": {exchange.id}\r\n".encode()
    at_backends = history.arrivals_of(exchange.id) or any(line in garbage.raw for garbage in history.of(Garbage))
    return not at_backends and exchange.backend is None and 400 <= (exchange.status or 0) < 500
