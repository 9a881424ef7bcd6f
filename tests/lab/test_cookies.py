"""The jar of a client: lifetimes on the lab's clock."""

from __future__ import annotations

import pytest

from lbcheck.lab.cookies import Jar

pytestmark = pytest.mark.fast


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_takes_and_sends_back(clock: Clock) -> None:
    jar = Jar(clock)
    assert jar.header() == ()
    jar.take(["a=1; Path=/; HttpOnly", 'b="x=y"; SameSite=Lax'])
    assert jar.header() == (("Cookie", 'a=1; b="x=y"'),)
    jar.take(["a=2"])
    assert jar.values == {"b": '"x=y"', "a": "2"}


def test_max_age_ends_on_the_lab_clock(clock: Clock) -> None:
    jar = Jar(clock)
    jar.take(["a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
    clock.now_s += 9.9
    assert jar.values == {"a": "1"}
    clock.now_s += 0.1
    assert jar.header() == ()


@pytest.mark.parametrize("attribute", ["Max-Age=0", "max-age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
def test_deletion(clock: Clock, attribute: str) -> None:
    jar = Jar(clock)
    jar.take(["a=1"])
    jar.take([f"a=; {attribute}"])
    assert jar.values == {}


@pytest.mark.parametrize("attribute", ["Expires=Fri, 01 Jan 2100 00:00:00 GMT", "Expires=soon", "Max-Age=soon"])
def test_what_the_lab_clock_cannot_tell_is_a_session_cookie(clock: Clock, attribute: str) -> None:
    jar = Jar(clock)
    jar.take([f"a=1; {attribute}"])
    clock.now_s += 1e9
    assert jar.values == {"a": "1"}


def test_renewed_cookie_lives_on(clock: Clock) -> None:
    jar = Jar(clock)
    jar.take(["a=1; Max-Age=10"])
    clock.now_s += 8
    jar.take(["a=1; Max-Age=10"])
    clock.now_s += 8
    assert jar.values == {"a": "1"}
    jar.take(["a=1"])
    clock.now_s += 1000
    assert jar.values == {"a": "1"}


def test_values_can_be_forged(clock: Clock) -> None:
    jar = Jar(clock)
    jar.take(["a=1"])
    jar.values["a"] = "forged"
    assert jar.header() == (("Cookie", "a=forged"),)


def test_a_life_told_in_the_seconds_of_a_fast_clock_is_short(clock: Clock) -> None:
    jar = Jar(clock, rate=30)
    jar.take(["a=1; Max-Age=60"])
    clock.now_s += 1.9
    assert jar.values == {"a": "1"}
    clock.now_s += 0.2
    assert jar.values == {}
