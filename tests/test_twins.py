"""No check finds fault with a twin, and every twin is seen: it changes what a history holds."""

from __future__ import annotations

import pytest

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.twins import TWINS, twin_named
from lbcheck.errors import UsageError

from . import matrix, twins

AREAS = ("ALG", "HLT", "FLO", "STK", "RTE", "HTT")
# Several seconds in all, where quicker checks of their areas look at the same: these run in the nightly lane alone.
COSTLY = {"ALG-11", "ALG-13", "ALG-24", "HLT-03", "HLT-04", "HLT-05", "HLT-06", "HLT-07", "RTE-16", "RTE-19"}


def quick(areas: tuple[str, ...]) -> list[str]:
    return [check for check in matrix.checks() if check[:3] in areas and check not in COSTLY]


def blamed(twin: str, checks: list[str]) -> list[str]:
    """What is said of the twin and not of the reference."""
    found = []
    for check in checks:
        for seen, of_reference in zip(twins.of_twin(check, twin), twins.of_reference(check), strict=True):
            if not of_reference.wrong:
                found += seen.wrong
    return found


def shows_in(twin: str, checks: list[str]) -> bool:
    """Does a history hold another byte than the reference's?"""
    return any(
        seen.history != of_reference.history
        for check in checks
        for seen, of_reference in zip(twins.of_twin(check, twin), twins.of_reference(check), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_is_seen_and_not_blamed_by_the_checks_of_its_areas(twin: str) -> None:
    checks = quick(TWINS[twin].areas)
    assert blamed(twin, checks) == []
    assert shows_in(twin, checks)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_is_not_blamed_by_the_whole_battery(twin: str) -> None:
    assert blamed(twin, list(matrix.checks())) == []


@pytest.mark.nightly
@pytest.mark.slow
def test_nobody_is_blamed_by_accident_of_the_seed() -> None:
    """The twins that draw, on other seeds."""
    drawing = [name for name in TWINS if "rng" in _names_in(twin_named(name))]
    assert len(drawing) >= 4
    found = [
        wrong
        for twin in drawing
        for seed in (2, 3, 4)
        for check in quick(TWINS[twin].areas)
        for seen in twins.of_twin(check, twin, seed=seed)
        for wrong in seen.wrong
    ]
    assert found == []


def _names_in(kind: type[Decisions]) -> set[str]:
    functions = [value for value in vars(kind).values() if callable(value)]
    return {name for function in functions for name in function.__code__.co_names}


def test_a_twin_says_what_it_is_and_who_has_its_way() -> None:
    assert len(TWINS) >= 15
    for name, twin in TWINS.items():
        assert twin.name == name
        assert twin.areas
        assert set(twin.areas) <= set(AREAS)
        assert twin.sentence.endswith(".")
        assert len(twin.source) > 20


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no twin is called 'maglev-tabel'\n.*maglev-table"):
        twin_named("maglev-tabel")
