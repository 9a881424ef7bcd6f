"""Backends of one name in several pools are told apart."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lbcheck.spec.change import Drain, Register, Reload, Reweigh
from lbcheck.spec.distinct import Names
from lbcheck.spec.model import Backend, Forward, Listener, Pool, Spec

names = st.lists(st.sampled_from(["a", "b", "p-a", "q-a", "p-a-"]), min_size=1, max_size=4, unique=True)


@given(st.lists(names, min_size=1, max_size=3))
def test_names_are_of_one_backend_each_and_nothing_else_changes(pools: list[list[str]]) -> None:
    spec = Spec(
        (Listener("public", Forward((("p", 1),))),),
        tuple(Pool(name, tuple(map(Backend, backends))) for name, backends in zip("pqr", pools, strict=False)),
    )
    told = Names(spec)
    renamed = told.distinct
    found = [backend.name for pool in renamed.pools for backend in pool.backends]
    assert len(set(found)) == len(found)
    assert replace(renamed, pools=()) == replace(spec, pools=())
    for before, after in zip(spec.pools, renamed.pools, strict=True):
        for was, now in zip(before.backends, after.backends, strict=True):
            alone = sum(was.name in of for of in pools) == 1
            assert now == was if alone else now == replace(was, name=now.name)
    assert told.own(renamed) == spec
    first = renamed.pools[0].backends[0]
    own = spec.pools[0].backends[0]
    assert told.own_change(Drain("p", first.name)) == Drain("p", own.name)
    assert told.own_change(Reweigh("p", first.name, 2)) == Reweigh("p", own.name, 2)
    assert told.own_change(Register("p", first)) == Register("p", own)
    assert told.own_change(Register("p", Backend("new"))) == Register("p", Backend("new"))
    assert told.own_change(Reload(renamed, again=True)) == Reload(spec, again=True)
