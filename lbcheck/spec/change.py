"""What a running balancer can be told to change, and what its spec says afterwards (pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lbcheck.spec.model import Backend, Pool, Spec


@dataclass(frozen=True, slots=True)
class Drain:
    """Nothing new goes to the backend; what it is at goes on until `deregistration_delay`."""

    pool: str
    backend: str


@dataclass(frozen=True, slots=True)
class Register:
    """A backend joins its pool, or one of that name is back at work: with this address and weight, not draining."""

    pool: str
    backend: Backend


@dataclass(frozen=True, slots=True)
class Deregister:
    """As `Drain`, and gone from the pool."""

    pool: str
    backend: str


@dataclass(frozen=True, slots=True)
class Reweigh:
    pool: str
    backend: str
    weight: int


@dataclass(frozen=True, slots=True)
class Reload:
    """The whole spec is read again: the same one (`again`), or another with the same listeners."""

    spec: Spec
    again: bool = False


Change = Drain | Register | Deregister | Reweigh | Reload


def on_backend(change: Change) -> str:
    """The name of the backend that a change is on; "" where it is on the whole spec."""
    if isinstance(change, Register):
        return change.backend.name
    return "" if isinstance(change, Reload) else change.backend


def changed(spec: Spec, change: Change) -> Spec:
    """The spec that is in force once the change is. KeyError where it names what is not there."""
    match change:
        case Reload():
            return change.spec
        case Register():
            return _in_pool(spec, change.pool, lambda backends: _joined(backends, change.backend))
        case Deregister():
            _known(spec, change.pool, change.backend)
            return _in_pool(spec, change.pool, lambda bs: tuple(b for b in bs if b.name != change.backend))
        case Drain():
            return _on_backend(spec, change.pool, change.backend, lambda b: replace(b, state="draining"))
        case Reweigh():
            return _on_backend(spec, change.pool, change.backend, lambda b: replace(b, weight=change.weight))


def with_pool(spec: Spec, pool: Pool) -> Spec:
    """The spec with this pool in place of its namesake."""
    return replace(spec, pools=tuple(pool if p.name == pool.name else p for p in spec.pools))


def _joined(backends: tuple[Backend, ...], joining: Backend) -> tuple[Backend, ...]:
    """In place of its namesake, else at the end."""
    if any(b.name == joining.name for b in backends):
        return tuple(joining if b.name == joining.name else b for b in backends)
    return (*backends, joining)


def _on_backend(spec: Spec, pool: str, backend: str, edit: Callable[[Backend], Backend]) -> Spec:
    _known(spec, pool, backend)
    return _in_pool(spec, pool, lambda bs: tuple(edit(b) if b.name == backend else b for b in bs))


def _known(spec: Spec, pool: str, backend: str) -> None:
    if not any(p.name == pool and any(b.name == backend for b in p.backends) for p in spec.pools):
        raise KeyError(f"{pool}/{backend}")


def _in_pool(spec: Spec, pool: str, edit: Callable[[tuple[Backend, ...]], tuple[Backend, ...]]) -> Spec:
    def edited(p: Pool) -> Pool:
        return replace(p, backends=edit(p.backends)) if p.name == pool else p

    if not any(p.name == pool for p in spec.pools):
        raise KeyError(pool)
    return replace(spec, pools=tuple(edited(p) for p in spec.pools))
