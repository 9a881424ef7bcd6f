"""A client's cookie jar, as far as one balancer on one host needs it (RFC 6265 section 5): name, value, lifetime."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class Jar:
    """Max-Age counts on the lab's clock; Domain, Path and Secure are not looked at: there is one host, and `/`.

    `rate`: seconds of whoever sets the cookies that pass in one on the lab's clock.
    """

    def __init__(self, now: Callable[[], float], rate: float = 1) -> None:
        self._now = now
        self._rate = rate
        self._values: dict[str, str] = {}
        self._ends: dict[str, float] = {}

    @property
    def values(self) -> dict[str, str]:
        """The live cookies; a change of this mapping is a change of the jar."""
        for name in [name for name, end in self._ends.items() if end <= self._now()]:
            self._drop(name)
        return self._values

    def header(self) -> tuple[tuple[str, str], ...]:
        """The Cookie field, or nothing when the jar is empty."""
        pairs = "; ".join(f"{name}={value}" for name, value in self.values.items())
        return (("Cookie", pairs),) if pairs else ()

    def take(self, set_cookies: Iterable[str]) -> None:
        for line in set_cookies:
            pair, *attributes = line.split(";")
            name, _, value = (part.strip() for part in pair.partition("="))
            self._drop(name)
            life = _life_s([a.strip() for a in attributes])
            if life is None or life > 0:
                self._values[name] = value
            if life is not None and life > 0:
                self._ends[name] = self._now() + life / self._rate

    def _drop(self, name: str) -> None:
        self._values.pop(name, None)
        self._ends.pop(name, None)


def _life_s(attributes: list[str]) -> float | None:
    """Seconds that a cookie lives, None for the session; Max-Age wins over Expires (RFC 6265 section 5.3)."""
    said = {name.strip().lower(): value.strip() for name, _, value in (a.partition("=") for a in attributes)}
    age = said.get("max-age", "")
    if age.removeprefix("-").isdigit():
        return float(age)
    if "expires" not in said:
        return None
    try:
        # A date in the past deletes; one to come is the calendar's, which no lab's clock knows: the session's then.
        when = parsedate_to_datetime(said["expires"])
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return -1.0 if when < datetime(2000, 1, 1, tzinfo=UTC) else None
