"""What a spec says after a change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.spec.change import Deregister, Drain, Register, Reload, Reweigh, changed
from lbcheck.spec.model import Backend, Forward, Listener, Pool, Spec

SPEC = Spec(
    listeners=(Listener("web", Forward((("api", 1),))),),
    pools=(Pool("api", (Backend("a"), Backend("b", weight=3))), Pool("other", (Backend("a"),))),
)


def backends(spec: Spec, pool: str = "api") -> dict[str, Backend]:
    return {b.name: b for b in spec.pool(pool).backends}


def test_drain_and_return() -> None:
    drained = changed(SPEC, Drain("api", "b"))
    assert backends(drained)["b"].state == "draining"
    assert changed(drained, Register("api", SPEC.pool("api").backends[1])) == SPEC


def test_a_new_backend_stands_at_the_end_and_a_known_one_in_its_place() -> None:
    assert list(backends(changed(SPEC, Register("api", Backend("c"))))) == ["a", "b", "c"]
    moved = changed(SPEC, Register("api", Backend("a", "127.0.0.1:1")))
    assert [b.address for b in backends(moved).values()] == ["127.0.0.1:1", None]


def test_reload_is_the_other_spec() -> None:
    other = replace(SPEC, profile="alb")
    assert changed(SPEC, Reload(other)) is other


@given(
    st.sampled_from(
        [Drain("api", "a"), Deregister("api", "b"), Reweigh("api", "a", 7), Register("api", Backend("a", weight=0))]
    )
)
def test_nothing_else_changes(change: Drain | Deregister | Reweigh | Register) -> None:
    after = changed(SPEC, change)
    assert after != SPEC
    assert after.pool("other") is SPEC.pool("other")
    assert after.listeners == SPEC.listeners


@pytest.mark.parametrize(
    "change", [Drain("api", "z"), Deregister("z", "a"), Reweigh("other", "b", 1), Register("z", Backend("a"))]
)
def test_what_is_not_there_is_no_change(change: Drain | Deregister | Reweigh | Register) -> None:
    with pytest.raises(KeyError):
        changed(SPEC, change)
