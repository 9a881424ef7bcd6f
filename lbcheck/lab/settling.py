"""When backends are settled: every one has had the good probes that its pool's thresholds ask for (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from lbcheck.history import Disconnected, History
from lbcheck.spec.model import HealthCheck, Pool, Protocol, Spec

BOOT_S = 1.0  # for the first probe to begin


def checked_pools(spec: Spec) -> Iterator[tuple[Pool, HealthCheck]]:
    for pool in spec.pools:
        if pool.health_check is not None:
            yield pool, pool.health_check


def good_probes(history: History, backend: str, check: HealthCheck) -> int:
    """Probes of this backend that it answered as the check wants; for a TCP check connections without a byte.

    A backend need not see a TCP check: HAProxy resets the connection before the handshake is over, and then no accept
    returns it. What is not seen is waited for as long as it may take (`settle_within_s`).
    """
    if check.protocol is Protocol.TCP:
        return sum(end.backend == backend and end.bytes_in == 0 for end in history.of(Disconnected))
    answers = (history.answered_of(probe) for probe in history.probes if probe.backend == backend)
    return sum(a is not None and a.status is not None and check.accepts(a.status) for a in answers)


def unsettled(spec: Spec, history: History) -> list[str]:
    """Backends that lack good probes, as "pool/backend (1 of 3 HTTP checks)"."""
    lacking = []
    for pool, check in checked_pools(spec):
        for backend in pool.backends:
            had = good_probes(history, backend.name, check)
            if had < check.settle_probes:
                lacking.append(
                    f"{pool.name}/{backend.name} ({had} of {check.settle_probes} {check.protocol.value} checks)"
                )
    return lacking


def settle_within_s(spec: Spec) -> float:
    """Seconds in which every backend must have had its probes, without slack."""
    return BOOT_S + max((c.settle_probes * (c.interval + c.timeout) for _, c in checked_pools(spec)), default=0.0)
