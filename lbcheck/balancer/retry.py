"""May a failed try be repeated? RFC 9110 section 9.2.2 and RFC 9112 section 9.3.1."""

from __future__ import annotations

from dataclasses import dataclass

from lbcheck.spec.model import Retries

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that failed. `what`: connect | reset | timeout | a status code as a string.

    `sent`: at least one byte of the request may have been read by the backend. `repeats`: tries made before this one.
    `replayable`: the whole request body is still at hand. `answering`: the client has been sent a part of an answer.
    `reused`: the connection had served another request before, and closed without a byte of an answer.
    """

    what: str
    method: str
    sent: bool
    repeats: int
    replayable: bool
    answering: bool = False
    reused: bool = False


def may_retry(retries: Retries, attempt: Attempt) -> bool:
    """As declared, and only what can be repeated safely and whole."""
    if attempt.answering or not attempt.replayable:
        return False
    if stale_connection(attempt):
        return True
    if attempt.sent and attempt.method not in IDEMPOTENT and not retries.non_idempotent:
        return False
    return attempt.what in retries.on and attempt.repeats < retries.attempts


def stale_connection(attempt: Attempt) -> bool:
    """The backend closed a kept connection just as it was used again: no fault of the backend's, so an idempotent
    request is sent once more even where no retries are declared (RFC 9112 section 9.3.1 allows exactly this)."""
    return attempt.reused and attempt.what == "reset" and attempt.repeats == 0 and attempt.method in IDEMPOTENT
