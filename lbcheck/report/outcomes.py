"""Outcomes as a reader meets them: in order of weight, each with its word, and what it means for the whole."""

from __future__ import annotations

from dataclasses import dataclass

from lbcheck.verdict import Outcome


@dataclass(frozen=True, slots=True)
class Look:
    """`key` names the colour and the icon on the page; `meaning` is one sentence without a final stop."""

    outcome: str
    key: str
    meaning: str


LOOKS = (
    Look(Outcome.BROKEN.value, "broken", "tested, and the claim was not kept"),
    Look(Outcome.STALE.value, "stale", "in the baseline, but it holds now: remove the entry"),
    Look(Outcome.HARNESS_FAULT.value, "harness", "it fails without the balancer too: backends, network or machine"),
    Look(Outcome.INCONCLUSIVE.value, "inconclusive", "could not be decided; never counted as passed"),
    Look(Outcome.NOT_RUN.value, "not-run", "planned, but the run ended before"),
    Look(Outcome.UNSUPPORTED.value, "unsupported", "the target or the lab cannot do what the claim needs"),
    Look(Outcome.KNOWN.value, "known", "in the baseline: an expected failure"),
    Look(Outcome.HOLDS.value, "holds", "tested and kept"),
)
FAILURES = frozenset({Outcome.BROKEN.value, Outcome.STALE.value, Outcome.HARNESS_FAULT.value})
_BY_OUTCOME = {look.outcome: look for look in LOOKS}

AREAS = {
    "ALG": "Algorithms and distribution",
    "HLT": "Health checks",
    "FLO": "Failover, retries and drain",
    "STK": "Stickiness",
    "RTE": "Routing rules",
    "HTT": "HTTP and headers",
    "TLS": "TLS",
    "UPG": "WebSocket, HTTP/2 and gRPC",
    "L4": "TCP and UDP",
    "CHS": "Chaos",
    "LOD": "Load",
}


def look(outcome: str) -> Look:
    """How this outcome looks; a word that is not ours looks like one that did not run."""
    return _BY_OUTCOME.get(outcome, Look(outcome, "not-run", "an outcome that this report does not know"))


def weight(outcome: str) -> int:
    """The heavier the smaller: a sorting key."""
    return next((n for n, known in enumerate(LOOKS) if known.outcome == outcome), len(LOOKS))
