"""How requests are passed on (ngx_http_proxy_module): times, repeats. A pool of the spec has one way for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lbcheck.importers.directive import Directive, Ledger
from lbcheck.importers.nginx.levels import Levels
from lbcheck.importers.nginx.units import more_than_none, whole
from lbcheck.spec.model import Retries

COUNTED = ("429", "500", "502", "503", "504")  # unsuccessful attempts where they are retried ("proxy_next_upstream")
STATUSES = ("403", "404", *COUNTED)
TIMEOUT_S = 60.0  # of connecting, reading and sending, by themselves
UNBOUNDED = 1_000_000  # tries: 0 "turns off this limitation"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Use:
    """A `proxy_pass` to the group."""

    at: Directive
    levels: Levels
    scheme: str


@dataclass(slots=True)
class Passing:
    scheme: str = "http"
    connect_s: float = TIMEOUT_S
    response_s: float = TIMEOUT_S
    retries: Retries = field(default_factory=Retries)
    lines: dict[str, Directive] = field(default_factory=dict)


def passing_of(uses: Sequence[Use], ledger: Ledger) -> Passing:
    """What the first use says; another that says otherwise is refused."""
    found = Passing()
    if not uses:
        return found
    found.scheme = _agreed(uses, "protocol", lambda use: (use.scheme, use.at), ledger, found)
    found.connect_s = _agreed(uses, "timeouts.connect", _time("proxy_connect_timeout"), ledger, found)
    found.response_s = _agreed(uses, "timeouts.response", _time("proxy_read_timeout"), ledger, found)
    found.retries = _agreed(uses, "retries", lambda use: _retries(use, ledger), ledger, found)
    return found


def _agreed(
    uses: Sequence[Use], path: str, read: Callable[[Use], tuple[T, Directive | None]], ledger: Ledger, found: Passing
) -> T:
    first, at = read(uses[0])
    if at is not None:
        found.lines[path] = at
    for use in uses[1:]:
        value, line = read(use)
        if value != first:
            ledger.refused(line or use.at, f"the pool's {path} is as {(at or uses[0].at).at} has it")
    return first


def _time(name: str) -> Callable[[Use], tuple[float, Directive | None]]:
    return lambda use: use.levels.value(name, more_than_none) or (TIMEOUT_S, None)


def _retries(use: Use, ledger: Ledger) -> tuple[Retries, Directive | None]:
    """`error timeout` where nothing is said, at every server once; `error` is a refused connection and a reset."""
    line = use.levels.last("proxy_next_upstream")
    words = line.words if line else ("error", "timeout")
    tries = use.levels.value("proxy_next_upstream_tries", lambda word: whole(word, 0, UNBOUNDED)) or (0, None)
    within = use.levels.time("proxy_next_upstream_timeout")
    if within and within[0]:
        ledger.refused(within[1], "repeats end after a time")
    at = line.directive if line else tries[1]
    if line:
        ledger.understood(line.directive)
    attempts = tries[0] - 1 if tries[0] else UNBOUNDED
    if "off" in words or attempts == 0:
        return Retries(0), at
    kept: list[str] = []
    for word in words:
        if word == "error":
            kept += ["connect", "reset"]
        elif word == "timeout":
            kept.append("timeout")
        elif word.removeprefix("http_") in STATUSES:
            kept.append(word.removeprefix("http_"))
        elif word == "invalid_header" and line:
            ledger.understood(line.directive, "invalid_header: an answer that is no HTTP is repeated too")
        elif word not in ("updating", "non_idempotent") and line:
            ledger.refused(line.directive, f"{word}: not known")
    return Retries(attempts, tuple(dict.fromkeys(kept)), "non_idempotent" in words), at
