"""What a check is: a claim over subjects of a spec, with its metadata, and the registry that the plugin reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from lbcheck.features import Feature, Level
from lbcheck.spec.model import Algorithm, Forward, Listener, Pool, Spec
from lbcheck.spec.subject import Subject, SubjectKind

Figures: TypeAlias = Callable[[Any], "tuple[Figure, ...]"]
Times: TypeAlias = Callable[[Any], Mapping[str, float]]
Opening: TypeAlias = Literal["settled", "slow", "failing"]


@dataclass(frozen=True, slots=True)
class Subjects:
    """Which things of a spec make the claim, and which of their fields the check reads.

    In the battery one subject is kept for each distinct tuple of `reads`; with a user's spec all are.
    """

    kind: SubjectKind
    where: Callable[[Any], bool]
    reads: Callable[[Any], Any] = lambda _: None
    within: Callable[[Spec, Any], bool] = lambda _, __: True

    def of(self, spec: Spec) -> Iterator[Subject]:
        for subject in _all(spec, self.kind):
            if self.where(subject.value) and self.within(spec, subject.value):
                yield subject


def _all(spec: Spec, kind: SubjectKind) -> Iterator[Subject]:
    if kind == "spec":
        yield Subject("spec", "spec", "", spec)
    elif kind == "pool":
        for pool in spec.pools:
            yield Subject("pool", pool.name, f"pools.{pool.name}", pool)
    for listener in spec.listeners:
        path = f"listeners.{listener.name}"
        if kind == "listener":
            yield Subject("listener", listener.name, path, listener)
        elif kind == "rule":
            for rule in listener.rules:
                name = f"{listener.name}/{rule.name or rule.priority}"
                yield Subject("rule", name, f"{path}.rules.{rule.priority}", rule, listener.name)


def _selector(kind: SubjectKind) -> Callable[..., Subjects]:
    def select(
        where: Callable[[Any], bool] = lambda _: True,
        *,
        reads: Callable[[Any], Any] | None = None,
        within: Callable[[Spec, Any], bool] = lambda _, __: True,
        **fields: Any,
    ) -> Subjects:
        """Subjects for which `where` holds and every named field has the given value.

        `within` also sees the spec around the subject.
        """

        def wanted(value: Any) -> bool:
            return all(getattr(value, name) == expected for name, expected in fields.items()) and where(value)

        return Subjects(kind, wanted, reads or (lambda _: None), within)

    return select


pools = _selector("pool")
rules = _selector("rule")
listeners = _selector("listener")
whole_spec = _selector("spec")


@dataclass(frozen=True, slots=True)
class Figure:
    """How right one statistical judgement is, before it is made of a subject.

    It takes `n` requests at most, and about `usual_n` where the claim holds. A balancer that keeps the claim is blamed
    with probability `alpha` at most; one that breaks it as `detects` says is found with probability `power`.
    """

    judgement: str
    n: int
    usual_n: int
    alpha: float
    detects: str
    power: float

    def __str__(self) -> str:
        n = f"{self.n} requests" if self.n == self.usual_n else f"about {self.usual_n} requests, at most {self.n}"
        found = f"finds {self.detects} with probability {self.power:.6g}"
        wrong = f"blames wrongly with probability {self.alpha:.1g} at most" if self.alpha else "never blames wrongly"
        return f"{self.judgement}: {n}; {wrong}; {found}"


@dataclass(frozen=True, slots=True)
class Check:
    """A check's card. `catches` maps the defects that it kills to the judgement that turns *broken*.

    `needs` are features beyond those that the subject's own fields imply; `lab` is the cheapest lab that can carry it;
    `times` gives the seconds of a subject that its verdict rests on, by name: a machine late by more than a quarter of
    the shortest decides nothing; none where counts alone decide. `figures` gives those of its statistical judgements.
    `cost_s` is a rough duration for the plan. `opening` is how its stage begins: settled, or as soon as the target
    accepts, with probes that are answered slowly (but in time), or badly, from the backends' start.
    """

    id: str
    claim: str
    level: Level
    subject: Subjects
    catches: Mapping[str, str]
    spec_link: str
    needs: frozenset[Feature]
    lab: Literal["sim", "process"]
    times: Times | None
    figures: Figures
    cost_s: float
    since: str
    opening: Opening
    function: Callable[..., None]

    @property
    def area(self) -> str:
        return self.id.partition("-")[0]

    @property
    def timed(self) -> bool:
        """Does its verdict rest on times?"""
        return self.times is not None

    def shortest_s(self, subject: Subject) -> float | None:
        """The shortest of the times that its verdict on this subject rests on; None: on none."""
        return min(self.times(subject.value).values(), default=None) if self.times is not None else None

    def longest_s(self, subject: Subject) -> float:
        """The longest of them; 0.0 where there is none."""
        return max(self.times(subject.value).values(), default=0.0) if self.times is not None else 0.0


def detection(value: Any) -> dict[str, float]:
    """What finding a backend out rests on: interval and timeout of a pool's active check."""
    found = getattr(value, "health_check", None)
    return {} if found is None else {"interval": found.interval, "timeout": found.timeout}


F = TypeVar("F", bound=Callable[..., None])
_registry: dict[str, Check] = {}
ATTRIBUTE = "__lbcheck__"


def check(
    id: str,
    claim: str,
    *,
    subject: Subjects,
    catches: Mapping[str, str],
    spec_link: str,
    level: Level = Level.CORE,
    needs: frozenset[Feature] | set[Feature] = frozenset(),
    lab: Literal["sim", "process"] = "sim",
    timed: bool | Times = False,
    figures: Figures = lambda _: (),
    cost_s: float = 0.5,
    since: str = "1.0",
    opening: Opening = "settled",
) -> Callable[[F], F]:
    """Makes a test function a check. The function takes `stage` and its subject (by the name of the kind).

    `timed`: the times that its verdict rests on; True: those of the pool's active check. `figures`: what chance may do
    to its judgements of a subject; none where no judgement is left to chance.
    """
    times = detection if timed is True else timed or None

    def register(function: F) -> F:
        card = Check(
            id, claim, level, subject, dict(catches), spec_link, frozenset(needs), lab, times, figures, cost_s, since,
            opening, function,
        )  # fmt: skip
        known = _registry.get(id)
        if known is not None and known.function.__qualname__ != function.__qualname__:
            raise ValueError(f"check {id} is defined twice: {known.function.__name__} and {function.__name__}")
        _registry[id] = card
        setattr(function, ATTRIBUTE, card)
        return function

    return register


def registered() -> dict[str, Check]:
    """All checks whose modules have been imported, by id."""
    return dict(sorted(_registry.items()))


def newest() -> str:
    """The catalogue's version: that of the newest check whose module has been imported."""
    return max((card.since for card in _registry.values()), key=lambda v: tuple(map(int, v.split("."))), default="")


def serves(spec: Spec, listener: Listener) -> bool:
    """Does the listener's default forward, to pools that each have a primary which gets traffic?"""
    if not isinstance(listener.default, Forward):
        return False
    pools = [spec.pool(name) for name, weight in listener.default.pools if weight]
    return bool(pools) and all(
        any(b.weight > 0 and b.state == "active" and not b.backup for b in pool.backends) for pool in pools
    )


def plain_rotation(pool: Pool) -> bool:
    """Round robin over at least two equal, active backends, and nothing that binds clients to one."""
    plain = all(b.weight == 1 and not b.backup and b.state == "active" for b in pool.backends)
    return plain and len(pool.backends) > 1 and pool.algorithm is Algorithm.ROUND_ROBIN and pool.stickiness is None


def changes_losslessly(spec: Spec, _: Any) -> bool:
    """Does the spec claim that a change while it runs loses nothing?"""
    return spec.claims.reload == "lossless"
