"""Who is who where the balancer and its backends run already: the spec against what options say (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from lbcheck.errors import UsageError
from lbcheck.lab.placing import BackendKey, is_loopback
from lbcheck.spec.model import Backend, Forward, Listener, Pool, Protocol, Spec
from lbcheck.spec.routing import scheme
from lbcheck.targets.attached import Url

Place = tuple[str, int]  # (host, port)
ANYWHERE = ("", "*", "0.0.0.0", "::")  # a listener's address that says nothing of where it is met
_FORM = "as in --lb-backend=a=127.0.0.1:9101, the control port of `lbcheck backend --control 9101`"


def control_places(words: Sequence[str]) -> dict[str, Place]:
    """What `--lb-backend` says: "a" or "pool/a" -> where its control is. UsageError names the word."""
    places: dict[str, Place] = {}
    for word in words:
        match = re.fullmatch(r"([^=]+)=(.+):(\d{1,5})", word)
        if match is None or not 0 < int(match[3]) < 65536:
            raise UsageError(f"--lb-backend={word}: expected NAME=HOST:PORT", remedy=_FORM)
        if match[1] in places:
            raise UsageError(f"--lb-backend={word}: {match[1]} was named before", remedy="name each backend once")
        places[match[1]] = match[2].strip("[]"), int(match[3])
    return places


def controls(spec: Spec, given: Mapping[str, Place]) -> dict[BackendKey, Place]:
    """Where each backend of the spec is controlled. UsageError where one has none, or a name stands for none or two."""
    keys = [(pool.name, backend.name) for pool in spec.pools for backend in pool.backends]
    found: dict[BackendKey, Place] = {}
    for name, place in given.items():
        meant = [key for key in keys if name in (key[1], "/".join(key)) or name.replace("/", "-", 1) == key[1]]
        if not meant:
            near = get_close_matches(name, [word for key in keys for word in (key[1], "/".join(key))], n=1)
            raise UsageError(
                f"--lb-backend={name}=...: the spec has no such backend",
                remedy=f"did you mean {near[0]}?" if near else f"it has {', '.join(map('/'.join, keys))}",
            )
        if len(meant) > 1:
            raise UsageError(
                f"--lb-backend={name}=...: several pools have it", remedy=f"say {' or '.join(map('/'.join, meant))}"
            )
        found[meant[0]] = place
    if lacking := [key for key in keys if key not in found]:
        raise UsageError(f"no --lb-backend for {', '.join(map('/'.join, lacking))} of the spec", remedy=_FORM)
    return found


def listener_places(spec: Spec, url: Url) -> dict[str, Place]:
    """Where each listener of the spec is met. UsageError where the URL is none of them, or has another scheme."""
    met = {listener.name: _met(listener, url) for listener in spec.listeners}
    for listener in spec.listeners:
        if _same(met[listener.name], (url.host, url.port)):
            _refuse_other_scheme(listener, url)
            return met
    shown = ", ".join(f"{x.name} at {x.address}:{x.port}" for x in spec.listeners)
    raise UsageError(
        f"--lb-target names {url.host}:{url.port}, and the spec's listeners are {shown}",
        remedy="correct one of them: the balancer is judged by the listener that is met",
    )


def _refuse_other_scheme(listener: Listener, url: Url) -> None:
    if url.scheme != scheme(listener):
        raise UsageError(
            f"--lb-target says {url.scheme}://, and listener {listener.name} of the spec {listener.protocol.value}",
            remedy=f"say {scheme(listener)}:// or `protocol: {url.scheme.upper()}`",
        )


def _met(listener: Listener, url: Url) -> Place:
    host = url.host if listener.address is None or listener.address in ANYWHERE else listener.address
    return host, listener.port or 0


def _same(one: Place, two: Place) -> bool:
    return one[1] == two[1] and (one[0] == two[0] or {one[0], two[0]} <= {"localhost", "127.0.0.1", "::1"})


def plain_spec(url: Url, names: Sequence[str]) -> Spec:
    """Where nobody wrote a spec: one listener, and one pool of these backends."""
    pool = Pool("backends", tuple(Backend(name) for name in names))
    protocol = Protocol(url.scheme.upper())
    listener = Listener("public", Forward(((pool.name, 1),)), protocol, address=url.host, port=url.port)
    return Spec((listener,), (pool,))


def remote_places(spec: Spec, url: Url, given: Mapping[str, Place]) -> list[str]:
    """What is not on this machine, in words: the balancer, listeners, backends and their controls."""
    named = [("--lb-target", url.host), *((f"--lb-backend={name}", host) for name, (host, _) in given.items())]
    named += [(f"listener {x.name}", x.address) for x in spec.listeners if x.address and x.address not in ANYWHERE]
    named += [(f"backend {p.name}/{b.name}", b.host) for p in spec.pools for b in p.backends if b.address is not None]
    return [f"{who} at {host}" for who, host in named if not is_loopback(host)]
