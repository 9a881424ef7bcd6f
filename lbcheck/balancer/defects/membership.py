"""ALG and HLT: who may be chosen."""

# ruff: noqa: ARG002  (a wrong decision looks at less)

from __future__ import annotations

from collections.abc import Collection
from math import inf

from lbcheck.balancer.decisions import Decisions, Nobody
from lbcheck.balancer.defects.catalogue import defect
from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import HealthCheck


@defect(
    "backup-always-used",
    "ALG",
    "Backups take part while primaries are up.",
    "HAProxy: https://github.com/haproxy/haproxy/issues/2729, nginx: https://github.com/nginx/nginx/issues/245",
)
class BackupAlwaysUsed(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        return [b for b in pool.backends if self.in_service(b)] or super().candidates(pool, now)


@defect(
    "backup-never-used",
    "ALG",
    "Backups are left out even when no primary is up.",
    "1Panel: https://github.com/1Panel-dev/1Panel/issues/10412 (backup with a policy that knows none)",
)
class BackupNeverUsed(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        return [b for b in super().candidates(pool, now) if not b.backup]


@defect(
    "backups-look-at-health-alone",
    "ALG",
    "Backups stay out while a primary is healthy, also where none of them may be used: ejected, or draining.",
    "a condition that was written for active health, before there was ejection or draining",
)
class BackupsLookAtHealthAlone(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        chosen = super().candidates(pool, now)
        healthy = any(b.healthy and b.weight > 0 and not b.backup for b in pool.backends)
        return [b for b in chosen if not b.backup] if healthy else chosen


@defect(
    "dead-tried-now-and-then",
    "HLT",
    "One request in ten still goes to a backend that is out.",
    "Tyk: https://github.com/TykTechnologies/tyk/issues/825 (traffic to a dead host under concurrency)",
)
class DeadTriedNowAndThen(Decisions):
    def choose(
        self, pool: PoolState, request: Request, now: float, tried: Collection[str] = ()
    ) -> BackendState | Nobody:
        sick = [b for b in pool.backends if b.healthy is False]
        return sick[0] if sick and self.rng.random() < 0.1 else super().choose(pool, request, now, tried)


@defect(
    "initial-state-ignored",
    "HLT",
    "Every backend counts as healthy until a probe says otherwise, whatever is declared.",
    "Traefik: https://github.com/traefik/traefik/issues/4544, gobetween: https://github.com/yyyar/gobetween/issues/251",
)
class InitialStateIgnored(Decisions):
    def initial_health(self, check: HealthCheck | None) -> bool | None:
        return True


@defect(
    "initial-always-unhealthy",
    "HLT",
    "Every backend has to earn `healthy_threshold` good probes first, whatever is declared.",
    "ALB's documentation says that one good probe is enough for a new target; Traefik: #4544 wants the reverse",
)
class InitialAlwaysUnhealthy(Decisions):
    def initial_health(self, check: HealthCheck | None) -> bool | None:
        return check is None


@defect(
    "bad-first-result-ignored",
    "HLT",
    "With `initial: unknown` a failed first probe decides nothing, and the first good one brings the backend in.",
    "the shortcut for new targets, taken also by those that were found bad",
)
class BadFirstResultIgnored(Decisions):
    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        if passed or backend.healthy is not None:
            super().probed(pool, backend, passed, now)


@defect(
    "fails-open-uninvited",
    "HLT",
    "With every backend out, traffic goes to all of them where it is to be refused.",
    "Envoy's panic threshold: https://github.com/envoyproxy/envoy/issues/2671",
)
class FailsOpenUninvited(Decisions):
    def fails_open(self, pool: PoolState) -> bool:
        return True


@defect(
    "fail-open-refuses",
    "HLT",
    "With every backend out, traffic is refused where it is to go to all of them.",
    "HAProxy without `option allbackups`, put in place of an ALB",
)
class FailOpenRefuses(Decisions):
    def fails_open(self, pool: PoolState) -> bool:
        return False


@defect(
    "fail-open-takes-backups",
    "HLT",
    "A pool that fails open sends traffic to its backups as well as to its primaries.",
    "panic that looks at all hosts, and was written before there were priorities",
)
class FailOpenTakesBackups(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        chosen = super().candidates(pool, now)
        if not chosen or any(self.in_service(b) for b in pool.backends):
            return chosen
        return [b for b in pool.backends if not b.draining and b.weight > 0]


@defect(
    "fail-open-takes-weight-0",
    "HLT",
    "A pool that fails open sends traffic to backends of weight 0 as well.",
    "a list of last resort that is taken from all members, where the usual one has been filtered",
)
class FailOpenTakesWeightZero(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        chosen = super().candidates(pool, now)
        known_bad = bool(chosen) and not any(self.in_service(b) for b in pool.backends)
        return [b for b in pool.backends if b in chosen or b.weight == 0] if known_bad else chosen


@defect(
    "fail-open-takes-draining",
    "HLT",
    "A pool that fails open sends traffic to backends that drain as well.",
    "as for weights: who was told to leave is back in the list of last resort",
)
class FailOpenTakesDraining(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        chosen = super().candidates(pool, now)
        known_bad = bool(chosen) and not any(self.in_service(b) for b in pool.backends)
        return [b for b in pool.backends if b in chosen or b.draining] if known_bad else chosen


@defect(
    "fail-open-while-unknown",
    "HLT",
    "A pool fails open before its backends' first results, as if unknown were unhealthy.",
    "two states of health where there are three: not yet healthy is unhealthy, and all of them are",
)
class FailOpenWhileUnknown(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        chosen = super().candidates(pool, now)
        could = [b for b in pool.backends if not b.draining and b.weight > 0]
        return chosen or (could if self.fails_open(pool) else [])


@defect(
    "fail-open-before-backups",
    "HLT",
    "A pool fails open as soon as its primaries are out, though a backup is well.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/2671 (panic in one priority while another is healthy)",
)
class FailOpenBeforeBackups(Decisions):
    def candidates(self, pool: PoolState, now: float) -> list[BackendState]:
        chosen = super().candidates(pool, now)
        primaries = [b for b in pool.backends if not b.backup and not b.draining and b.weight > 0]
        return primaries if self.fails_open(pool) and primaries and all(b.backup for b in chosen) else chosen


@defect(
    "ejected-never-returns",
    "ALG",
    "A backend that has been taken out stays out.",
    "keepalived: https://github.com/acassen/keepalived/pull/381 (never put back up)",
)
class EjectedNeverReturns(Decisions):
    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        was_in_service = backend.healthy is False and backend.ramps
        super().probed(pool, backend, passed and not was_in_service, now)

    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        super().ended(pool, backend, now, result, latency)
        if backend.ejected_until > now:
            backend.ejected_until = inf


@defect(
    "recovery-never-seen",
    "FLO",
    "Once every backend has been out the pool is given up: none of them returns.",
    "keepalived: https://github.com/acassen/keepalived/pull/2428 (sorry server and real servers)",
)
class RecoveryNeverSeen(Decisions):
    def probed(self, pool: PoolState, backend: BackendState, passed: bool, now: float) -> None:
        given_up = all(b.healthy is False and b.ramps for b in pool.backends)
        super().probed(pool, backend, passed and not given_up, now)


@defect(
    "passive-never-ejects",
    "HLT",
    "Failures of real traffic take nobody out.",
    "nginx with one server in the group: `max_fails` is ignored there, as its manual says",
)
class PassiveNeverEjects(Decisions):
    def counts_as_failure(self, pool: PoolState, result: str) -> bool:
        return False


@defect(
    "passive-counts-everything",
    "HLT",
    "Every error status counts as a failure, whatever `on` says.",
    "a 404 storm that ejects every host; Envoy counts 5xx alone for this reason",
)
class PassiveCountsEverything(Decisions):
    def counts_as_failure(self, pool: PoolState, result: str) -> bool:
        return (result.isdigit() and result >= "400") or super().counts_as_failure(pool, result)


@defect(
    "passive-ejects-at-once",
    "HLT",
    "The first failure of real traffic ejects.",
    "nginx's default `max_fails=1`, where more are declared",
)
class PassiveEjectsAtOnce(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        super().ended(pool, backend, now, result, latency)
        passive = pool.spec.passive_health
        if passive and backend.ejected_until < now and self.counts_as_failure(pool, result):
            backend.ejected_until = now + passive.ejection
            pool.stale()


@defect(
    "ejection-share-ignored",
    "HLT",
    "More backends are ejected than `max_ejected` allows.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/26877",
)
class EjectionShareIgnored(Decisions):
    def may_eject(self, pool: PoolState, now: float) -> bool:
        return True


@defect(
    "ejection-cut-short",
    "HLT",
    "An ejected backend is back after half of the declared time.",
    "a timer in the wrong unit or scale; compare https://github.com/envoyproxy/envoy/issues/37602",
)
class EjectionCutShort(Decisions):
    def ended(
        self, pool: PoolState, backend: BackendState, now: float, result: str, latency: float | None = None
    ) -> None:
        before = backend.ejected_until
        super().ended(pool, backend, now, result, latency)
        if backend.ejected_until != before and backend.ejected_until > now:
            backend.ejected_until = now + (backend.ejected_until - now) / 2


@defect(
    "ejection-keeps-window",
    "HLT",
    "What a backend failed before an ejection still counts against it afterwards.",
    "Envoy: https://github.com/envoyproxy/envoy/issues/40697 (counts carried over an ejection), 18950 (the fix)",
)
class EjectionKeepsWindow(Decisions):
    def refresh(self, pool: PoolState, now: float) -> None:
        kept = [(b, b.passive_failures, tuple(b.failure_times)) for b in pool.backends]
        super().refresh(pool, now)
        for backend, failures, times in kept:
            backend.passive_failures = failures
            backend.failure_times.extend(times[len(backend.failure_times) :])
