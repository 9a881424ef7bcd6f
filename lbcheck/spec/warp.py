"""A spec on another clock: its durations as they pass for others while the balancer's own clock runs fast (pure).

A balancer whose clock runs `rate` times as fast keeps every promise about time `rate` times as soon. `seen` is the spec
as the rest of the world meets it, `told` the same as the balancer's configuration says it. What work may take
(`claims.reload_within`, `slo.p99`) stays as it is: no clock makes a machine faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from lbcheck.spec.model import Spec
from lbcheck.spec.syntax import Duration

T = TypeVar("T")
DIGITS = 15  # all decimals of so many digits come back from a division and a multiplication


def seen(spec: T, rate: float) -> T:
    """The spec, or a record of it, for whoever lives on the harness's clock: 30 s are 1 s at a rate of 30."""
    return spec if rate == 1 else _on(spec, lambda duration_s: duration_s / rate)


def told(spec: T, rate: float) -> T:
    """The inverse of `seen`: as the balancer's own configuration, and what it writes, say it."""
    return spec if rate == 1 else _on(spec, lambda duration_s: told_s(duration_s, rate))


def told_s(duration_s: float, rate: float) -> float:
    """Seconds of the balancer's clock, free of what dividing and multiplying leaves in the last digits."""
    return float(f"{duration_s * rate:.{DIGITS}g}")


def _on(value: T, scale: Callable[[float], float]) -> T:
    """The same value with each duration in it scaled."""
    if isinstance(value, tuple):
        return tuple(_on(item, scale) for item in value)  # type: ignore[return-value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    timed, changed = durations(type(value)), dict[str, Any]()
    for name in (field.name for field in fields(value)):
        was = getattr(value, name)
        now = scale(was) if name in timed and was is not None else _on(was, scale)
        if now is not was:
            changed[name] = now
    return replace(value, **changed) if changed else value


@cache
def durations(record: type) -> frozenset[str]:
    """The fields of one of the model's records that are times on the balancer's clock."""
    hints = get_type_hints(record, include_extras=True)
    return frozenset(name for name, hint in hints.items() if _is_duration(hint))


def _is_duration(hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return False
    if get_origin(hint) is Annotated and (marks := [m for m in get_args(hint) if isinstance(m, Duration)]):
        return not marks[0].of_work
    return any(_is_duration(part) for part in get_args(hint))


def shortest(spec: Spec) -> tuple[str, float] | None:
    """(path, seconds) of the shortest time that a spec gives somebody to react; None where it gives none.

    Not `timeouts.connect`: the kernel completes a connection, however late the process is that will accept it. Not
    `timeouts.queue` where no limit makes anybody wait.
    """
    unlimited = {f"pools.{pool.name}.timeouts.queue" for pool in spec.pools if not pool.max_connections}
    found = [(path, s) for path, s in _times(spec, "") if s > 0 and path not in unlimited]
    found = [(path, s) for path, s in found if not path.endswith("timeouts.connect")]
    return min(found, key=lambda pair: pair[1], default=None)


def _times(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, tuple):
        for item in value:
            yield from _times(item, f"{path}.{getattr(item, 'name', '')}".rstrip("."))
    elif is_dataclass(value) and not isinstance(value, type):
        timed = durations(type(value))
        for name in (field.name for field in fields(value)):
            part, place = getattr(value, name), f"{path}.{name}".lstrip(".")
            if name not in timed:
                yield from _times(part, place)
            elif part is not None:
                yield place, part
