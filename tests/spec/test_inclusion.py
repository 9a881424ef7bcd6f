from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.spec.generate import random_conditions
from lbcheck.spec.inclusion import includes
from lbcheck.spec.model import Conditions, Forward, Rule
from lbcheck.spec.near import random_request
from lbcheck.spec.patterns import glob_includes, matches_glob
from lbcheck.spec.routing import matches

pytestmark = pytest.mark.fast
TEXTS = ["".join(letters) for length in range(5) for letters in product("abz", repeat=length)]


@given(st.text("ab*?", max_size=4), st.text("ab*?", max_size=4))
def test_inclusion_of_patterns_is_that_of_the_texts_that_match(wide: str, narrow: str) -> None:
    """Texts up to four characters over the patterns' letters and a stranger decide it for patterns of this size."""
    by_texts = all(matches_glob(wide, text) for text in TEXTS if matches_glob(narrow, text))
    if glob_includes(wide, narrow):
        assert by_texts
    elif by_texts:
        longer = [a + b for a in TEXTS for b in ("zzzz", "zzzza", "zzzzb", "azzz", "bzzz", "zaz", "zbz")]
        assert any(matches_glob(narrow, text) and not matches_glob(wide, text) for text in longer)


@given(st.integers(0, 2**32))
def test_what_is_said_to_be_included_is(seed: int) -> None:
    rng = random.Random(seed)
    narrow = random_conditions(rng)
    wide = random_conditions(rng, kinds=[kind for kind in Conditions.__slots__ if getattr(narrow, kind)])
    rules = [Rule(1, narrow, Forward((("a", 1),)))]
    requests = [random_request(rng, rules) for _ in range(10)]
    if includes(wide, narrow):
        assert all(matches(wide, request) for request in requests if matches(narrow, request))


@given(st.integers(0, 2**32))
def test_conditions_include_themselves_and_no_condition_includes_all(seed: int) -> None:
    conditions = random_conditions(random.Random(seed))
    assert includes(conditions, conditions)
    assert includes(Conditions(), conditions)
    if includes(conditions, Conditions()):
        assert all(matches(conditions, random_request(random.Random(n), [])) for n in range(10))


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (Conditions(path=("/api/*",)), Conditions(path_prefix=("/api",))),
        (Conditions(path_prefix=("/api",)), Conditions(path=("/api*",))),
        (Conditions(path_prefix=("/api",)), Conditions(path=("/api?x",))),
        (Conditions(path=("/a",)), Conditions(path_prefix=("/a",))),
        (Conditions(header=(("x", ("*",)),)), Conditions(path=("/a",))),
        (Conditions(method=("GET",)), Conditions(method=("GET", "POST"))),
        (Conditions(source=("10.0.0.0/8",)), Conditions(source=("0.0.0.0/0",))),
        (Conditions(source=("10.0.0.0/8",)), Conditions(source=("::/0",))),
        (Conditions(path=("/?",)), Conditions(path_prefix=("/?",))),
    ],
)
def test_near_inclusions_are_none(wide: Conditions, narrow: Conditions) -> None:
    assert not includes(wide, narrow)
