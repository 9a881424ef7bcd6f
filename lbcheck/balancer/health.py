"""Health: streaks and thresholds of probes, passive ejection, and who is in service because of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import HealthCheck, PassiveHealth, Protocol


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe met. `status` None: no whole head of an answer.

    `error`: refused | reset | timeout | garbage | closed.
    """

    status: int | None = None
    error: str | None = None


# --- active ----------------------------------------------------------------------------------------------------------


def initial(check: HealthCheck | None) -> bool | None:
    """The health of a backend that nobody has probed."""
    if check is None:
        return True
    return {"healthy": True, "unhealthy": False, "unknown": None}[check.initial]


def passed(check: HealthCheck, result: ProbeResult) -> bool:
    """A TCP check wants a connection, an HTTP check one of its success codes; no redirect is followed."""
    if result.error is not None:
        return False
    if check.protocol in (Protocol.TCP, Protocol.TLS):
        return True
    return result.status is not None and check.accepts(result.status)


def observe(backend: BackendState, check: HealthCheck, passed: bool, now: float) -> bool:
    """Takes one result; True if the backend changed its state. Streaks are of consecutive results only."""
    if passed:
        backend.successes, backend.failures = backend.successes + 1, 0
    else:
        backend.successes, backend.failures = 0, backend.failures + 1
    if backend.healthy is None:  # the first result decides
        rise, fall = passed, not passed
    else:
        rise = not backend.healthy and backend.successes >= check.healthy_threshold
        fall = backend.healthy and backend.failures >= check.unhealthy_threshold
    if rise:
        mark_up(backend, now)
    elif fall:
        mark_down(backend)
    return rise or fall


def mark_up(backend: BackendState, now: float) -> None:
    backend.healthy = True
    if backend.ramps:
        backend.ramps, backend.rising_since = False, now


def mark_down(backend: BackendState) -> None:
    """A backend that was in service ramps when it returns; one that never was (initial unknown) does not."""
    backend.ramps = backend.ramps or backend.healthy is True
    backend.healthy = False


def probe_request(check: HealthCheck, authority: str) -> bytes:
    """An HTTP/1.1 probe, one connection each (as ALB does); no bytes for a TCP check."""
    if check.protocol in (Protocol.TCP, Protocol.TLS):
        return b""
    lines = (
        f"{check.method} {check.path} HTTP/1.1",
        f"Host: {check.host or authority}",
        "User-Agent: lbcheck-reference-probe",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


# --- passive ---------------------------------------------------------------------------------------------------------


def counts_as_failure(passive: PassiveHealth, result: str) -> bool:
    """Is this end of a try one of `on`: connect | reset | timeout | a status code | a class such as 5xx?"""
    if result in passive.on:
        return True
    return result.isdigit() and f"{result[0]}xx" in passive.on


def ended(pool: PoolState, passive: PassiveHealth, backend: BackendState, failed: bool, now: float) -> bool:
    """Takes the end of one try; True if its failures have reached the count."""
    if backend.ejected_until > now:
        return False
    if backend.ejected_until != -inf:
        end_ejection(backend, pool.spec.slow_start)
    if not failed:
        backend.passive_failures = 0
        return False
    return _too_many(passive, backend, now)


def _too_many(passive: PassiveHealth, backend: BackendState, now: float) -> bool:
    if passive.count == "consecutive":
        backend.passive_failures += 1
        return backend.passive_failures >= passive.failures
    times = backend.failure_times
    times.append(now)
    while len(times) > passive.failures or times[0] < now - passive.within:
        times.popleft()
    return len(times) >= passive.failures


def may_eject(pool: PoolState, passive: PassiveHealth, now: float) -> bool:
    """Would one more stay within `max_ejected`, a share of all the pool's backends, rounded down?"""
    ejected = sum(b.ejected_until > now for b in pool.backends)
    return ejected + 1 <= passive.max_ejected * len(pool.backends) + 1e-9


def end_ejection(backend: BackendState, slow_start: float) -> None:
    """Its time is over: it begins anew, slowly where slow start is declared."""
    if slow_start > 0:
        backend.rising_since = backend.ejected_until
    backend.ejected_until = -inf
    backend.passive_failures = 0
    backend.failure_times.clear()


# --- in service ------------------------------------------------------------------------------------------------------


def in_service(backend: BackendState) -> bool:
    """May it get new work: healthy, not ejected, not draining, of a weight above 0? (`refresh` ends ejections.)"""
    return backend.healthy is True and not backend.draining and backend.weight > 0 and backend.ejected_until == -inf


def sound(backend: BackendState) -> bool:
    """Healthy and not ejected, whatever its weight and state."""
    return backend.healthy is True and backend.ejected_until == -inf


def ramp_new(backend: BackendState, now: float) -> None:
    """A backend that comes while others serve ramps from its first healthy moment."""
    if backend.healthy:
        backend.rising_since = now
    else:
        backend.ramps = True


def all_known_bad(pool: PoolState) -> list[BackendState]:
    """Who gets traffic when the pool fails open: everybody who could, once each is known to be out. Primaries first."""
    could = [b for b in pool.backends if not b.draining and b.weight > 0]
    if any(b.healthy is None for b in could):
        return []
    return [b for b in could if not b.backup] or could


def refresh(pool: PoolState, now: float) -> None:
    """Ends ejections that are over; says until when that answer holds, and whether somebody ramps."""
    slow_start = pool.spec.slow_start
    changes_at = inf
    ramping = False
    for backend in pool.backends:
        if backend.ejected_until != -inf:
            if backend.ejected_until <= now:
                end_ejection(backend, slow_start)
            else:
                changes_at = min(changes_at, backend.ejected_until)
                continue  # who is out does not ramp; it begins anew when it returns
        if slow_start > 0 and now < backend.rising_since + slow_start:
            ramping = True
            changes_at = min(changes_at, backend.rising_since + slow_start)
    if pool.ramping and not ramping:
        pool.forget_turns()
    pool.ramping = ramping
    pool.changes_at = changes_at
