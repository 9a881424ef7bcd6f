"""A plausible run of a balancer that does not exist; `python -m tests.report.sample_run FOLDER` writes its report."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lbcheck.history import (
    Act,
    Answered,
    Arrival,
    Event,
    Exchange,
    FaultBegan,
    FaultEnded,
    History,
)
from lbcheck.report import write
from lbcheck.report.model import CheckRecord, Coverage, Difference, Directive, Environment, Judgement, Part, Run
from lbcheck.report.timeline import timeline_of
from lbcheck.spec.model import Backend, Forward, HealthCheck, Listener, Pool, Spec

HEALTH = HealthCheck(path="/health", interval=1.0, timeout=0.5, healthy_threshold=2, unhealthy_threshold=3)
POOL = Pool("api", (Backend("api-1"), Backend("api-2"), Backend("api-3")), health_check=HEALTH)
SPEC = Spec((Listener("public", Forward((("api", 1),))),), (POOL,))
NAMES = tuple(backend.name for backend in POOL.backends)

LINK = "https://www.rfc-editor.org/rfc/rfc9110.html#section-9.2.2"
COMMAND = "pytest --lb-target=examplelb"


# --- histories -------------------------------------------------------------------------------------------------------


def request(id: str, at: float, backend: str | None, *, error: str | None = None, status: int = 200) -> Iterator[Event]:
    """One request; without a backend it never arrived, with an error it has no answer."""
    signed = (("Lbcheck-Backend", backend), ("Lbcheck-Id", id)) if backend else ()
    if backend is not None:
        yield Arrival(
            backend, 7, int(id.rpartition("-")[2]), at + 0.001, id, "GET", "/", b"GET / HTTP/1.1\r\n\r\n", "127.0.0.1:1"
        )
    answer: dict[str, Any] = {"error": error} if error else {"status": status, "headers": signed, "complete": True}
    yield Exchange(id, "public", "GET", "/", "127.0.0.1", id, 0, at, done=at + 0.004, **answer)


def probe(backend: str, number: int, at: float, *, status: int = 200) -> Iterator[Event]:
    yield Arrival(backend, 1, number, at, None, "GET", "/health", b"", "127.0.0.1:1", probe=True)
    yield Answered(backend, 1, number, at + 0.002, "answered", status)


def outage(seed: int = 7, *, stubborn: bool = False) -> History:
    """Twelve seconds at 25 requests a second in which api-2 fails its probes; a stubborn balancer goes on using it."""
    rng = random.Random(seed)
    events: list[Event] = [
        FaultBegan(3.0, "fail-probes", "api-2", witnessed=True),
        FaultEnded(8.0, "fail-probes", "api-2"),
    ]
    events += [Act(0.5, "settled", detail="every backend has had 3 good probes"), Act(11.5, "traffic stops")]
    for n, name in enumerate(NAMES):
        for number in range(12):
            at = 0.3 * n + number + rng.uniform(0, 0.01)
            sick = name == "api-2" and 3.0 <= at < 8.0
            events += probe(name, number, at, status=503 if sick else 200)
    for number in range(300):
        at = 0.5 + number / 25 * 0.9
        out = 5.3 <= at < 9.3 and not stubborn
        name = NAMES[number % 3] if not out else ("api-1", "api-3")[number % 2]
        lost = stubborn and name == "api-2" and 5.3 <= at < 8.0
        events += request(f"c-{number}", at, name, error="reset" if lost and number % 4 == 0 else None)
    return History(sorted(events, key=lambda event: event.at))


def one_by_one(names: list[str]) -> History:
    """Requests one after another, each to its backend."""
    return History(e for number, name in enumerate(names) for e in request(f"c-{number}", number * 0.004, name))


# --- a plausible run -------------------------------------------------------------------------------------------------


def record(id: str, claim: str, outcome: str = "holds", **values: Any) -> CheckRecord:
    subject = values.pop("subject", "round-robin/api")
    return CheckRecord(
        id,
        f"{id}[{subject}]",
        claim,
        id.partition("-")[0],
        values.pop("level", "core"),
        outcome,
        subject=subject,
        spec_link=values.pop("spec_link", LINK),
        again=f"{COMMAND} --lb-only={id} --lb-seed=7",
        seed=7,
        duration_s=values.pop("duration_s", 0.42),
        **values,
    )


def kept(judgement: str, expected: str, saw: str, **figures: Any) -> Judgement:
    return Judgement(judgement, "holds", expected, saw, figures)


def broken(judgement: str, expected: str, saw: str, ids: tuple[str, ...] = (), **figures: Any) -> Judgement:
    return Judgement(judgement, "broken", expected, saw, figures, list(ids))


def sample() -> Run:
    """A run of a balancer that does not exist: what a report looks like, and no statement about any product."""
    return Run(
        "battery",
        "NOT CONFORMANT: 2 claims broken",
        1,
        Environment(
            "0.1.0",
            "3.11.2",
            "Linux 6.1 x86_64",
            2,
            "examplelb",
            "1.4.0",
            "sim",
            0.0,
            7,
            f"{COMMAND} --lb-seed=7",
            [],
            "bundled battery",
            "plain",
            ["pools.api.timeouts.connect: 1s", "pools.api.deregistration_delay: 30s"],
            ["pools.cold: the interval is shorter than the timeout, so a stalled probe delays the next one"],
        ),
        [*_algorithms(), *_health(), *_failover(), *_others()],
        ["STK-06", "RTE-14", "HTT-12"],
        "2026-11-23T09:00:00+00:00",
        48.3,
    )


def gate() -> Run:
    """The same as a gate: with coverage, differences and the lines of a configuration."""
    run = sample()
    line, other = "lb.cfg:12", "lb.yaml:9 says algorithm: weighted_round_robin; lb.cfg:12 says algorithm: random"
    records = [
        replace(
            r, configured_at=line, configured="spread random", through=["lb.cfg:13  spread with care"], differs=[other]
        )
        if r.id == "ALG-02"
        else r
        for r in run.checks
    ]
    coverage = Coverage(
        [
            Part("listeners.public", "listener", "lb.yaml:3", ["ALG-01", "ALG-02"]),
            Part("listeners.public.rules.10", "rule", "lb.yaml:7", [], ["HLT-07"]),
            Part("listeners.public.default", "default", "lb.yaml:8", ["ALG-01"]),
            Part("pools.api", "pool", "lb.yaml:10", ["ALG-01", "ALG-02"]),
            Part("pools.cold", "pool", "lb.yaml:20"),
        ],
        [
            Directive("lb.cfg:1", "listen 0.0.0.0:80", "exercised", "", [f"ALG-{n:02}" for n in range(1, 30)]),
            Directive("lb.cfg:3", "compress all", "not exercised", "lb.yaml cannot say it: answers are compressed"),
            Directive("lb.cfg:12", "spread random", "exercised", "", ["ALG-02"]),
            Directive("lb.cfg:14", "log everything", "no effect", "logs are no claim"),
        ],
    )
    found = [
        Difference("pools.api.algorithm", "algorithm: weighted_round_robin", "lb.yaml:9", "algorithm: random", line),
        Difference("pools.api.timeouts.queue", "queue: 5s", "lb.yaml:10", "queue: 1s", "lb.cfg:15", said=False),
    ]
    return replace(run, mode="gate", checks=records, coverage=coverage, differences=found)


def _algorithms() -> list[CheckRecord]:
    rotation = list(NAMES) * 20
    careless = random.Random(3).sample(NAMES, counts=(61, 30, 29), k=120)
    even, skewed = dict.fromkeys(NAMES, 20), {"api-1": 61, "api-2": 30, "api-3": 29}
    third = dict.fromkeys(NAMES, 1 / 3)
    turns = kept(
        "takes_turns", "a rotation over 3 backends", "60 requests in 20 equal rounds", n=60, counts=even, share=third
    )
    wrong = broken(
        "shares_exactly",
        "3:2:1 in every cycle of 6",
        "cycle 1 was 3:1:2, and 17 of 20 cycles differ",
        ("c-4", "c-5", "c-11"),
        n=120,
        cycles=20,
        counts=skewed,
        share={"api-1": 1 / 2, "api-2": 1 / 3, "api-3": 1 / 6},
    )
    spread = kept(
        "spreads",
        "even shares over 200 addresses",
        "the farthest is api-2 with 31.5 %",
        n=200,
        alpha=1e-6,
        detects=0.21,
    )
    return [
        record(
            "ALG-01",
            "Round robin gives every healthy backend its turn.",
            judgements=[turns],
            timeline=timeline_of(one_by_one(rotation), SPEC),
        ),
        record(
            "ALG-02",
            "Weighted round robin shares each cycle exactly by weight.",
            "broken",
            subject="weights/api",
            claimed_at="fixtures/specs/weights.yaml:9",
            claimed="algorithm: weighted_round_robin, weights 3, 2, 1",
            judgements=[wrong],
            timeline=timeline_of(one_by_one(careless), SPEC),
        ),
        record("ALG-06", "The same address reaches the same backend.", subject="source-hash/api", judgements=[spread]),
        record(
            "ALG-09",
            "The faster of two backends gets more.",
            "unsupported",
            subject="response-time/api",
            features=["least-response-time"],
            reason="examplelb 1.4 has no least-response-time algorithm",
        ),
    ]


def _health() -> list[CheckRecord]:
    good = kept(
        "ejected_after",
        "out after 3 failed probes in a row",
        "out after 3",
        failed_probes=3,
        earliest_s=2.0,
        latest_s=4.5,
    )
    return [
        record(
            "HLT-03",
            "A backend leaves after `unhealthy_threshold` failed probes in a row, and not one sooner.",
            subject="thresholds/api",
            judgements=[good],
            timeline=timeline_of(outage(), SPEC),
            duration_s=12.1,
        ),
        _stubborn(good),
        record(
            "HLT-07",
            "Probes keep the declared interval.",
            "inconclusive",
            subject="fast-probes/api",
            level="extended",
            core=False,
            reason="the machine was too slow: timers late by 0.071 s, a quarter of the interval is 0.05 s",
            judgements=[
                Judgement(
                    "interval_kept",
                    "inconclusive",
                    "a probe every 0.2 s",
                    "timers were late by 0.071 s, more than 0.05 s",
                    {"slack_s": 0.071},
                )
            ],
        ),
    ]


def _stubborn(good: Judgement) -> CheckRecord:
    history = outage(stubborn=True)
    events = timeline_of(history, SPEC)
    (began, ended, lane), *_ = events["expected_out"]
    late = [r for r in history.journeys() if r.backends == (NAMES[lane],) and began < r.arrivals[0].at < ended]
    unanswered = [r for r in late if r.answer == "none"]
    bad = broken(
        "no_request_after",
        f"no request from {began:.2f} s on, when the third probe in a row had failed",
        f"{len(late)} requests until {ended:.2f} s, {len(unanswered)} of them without an answer",
        tuple(r.exchange.id for r in unanswered),
        n=len(history.exchanges),
        late=len(late),
    )
    return record(
        "HLT-04",
        "A backend that failed its probes gets nothing until it is back.",
        "broken",
        subject="thresholds/api",
        claimed_at="fixtures/specs/thresholds.yaml:14",
        claimed="health_check: {interval: 1s, timeout: 0.5s, unhealthy_threshold: 3}",
        judgements=[good, bad],
        timeline=events,
        duration_s=12.1,
    )


def _failover() -> list[CheckRecord]:
    posts = kept("never_repeated", "each POST that was read arrives once", "40 of 40 arrived once", n=40)
    return [
        record(
            "FLO-01", "A POST that a backend has read is never sent again.", subject="retries/api", judgements=[posts]
        ),
        record(
            "FLO-05",
            "A killed backend costs a bounded window of errors.",
            "known",
            subject="retries/api",
            reason="baseline until 2027-01-31: fixed in examplelb 1.5",
        ),
        record(
            "FLO-09",
            "A draining backend finishes what it has and takes nothing new.",
            "unsupported",
            subject="drain/api",
            features=["drain"],
            reason="examplelb 1.4 cannot be told to drain while it runs",
        ),
    ]


def _others() -> list[CheckRecord]:
    claims = {
        "STK-01": "A client keeps its backend over a jar of 20 steps.",
        "STK-04": "A tampered cookie gets a normal answer and a new cookie.",
        "RTE-01": "The rule with the lowest priority that matches decides.",
        "RTE-03": "A path prefix matches by elements: `/api` is not `/apiary`.",
        "RTE-08": "A redirect keeps path and query.",
        "HTT-01": "Fields named by Connection stay behind.",
        "HTT-05": "After a HEAD the next answer on the connection is right.",
    }
    return [
        record(name, claim, judgements=[kept("agrees", "as declared", "as declared", n=20)])
        for name, claim in claims.items()
    ]


def main() -> None:
    for path in write(sample(), Path(sys.argv[1])).values():
        print(path)


if __name__ == "__main__":
    main()
