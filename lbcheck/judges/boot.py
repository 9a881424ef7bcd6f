"""What a backend counts as before its first probe, seen in the first requests of a balancer's life."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lbcheck.history import Exchange
from lbcheck.judges.answers import described
from lbcheck.judges.health import Probe
from lbcheck.judges.judging import judge
from lbcheck.spec.model import Seconds
from lbcheck.verdict import Verdict, decided, inconclusive


@judge
def serves_from_the_start(
    exchanges: Sequence[Exchange], probes: Mapping[str, Sequence[Probe]], failures: int
) -> Verdict:
    """While no backend has failed `failures` probes since the start, each request is answered by one of them."""
    expected = f"every request answered while no backend has failed {failures} probes"
    out = min((nth.ended for nth in (_nth_failed(seen, failures) for seen in probes.values()) if nth), default=math.inf)
    early = [e for e in exchanges if e.done is not None and e.done < out]
    wrong = [e for e in early if e.backend is None or not e.complete]
    if wrong:
        saw = f"{len(wrong)} of {len(early)} not answered by a backend, the first: {described(wrong[0])}"
        return decided(False, "serves_from_the_start", expected, saw, ids=tuple(e.id for e in wrong[:10]), n=len(early))
    if len(early) < len(probes):
        return inconclusive("serves_from_the_start", expected, f"only {len(early)} requests were over by then")
    return decided(True, "serves_from_the_start", expected, f"{len(early)} answered", n=len(early))


@judge
def first_result_decides(
    exchanges: Sequence[Exchange], probes: Mapping[str, Sequence[Probe]], grace: Seconds
) -> Verdict:
    """From `grace` seconds after every backend's first good probe until a second one has its result: all answered."""
    expected = "every request answered once each backend has passed its first probe, before any has passed a second"
    if not probes or any(len(seen) < 2 or not seen[0].passed for seen in probes.values()):
        return inconclusive("first_result_decides", expected, "a backend did not pass its first of two probes")
    begin = max(seen[0].ended for seen in probes.values()) + grace
    end = min(seen[1].ended for seen in probes.values())
    within = [e for e in exchanges if e.invoked > begin and e.done is not None and e.done < end]
    wrong = [e for e in within if e.backend is None or not e.complete]
    if wrong:
        saw = f"{len(wrong)} of {len(within)} not answered by a backend, the first: {described(wrong[0])}"
        return decided(False, "first_result_decides", expected, saw, ids=tuple(e.id for e in wrong[:10]), n=len(within))
    if len(within) < len(probes):
        return inconclusive("first_result_decides", expected, f"only {len(within)} requests between the two")
    return decided(True, "first_result_decides", expected, f"{len(within)} answered", n=len(within))


def _nth_failed(probes: Sequence[Probe], count: int) -> Probe | None:
    failed = [probe for probe in probes if not probe.passed]
    return failed[count - 1] if len(failed) >= count else None
