"""Does a pool share its requests as its algorithm says? Exact where the mechanism is, an exact test where it draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lbcheck.history import Exchange, History
from lbcheck.judges.answers import backends_of, counts_of, missing_answers, told
from lbcheck.judges.judging import judge
from lbcheck.judges.statistics import ALPHA, binomial_p
from lbcheck.verdict import Verdict, decided, inconclusive


@judge
def takes_turns(exchanges: Sequence[Exchange], among: Iterable[str], *, workers: int = 1) -> Verdict:
    """Sequential requests visit `among` in one fixed cyclic order (any order, any first pick).

    With several workers there is one cursor each: then only the counts are bound, `max - min <= workers`.
    """
    names = list(among)
    expected = f"{len(names)} backends in one fixed rotation"
    if missing := missing_answers("takes_turns", expected, exchanges):
        return missing
    sequence, counts = backends_of(exchanges), counts_of(exchanges, names)
    shares = dict.fromkeys(names, 1 / len(names))
    if len(sequence) < 3 * len(names):
        return inconclusive("takes_turns", expected, f"only {len(sequence)} requests for {len(names)} backends")
    if workers > 1:
        spread = max(counts.values()) - min(counts.values())
        expected = f"counts at most {workers} apart, with one cursor in each of {workers} workers"
        ok = spread <= workers and set(counts) == set(names)
        return decided(ok, "takes_turns", expected, f"{told(counts)}", counts=counts, share=shares, n=len(sequence))
    cycle = sequence[: len(names)]
    wrong = next((i for i, name in enumerate(sequence) if name != cycle[i % len(cycle)]), None)
    ok = wrong is None and sorted(cycle) == sorted(names)
    if ok:
        saw = f"{' '.join(cycle)} repeated over {len(sequence)} requests"
    elif wrong is None:
        saw = f"the rotation {' '.join(cycle)}"
    else:
        at = max(0, wrong - len(names))
        saw = f"{' '.join(sequence[at : wrong + len(names)])} around request {wrong + 1} ({told(counts)} in all)"
    ids = () if wrong is None else (exchanges[wrong].id,)
    return decided(ok, "takes_turns", expected, saw, ids=ids, counts=counts, share=shares, n=len(sequence))


@judge
def keeps_weights(exchanges: Sequence[Exchange], weights: Mapping[str, int], *, workers: int = 1) -> Verdict:
    """In each full cycle of sum(weights) sequential requests every backend answers exactly its weight."""
    total = math.gcd(*(w for w in weights.values() if w)) or 1
    reduced = {name: weight // total for name, weight in weights.items()}
    cycle = sum(reduced.values())
    expected = f"shares {':'.join(str(w) for w in reduced.values())} in each cycle of {cycle} requests"
    if missing := missing_answers("keeps_weights", expected, exchanges):
        return missing
    sequence = backends_of(exchanges)
    cycles = len(sequence) // cycle
    if cycles < 2:
        return inconclusive("keeps_weights", expected, f"only {len(sequence)} requests for cycles of {cycle}")
    counts = counts_of(exchanges, weights)
    figures: dict[str, Any] = {
        "counts": counts,
        "share": {n: w / cycle for n, w in reduced.items()},
        "n": len(sequence),
    }
    if workers > 1:
        expected = f"{cycles} cycles of {told(reduced)}, each count within {workers} workers' last cycles"
        ok = all(abs(counts.get(n, 0) - w * cycles) <= workers * w for n, w in reduced.items())
        return decided(ok, "keeps_weights", expected, told(counts), **figures)
    for index in range(cycles):
        seen = Counter(sequence[index * cycle : (index + 1) * cycle])
        if any(seen.get(name, 0) != weight for name, weight in reduced.items()) or set(seen) - set(reduced):
            got = told({name: seen.get(name, 0) for name in {**reduced, **seen}})
            ids = tuple(e.id for e in exchanges[index * cycle : (index + 1) * cycle])
            saw = f"{got} in cycle {index + 1} of {cycles} ({told(counts)} in all)"
            return decided(False, "keeps_weights", expected, saw, ids=ids, **figures)
    return decided(True, "keeps_weights", expected, f"{told(reduced)} in each of {cycles} cycles", **figures)


def longest_runs(sequence: Sequence[str]) -> dict[str, int]:
    """The longest uninterrupted run of each name."""
    longest: dict[str, int] = {}
    run, last = 0, None
    for name in sequence:
        run = run + 1 if name == last else 1
        last = name
        longest[name] = max(longest.get(name, 0), run)
    return longest


@judge
def keeps_order(exchanges: Sequence[Exchange], weights: Mapping[str, int], order: str, *, workers: int = 1) -> Verdict:
    """`smooth`: no run longer than interleaving forces, ceil(w / (rest + 1)) + 1; `burst`: each share in one run.

    Several workers keep an order each: then only what came over one connection, and so to one of them, says anything.
    """
    if workers > 1 and (over := len({e.connection for e in exchanges})) > 1:
        expected = f"{order} order of one of {workers} workers"
        return inconclusive("keeps_order", expected, f"{over} connections, which any of them may have taken")
    positive = {n: w for n, w in weights.items() if w}
    runs = longest_runs(backends_of(exchanges))
    total = sum(positive.values())
    if order == "smooth":
        bound = {n: math.ceil(w / (total - w + 1)) + 1 for n, w in positive.items()} if len(positive) > 1 else {}
        late = {n: runs[n] for n in bound if runs.get(n, 0) > bound[n]}
        expected = f"smooth order: runs of at most {told(bound)}"
        return decided(not late, "keeps_order", expected, f"longest runs {told(runs)}", n=len(exchanges))
    short = {n: runs.get(n, 0) for n, w in positive.items() if runs.get(n, 0) != w}
    expected = f"bursts: each backend's whole share in one run ({told(positive)})"
    return decided(not short, "keeps_order", expected, f"longest runs {told(runs)}", n=len(exchanges))


@judge
def gets_nothing(exchanges: Sequence[Exchange], nobody: Iterable[str]) -> Verdict:
    """None of these backends answered, and every request was answered by another."""
    names = sorted(nobody)
    expected = f"no request at {', '.join(names)}, all answered by others"
    if missing := missing_answers("gets_nothing", expected, exchanges):
        return missing
    wrong = [e for e in exchanges if e.backend in names]
    saw = f"{len(wrong)} of {len(exchanges)} there" if wrong else f"{len(exchanges)} answered by others"
    return decided(not wrong, "gets_nothing", expected, saw, ids=tuple(e.id for e in wrong[:10]), n=len(exchanges))


@judge
def prefers(exchanges: Sequence[Exchange], faster: str, slower: str) -> Verdict:
    """Dominance: the faster of two gets more, beyond what an even coin gives at alpha."""
    counts = counts_of(exchanges, (faster, slower))
    n = counts[faster] + counts[slower]
    p = binomial_p(counts[faster], n, 0.5) if n else 1.0
    ok = counts[faster] > counts[slower] and p < ALPHA
    figures: dict[str, Any] = {"n": n, "alpha": ALPHA, "p": p, "counts": counts, "share": dict.fromkeys(counts, 0.5)}
    return decided(ok, "prefers", f"{faster}, the faster, gets more than {slower}", told(counts), **figures)


@judge
def prefers_the_sound(history: History, exchanges: Sequence[Exchange], sound: str, broken: str) -> Verdict:
    """Of two backends the one that answers is chosen first more often than the one that fails, as `prefers` counts."""
    first = Counter(a[0].backend for e in exchanges if (a := history.arrivals_of(e.id)))
    n = first[sound] + first[broken]
    p = binomial_p(first[sound], n, 0.5) if n else 1.0
    counts = {name: first[name] for name in (sound, broken)}
    expected = f"{sound}, which answers, is tried more often than {broken}, which fails at once"
    ok = first[sound] > first[broken] and p < ALPHA
    return decided(ok, "prefers_the_sound", expected, told(counts), n=n, alpha=ALPHA, p=p, counts=counts)


@judge
def starves_nobody(exchanges: Sequence[Exchange], names: Iterable[str]) -> Verdict:
    """Every backend gets at least one request: a slow one is tried again, so that its recovery can be seen."""
    counts = counts_of(exchanges, names)
    starved = [name for name, count in counts.items() if not count]
    return decided(not starved, "starves_nobody", "each backend is tried now and then", told(counts), counts=counts)
