"""Does a client stay where it was, as long as declared and no longer, and does its cookie say only what it may?"""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from lbcheck.history import Exchange
from lbcheck.judges.answers import backends_of, described, missing_answers
from lbcheck.judges.judging import judge
from lbcheck.spec.model import Seconds, Stickiness
from lbcheck.verdict import Verdict, decided, inconclusive


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One Set-Cookie field, taken apart as RFC 6265 section 5.2 says; attribute names in lower case."""

    name: str
    value: str
    attributes: dict[str, str]


def readable(value: str) -> list[str]:
    """A cookie's value and what anybody can decode it to."""
    plain = unquote(value)
    found = [value, plain]
    for decode in (bytes.fromhex, base64.b64decode, base64.urlsafe_b64decode):
        with contextlib.suppress(ValueError):
            padding = "" if decode is bytes.fromhex else "=" * (-len(plain) % 4)
            found.append(decode(plain + padding).decode("latin-1"))
    return found


def set_cookies(exchange: Exchange) -> list[SetCookie]:
    found = []
    for line in exchange.all_headers("set-cookie"):
        pair, *rest = line.split(";")
        name, _, value = pair.partition("=")
        attributes = {n.strip().lower(): v.strip() for n, _, v in (x.partition("=") for x in rest)}
        found.append(SetCookie(name.strip(), value.strip(), attributes))
    return found


def cookie_named(exchange: Exchange, name: str) -> SetCookie | None:
    """The last Set-Cookie of that name: the one that a browser keeps."""
    return next((c for c in reversed(set_cookies(exchange)) if c.name == name), None)


@judge
def keeps_backend(exchanges: Sequence[Exchange]) -> Verdict:
    """All answers by one backend."""
    expected = f"{len(exchanges)} requests of one client at one backend"
    if missing := missing_answers("keeps_backend", expected, exchanges):
        return missing
    sequence = backends_of(exchanges)
    moved = next((i for i, name in enumerate(sequence) if name != sequence[0]), None)
    saw = f"all at {sequence[0]}" if moved is None else f"from {sequence[0]} to {sequence[moved]} at step {moved + 1}"
    ids = () if moved is None else (exchanges[moved].id,)
    return decided(moved is None, "keeps_backend", expected, saw, ids=ids, n=len(exchanges))


@judge
def spreads_out(exchanges: Sequence[Exchange]) -> Verdict:
    """Requests that nothing binds are not all at one backend."""
    expected = f"{len(exchanges)} requests at more than one backend"
    if missing := missing_answers("spreads_out", expected, exchanges):
        return missing
    names = sorted(set(backends_of(exchanges)))
    return decided(len(names) > 1, "spreads_out", expected, f"answers by {', '.join(names)}", n=len(exchanges))


@judge
def rebinds_once(exchanges: Sequence[Exchange], dead: str) -> Verdict:
    """After its backend is gone a client goes to one other and stays there."""
    expected = f"one other backend than {dead}, for all of {len(exchanges)} requests"
    if missing := missing_answers("rebinds_once", expected, exchanges):
        return missing
    names = sorted(set(backends_of(exchanges)))
    ok = len(names) == 1 and names != [dead]
    return decided(ok, "rebinds_once", expected, f"answers by {', '.join(names)}", n=len(exchanges))


@judge
def lets_go(groups: Sequence[Sequence[Exchange]]) -> Verdict:
    """Clients whose affinity is over are placed anew: not all are where they were (each group: before, after)."""
    moved = [g for g in groups if g[0].backend != g[-1].backend]
    expected = f"some of {len(groups)} clients elsewhere once their affinity is over"
    return decided(bool(moved), "lets_go", expected, f"{len(moved)} elsewhere", n=len(groups))


@judge
def hides_addresses(exchange: Exchange, cookie: str, secrets: Collection[str]) -> Verdict:
    """The cookie's value holds no address, port or name of a backend: in clear, percent-encoded, hex or base64."""
    found = cookie_named(exchange, cookie)
    expected = f"{cookie} set, without an address in it"
    if found is None:
        return decided(False, "hides_addresses", expected, "no such cookie was set", ids=(exchange.id,))
    readings = readable(found.value)
    leaked = [s for s in secrets if s and any(s in reading for reading in readings)]
    saw = f"{', '.join(leaked)} in it" if leaked else "an opaque value"
    return decided(not leaked, "hides_addresses", expected, saw, ids=(exchange.id,))


@judge
def cookie_as_declared(exchange: Exchange, declared: Stickiness) -> Verdict:
    """Name, Path, lifetime, Secure, HttpOnly and SameSite of the balancer's cookie."""
    wanted = {"path": "/", "secure": declared.secure, "httponly": declared.http_only, "samesite": declared.same_site}
    lifetime = "a session cookie" if declared.duration is None else f"Max-Age or Expires for {declared.duration:g} s"
    expected = f"{declared.cookie} with " + ", ".join(f"{n} {v}" for n, v in wanted.items()) + f", {lifetime}"
    found = cookie_named(exchange, declared.cookie)
    if found is None:
        return decided(False, "cookie_as_declared", expected, "no such cookie was set", ids=(exchange.id,))
    a = found.attributes
    wrong = []
    if a.get("path") != "/":
        wrong.append(f"Path {a.get('path')}")
    wrong += [x for x, on in (("secure", declared.secure), ("httponly", declared.http_only)) if (x in a) is not on]
    if declared.same_site is not None and a.get("samesite", "").lower() != declared.same_site.lower():
        wrong.append(f"SameSite {a.get('samesite')}")
    lives = "max-age" in a or "expires" in a
    if lives is (declared.duration is None):
        wrong.append("a lifetime" if lives else "no lifetime")
    if declared.duration is not None and a.get("max-age", str(int(declared.duration))) != str(int(declared.duration)):
        wrong.append(f"Max-Age {a.get('max-age')}")
    saw = ("wrong: " + ", ".join(wrong)) if wrong else "as declared"
    return decided(not wrong, "cookie_as_declared", expected, saw, ids=(exchange.id,))


@judge
def answers_normally(exchange: Exchange, pool: Collection[str], what: str) -> Verdict:
    """A cookie that binds nobody gets a normal answer by a backend of the pool."""
    ok = exchange.complete and exchange.backend in pool and exchange.status == 200
    expected = f"{what}: a normal answer by a backend of the pool"
    return decided(ok, "answers_normally", expected, described(exchange), ids=(exchange.id,))


@judge
def sets_once(exchanges: Sequence[Exchange], cookie: str) -> Verdict:
    """A client that brings a fresh cookie is not given it again each time."""
    again = [e for e in exchanges[1:] if cookie_named(e, cookie)]
    first = bool(exchanges) and cookie_named(exchanges[0], cookie) is not None
    expected = f"{cookie} set on the first answer, not on each of the next {len(exchanges) - 1}"
    saw = f"set on {len(again)} of them" if first else "not set on the first"
    return decided(first and len(again) < len(exchanges) - 1, "sets_once", expected, saw, n=len(exchanges))


@judge
def stays_while_bound(exchanges: Sequence[Exchange], declared: Stickiness, *, margin: Seconds = 0.0) -> Verdict:
    """One client's visits: until `duration` has passed since the answer that bound it it stays where that was.

    Whether a cookie that is set anew on the way prolongs this is open: some products count from the first alone.
    """
    expected = f"a client at its backend until {declared.duration or 0:g} s after {declared.cookie} bound it"
    if missing := missing_answers("stays_while_bound", expected, exchanges):
        return missing
    home: Exchange | None = None
    bound = 0
    for exchange in exchanges:
        age = exchange.done - home.invoked if home is not None and exchange.done is not None else math.inf
        if home is not None and (declared.duration is None or age < declared.duration - margin):
            bound += 1
            if exchange.backend != home.backend:
                saw = f"{exchange.backend} {age:.3f} s after {home.backend} had set it"
                return decided(False, "stays_while_bound", expected, saw, ids=(home.id, exchange.id))
        else:
            home = exchange if cookie_named(exchange, declared.cookie) is not None else None
    if not bound:
        return inconclusive("stays_while_bound", expected, "no visit within the duration")
    return decided(True, "stays_while_bound", expected, f"so at {bound} visits", n=bound)
