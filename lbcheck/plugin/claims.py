"""Where a claim stands: the fields of the spec that make it, and that its verdict rests on.

Nobody lists them by hand. A check's selectors are run on a value that notes what it is asked for: `where` says which
subjects make the claim, `reads` and `times` what the check reads of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from lbcheck.checks import Check
from lbcheck.spec.subject import Subject

EVERYWHERE = frozenset({"name", "backends", "pools", "listeners", "rules"})  # fields that say little about which claim
OWN = {
    "ALG": frozenset({"algorithm", "hash_key", "slow_start", "max_connections", "backends"}),
    "HLT": frozenset({"health_check", "passive_health", "all_unhealthy"}),
    "FLO": frozenset(
        {"retries", "timeouts", "statuses", "deregistration_delay", "all_unhealthy", "max_connections", "backends"}
    ),
    "STK": frozenset({"stickiness"}),
}  # what an area's claims are about; whatever else `where` asks for makes them possible only


def claim_path(check: Check, subject: Subject, places: Mapping[str, Any]) -> str:
    """The path of the field that makes the claim, as far as the file says it; else the subject's own path."""
    prefix = f"{subject.path}." if subject.path else ""
    fields = [field for field in rests_on(check, subject) if field not in EVERYWHERE]
    for field in fields:
        while field and prefix + field not in places:  # what a profile filled in stands with what is around it
            field = field.rpartition(".")[0]
        if field:
            return prefix + field
    said = [prefix + field for field in asked_of(check, subject) if prefix + field in places]
    return subject.path if fields or not said else said[0]


def rests_on(check: Check, subject: Subject) -> list[str]:
    """The fields of the subject that the verdict rests on, as paths from it: the most telling first.

    A record that is returned whole is read whole; one that is only looked at (is there a health check?) is not read.
    """
    read = _leaves(check.subject.reads, subject)
    claims = [field for field in _leaves(check.subject.where, subject) if _is_own(check, field)]
    times = _leaves(check.times, subject) if check.times is not None else []
    first = [*claims, *read] if check.area == "ALG" else [*read, *claims]  # an algorithm is asked for by `where`
    found = dict.fromkeys([*(f for f in first if _is_own(check, f)), *first, *times])
    backends = ["backends"] if "backends" in found else []
    return [*(field for field in found if field not in EVERYWHERE), *backends]


def _is_own(check: Check, field: str) -> bool:
    return check.area not in OWN or field.partition(".")[0] in OWN[check.area]


def asked_of(check: Check, subject: Subject) -> list[str]:
    """All fields of the subject that the check's selectors look at, as paths from the subject."""
    return [field for select in (check.subject.where, check.subject.reads) for field in _asked(select, subject)[0]]


def _leaves(select: Callable[[Any], Any], subject: Subject) -> list[str]:
    """The fields whose values were looked at, and the records that came back whole."""
    asked, result = _asked(select, subject)
    whole = set(_paths_in(result))
    records = {path for path in asked if _is_record(_value(subject.value, path))}
    return list(dict.fromkeys(path for path in asked if path not in records or path in whole))


def _asked(select: Callable[[Any], Any], subject: Subject) -> tuple[list[str], Any]:
    asked: list[str] = []
    try:
        return asked, select(_noting(subject.value, "", asked))
    except Exception:  # a selector may compare by identity or type: what it asked for until then counts
        return asked, None


def _paths_in(result: Any) -> list[str]:
    items = result if isinstance(result, tuple | list) else (result,)
    return [item.__dict__["_path"] for item in items if isinstance(item, _Noting)]


def _value(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


class _Noting:
    """Stands for a part of the spec and notes which of its fields are read."""

    def __init__(self, value: Any, path: str, asked: list[str]) -> None:
        self.__dict__.update(_value=value, _path=path, _asked=asked)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._value, name)
        path = f"{self._path}.{name}" if self._path else name
        if not callable(value) and not name.startswith("__"):
            self._asked.append(path)
        return _noting(value, path, self._asked)


def _noting(value: Any, path: str, asked: list[str]) -> Any:
    return _Noting(value, path, asked) if _is_record(value) else value
