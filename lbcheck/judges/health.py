"""Thresholds by counted probes, then by time. What a probe met is read from the backend's own journal."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lbcheck.history import Arrival, Connected, Disconnected, Exchange, History
from lbcheck.judges.heads import field, fields
from lbcheck.judges.judging import judge
from lbcheck.judges.ramping import LEAST
from lbcheck.judges.statistics import ALPHA, silence_for
from lbcheck.spec.model import Algorithm, HealthCheck, Pool, Protocol
from lbcheck.verdict import Verdict, decided, inconclusive

WATCHED = 10_000  # requests that a check looks at while it watches for a silence: more than any does


@dataclass(frozen=True, slots=True)
class Probe:
    """One active check as the backend saw it; `ended` is when the balancer could know the result at the earliest."""

    began: float
    ended: float
    passed: bool


def probes_of(history: History, backend: str, check: HealthCheck, *, since: float = -math.inf) -> list[Probe]:
    """The HTTP probes of one backend by time; one that was not answered in time has failed at its timeout."""
    found = []
    for arrival in history.probes:
        if arrival.backend != backend or arrival.at < since:
            continue
        answered = history.answered_of(arrival)
        late = arrival.at + check.timeout
        if answered is None or answered.at > late:
            found.append(Probe(arrival.at, late, False))
        else:
            good = answered.how == "answered" and answered.status is not None and check.accepts(answered.status)
            found.append(Probe(arrival.at, answered.at, good))
    return found


def tcp_probes_of(history: History, backend: str, *, since: float = -math.inf) -> list[Probe]:
    """Connections that ended without a byte: the shape of a TCP check, which passes by being accepted."""
    ended = {(e.backend, e.connection): e for e in history.of(Disconnected)}
    found = []
    for opened in history.of(Connected):
        over = ended.get((opened.backend, opened.connection))
        if opened.backend == backend and opened.at >= since and over is not None and over.bytes_in == 0:
            found.append(Probe(opened.at, opened.at, True))
    return found


def silence_limit(pool: Pool, backend: str, workers: int = 1, *, ramping: bool = False) -> int:
    """How many requests of the pool may pass this backend by before it must be out of rotation.

    A rotation gives a backend of weight w its turn within W / w requests, one in bursts after all that the others
    weigh; each of several workers has one of its own, and two rounds more are allowed. Where the policy draws, silence
    must be no accident at alpha, wherever among the requests that are watched it begins. `ramping`: the backend may
    have a twentieth of its weight.
    """
    usable = [b for b in pool.backends if b.state == "active" and not b.backup and b.weight > 0]
    weights = {b.name: 1 if pool.algorithm is Algorithm.ROUND_ROBIN else b.weight for b in usable}
    others = sum(weight for name, weight in weights.items() if name != backend)
    weight = weights.get(backend, 1) * (LEAST if ramping else 1)
    total = others + weight
    if pool.algorithm in (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN):
        in_turn = math.ceil(total / weight)
        return (workers + 2) * (in_turn if pool.order == "smooth" else max(in_turn, others))
    return silence_for(weight / total, ALPHA / WATCHED)


def _requests(history: History, names: Collection[str], start: float, end: float) -> list[Arrival]:
    """Arrivals there in (start, end], in the order in which clients sent the requests.

    Backends are several processes: one that stood still for a moment says of many that they came at once, and later
    than others did.
    """
    sent = {exchange.id: exchange.sent for exchange in history.exchanges}
    arrivals = [a for a in history.arrivals if a.backend in names and a.id is not None and start < a.at <= end]
    return sorted(arrivals, key=lambda a: _first(sent.get(a.id or ""), a.at))


def _first(sent: float | None, at: float) -> float:
    return at if sent is None else sent


def longest_silence(requests: Sequence[Arrival], backend: str) -> int:
    """The longest run of requests that went elsewhere."""
    longest = run = 0
    for arrival in requests:
        run = 0 if arrival.backend == backend else run + 1
        longest = max(longest, run)
    return longest


@judge
def never_ejected(
    history: History, pool: Pool, backend: str, start: float, end: float, *, late: int = 0, workers: int = 1
) -> Verdict:
    """The backend kept its turn in (start, end]; `late` requests may be recorded out of turn (see `late_for`)."""
    limit = silence_limit(pool, backend, workers) + late
    requests = _requests(history, {b.name for b in pool.backends}, start, end)
    expected = f"{backend} keeps its turn: never passed over more than {limit} times in a row"
    if len(requests) <= limit:
        return inconclusive("never_ejected", expected, f"only {len(requests)} requests overlapped", n=len(requests))
    silence = longest_silence(requests, backend)
    saw = f"passed over at most {silence} times in a row in {len(requests)} requests"
    return decided(silence <= limit, "never_ejected", expected, saw, n=len(requests), silence=silence)


@judge
def leaves_after(
    history: History,
    pool: Pool,
    backend: str,
    probes: Sequence[Probe],
    failures: int,
    *,
    end: float,
    grace: float,
    late: int = 0,
    workers: int = 1,
) -> Verdict:
    """Exactly `failures` failed probes in a row take the backend out: none of its requests later, its turn kept before.

    `probes` begin with the first that was to fail. `grace` is the time that a request already chosen may still take.
    """
    name, limit = "leaves_after", silence_limit(pool, backend, workers) + late
    expected = f"{backend} leaves at failed probe {failures} in a row, and not one sooner"
    run = _streak(probes, passed=False, length=failures)
    if run is None:
        return inconclusive(name, expected, f"only {len(probes)} probes were seen, no {failures} failures in a row")
    names = {b.name for b in pool.backends}
    last = run[-1].ended
    before = _requests(history, names, run[-2].ended if failures > 1 else run[0].began - 10 * grace, run[-1].began)
    if failures > 1 and len(before) > limit and longest_silence(before, backend) > limit:
        saw = f"passed over {longest_silence(before, backend)} times in a row before failed probe {failures}"
        return decided(False, name, expected, saw, failed_probes=failures)
    after = _requests(history, names, last + grace, end)
    still = [a for a in after if a.backend == backend]
    if still:
        saw = f"{len(still)} requests there later, the first {still[0].at - last:.3f} s after failed probe {failures}"
        ids = tuple(a.id for a in still[:10] if a.id)
        return decided(False, name, expected, saw, ids=ids, failed_probes=failures)
    if len(after) <= limit or (failures > 1 and len(before) <= limit):
        few = min(len(after), len(before) if failures > 1 else len(after))
        return inconclusive(name, expected, f"only {few} requests overlapped, more than {limit} are needed")
    saw = f"its last request before failed probe {failures} was known, none in {len(after)} later"
    return decided(True, name, expected, saw, failed_probes=failures, n=len(before) + len(after))


@judge
def returns_after(
    history: History,
    pool: Pool,
    backend: str,
    probes: Sequence[Probe],
    successes: int,
    *,
    end: float,
    grace: float,
    late: int = 0,
    workers: int = 1,
) -> Verdict:
    """Exactly `successes` good probes in a row bring the backend back: no request before, its turn afterwards.

    `probes` begin while the backend is out.
    """
    name, limit = "returns_after", silence_limit(pool, backend, workers, ramping=pool.slow_start > 0) + late
    expected = f"{backend} returns at good probe {successes} in a row, and not one sooner"
    run = _streak(probes, passed=True, length=successes)
    if run is None:
        return inconclusive(name, expected, f"only {len(probes)} probes were seen, no {successes} good ones in a row")
    names = {b.name for b in pool.backends}
    # The balancer cannot know of a result before the backend has given it: no grace on this side.
    early = [a for a in _requests(history, names, probes[0].began + grace, run[-1].ended) if a.backend == backend]
    if early:
        saw = f"{len(early)} requests there before good probe {successes}"
        return decided(False, name, expected, saw, ids=tuple(a.id for a in early[:10] if a.id))
    after = _requests(history, names, run[-1].ended + grace, end)
    if len(after) <= limit:
        return inconclusive(name, expected, f"only {len(after)} requests overlapped, more than {limit} are needed")
    silence = next((i for i, a in enumerate(after) if a.backend == backend), len(after))
    saw = f"passed over {silence} times after good probe {successes}" if silence > limit else "back in its turn"
    return decided(silence <= limit, name, expected, saw, n=len(after), good_probes=successes)


def _streak(probes: Sequence[Probe], *, passed: bool, length: int) -> list[Probe] | None:
    """The first run of that many results of one kind."""
    run: list[Probe] = []
    for probe in probes:
        run = [*run, probe] if probe.passed is passed else []
        if len(run) == length:
            return run
    return None


@judge
def stays_out(history: History, pool: Pool, backend: str, start: float, end: float, *, workers: int = 1) -> Verdict:
    """No request at this backend in (start, end], while the others went on."""
    limit = silence_limit(pool, backend, workers)
    requests = _requests(history, {b.name for b in pool.backends}, start, end)
    there = [a for a in requests if a.backend == backend]
    expected = f"no request at {backend}"
    if there:
        saw = f"{len(there)} of {len(requests)} there"
        return decided(False, "stays_out", expected, saw, ids=tuple(a.id for a in there[:10] if a.id))
    if len(requests) <= limit:
        return inconclusive("stays_out", expected, f"only {len(requests)} requests overlapped", n=len(requests))
    return decided(True, "stays_out", expected, f"none in {len(requests)}", n=len(requests))


@judge
def probe_shape(history: History, backend: str, check: HealthCheck, hosts: Collection[str]) -> Verdict:
    """Every request without an id at this backend is a probe as declared: method, path, Host, and there are some."""
    expected = f"probes {check.method} {check.path} with Host {' or '.join(sorted(hosts))}"
    seen = [a for a in history.arrivals if a.backend == backend and a.id is None]
    for arrival in seen:
        host = field(fields(arrival.head), "host") or "(none)"
        if (arrival.method, arrival.target) != (check.method, check.path) or host.lower() not in hosts:
            saw = f"{arrival.method} {arrival.target} with Host {host}"
            return decided(False, "probe_shape", expected, saw, rests_on="counts", n=len(seen))
    if not seen:
        return decided(False, "probe_shape", expected, "no probe at all", n=0)
    return decided(True, "probe_shape", expected, f"{len(seen)} such", n=len(seen))


@judge
def probes_at_their_port(history: History, backend: str, check: HealthCheck) -> Verdict:
    """This backend was probed on the port of its checks, and nothing of the shape of a probe came to its other one."""
    seen = [a for a in history.arrivals if a.backend == backend and a.id is None]
    there = [a for a in seen if a.probe]
    expected = f"probes on port {check.port}, and none elsewhere"
    saw = f"{len(there)} there, {len(seen) - len(there)} elsewhere"
    return decided(len(there) == len(seen) > 0, "probes_at_their_port", expected, saw, n=len(seen))


@judge
def keeps_pace(probes: Sequence[Probe], check: HealthCheck, slack: float) -> Verdict:
    """The median time between two probes is the interval (from start to start, or from result to start)."""
    expected = f"a probe every {check.interval:g} s"
    if len(probes) < 5:
        return inconclusive("keeps_pace", expected, f"only {len(probes)} probes were seen")
    if slack > check.interval / 4:
        return inconclusive("keeps_pace", expected, f"slack {slack:.3f} s is more than a quarter of the interval")
    gaps = sorted(b.began - a.began for a, b in pairwise(probes))
    took = sorted(p.ended - p.began for p in probes)
    median, longest_answer = gaps[len(gaps) // 2], took[len(took) // 2]
    ok = check.interval - slack <= median <= check.interval + longest_answer + slack
    saw = f"a median of {median:.3f} s over {len(gaps)} gaps (from {gaps[0]:.3f} to {gaps[-1]:.3f})"
    return decided(ok, "keeps_pace", expected, saw, n=len(gaps), median_s=round(median, 4), slack_s=round(slack, 4))


@judge
def probes_no_more_often(probes: Sequence[Probe], check: HealthCheck, slack: float) -> Verdict:
    """No more probes than one an interval over the whole time, whatever single gaps are, and one for the edge."""
    expected = f"no more than a probe every {check.interval:g} s"
    if len(probes) < 5:
        return inconclusive("probes_no_more_often", expected, f"only {len(probes)} probes were seen")
    lasted = probes[-1].began - probes[0].began
    most = int((lasted + slack) / check.interval) + 2
    saw = f"{len(probes)} in {lasted:.3f} s"
    return decided(len(probes) <= most, "probes_no_more_often", expected, saw, n=len(probes), most=most)


@judge
def waits_for_first_result(history: History, pool: Pool, first_good: dict[str, float]) -> Verdict:
    """No backend got a request before it had given its first good probe."""
    expected = "no request at a backend before its first good probe"
    early = [
        a
        for a in _requests(history, {b.name for b in pool.backends}, -math.inf, math.inf)
        if a.at < first_good.get(a.backend, math.inf)
    ]
    saw = f"{len(early)} requests before, the first at {early[0].backend}" if early else "none"
    return decided(not early, "waits_for_first_result", expected, saw, ids=tuple(a.id for a in early[:10] if a.id))


@judge
def refuses_all(exchanges: Sequence[Exchange], allowed: Collection[int]) -> Verdict:
    """With nobody usable each request gets the balancer's own error."""
    expected = f"the balancer's own {' or '.join(map(str, sorted(allowed)))} for each request"
    wrong = [e for e in exchanges if e.backend is not None or e.status not in allowed or not e.complete]
    if not exchanges:
        return inconclusive("refuses_all", expected, "no request at all")
    first = wrong[0] if wrong else exchanges[0]
    saw = f"{len(wrong)} of {len(exchanges)} otherwise, the first: " if wrong else f"{len(exchanges)} times "
    saw += f"{first.status or first.error}" + (f" by {first.backend}" if first.backend else "")
    return decided(not wrong, "refuses_all", expected, saw, ids=tuple(e.id for e in wrong[:10]), n=len(exchanges))


def results_of(history: History, backend: str, check: HealthCheck, *, since: float = -math.inf) -> list[Probe]:
    """The active checks that a backend has seen, of whichever kind is declared."""
    if check.protocol is Protocol.TCP:
        return tcp_probes_of(history, backend, since=since)
    return probes_of(history, backend, check, since=since)


def grace_of(check: HealthCheck, slack: float) -> float:
    """What a result may take to come into effect: slack, and a quarter of the smaller of interval and timeout."""
    return slack + min(check.interval, check.timeout) / 4


def late_for(pool: Pool, slack: float, workers: int = 1) -> int:
    """How many requests may be recorded out of turn: those that come while a backend's process is late by the slack."""
    return math.ceil(rate_for(pool, workers) * slack)


def rate_for(pool: Pool, workers: int = 1) -> float:
    """Requests a second at which being passed over shows well within one interval."""
    assert pool.health_check is not None
    worst = max(silence_limit(pool, b.name, workers) for b in pool.backends)
    return min(500.0, 4 * worst / pool.health_check.interval)
