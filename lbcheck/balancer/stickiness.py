"""Affinity: which backend a client is bound to, and what its next answer says about it."""

# ruff: noqa: ARG002  (every kind of affinity has the same signatures)

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from email.utils import formatdate
from hashlib import blake2b
from math import ceil, inf
from typing import Protocol

from lbcheck.balancer.request import Request
from lbcheck.balancer.state import BackendState, PoolState
from lbcheck.spec.model import Stickiness

Fields = Sequence[tuple[str, str]]


class Affinity(Protocol):
    """One kind of stickiness of one pool."""

    spec: Stickiness

    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        """The backend that this client belongs to, fit or not; None for a new client."""
        ...

    def chosen(self, request: Request, backend: BackendState, now: float) -> None:
        """This client has been sent there."""
        ...

    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        """The Set-Cookie to add to this answer, or None; `headers` are the backend's answer's."""
        ...


def affinity_of(spec: Stickiness | None, secret: bytes, epoch: float | None) -> Affinity | None:
    if spec is None:
        return None
    if spec.type == "lb_cookie":
        return LbCookie(spec, secret, epoch)
    return AppCookie(spec) if spec.type == "app_cookie" else SourceAddress(spec)


class LbCookie:
    """The balancer's own cookie: 6 bytes of issue time (ms), 8 of a keyed digest of the backend, 13 of MAC; base64.

    Nothing in it can be read or made without the secret. It is set when a client is bound anew or elsewhere, and again
    within the last half of its duration, so that an active client stays and a quiet one is let go. Of two cookies
    of the name neither counts. `epoch` is Unix time minus the caller's clock; without it there is no Expires.
    """

    def __init__(self, spec: Stickiness, secret: bytes, epoch: float | None = None) -> None:
        self.spec = spec
        self.secret = secret
        self.epoch = epoch
        self.lasts = inf if spec.duration is None else spec.duration
        self._tags: dict[tuple[str, str], bytes] = {}

    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        found = self.read(pool, request, now)
        return found[0] if found else None

    def chosen(self, request: Request, backend: BackendState, now: float) -> None: ...

    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        found = self.read(pool, request, now)
        if found and found[0] is backend and now - found[1] < self.lasts / 2:
            return None
        return self.set_cookie(backend, now)

    def read(self, pool: PoolState, request: Request, now: float) -> tuple[BackendState, float] | None:
        """Whom the request's cookie names, and when it was issued; None where absent, doubled, foreign or expired."""
        values = self.values(request)
        if len(values) != 1:
            return None
        told = self.opened(values[0])
        if told is None or not -1.0 <= now - told[0] < self.lasts:
            return None
        backend = next((b for b in pool.backends if self.tag(b) == told[1]), None)
        return None if backend is None else (backend, told[0])

    def values(self, request: Request) -> list[str]:
        return [unquoted(value) for name, value in request.cookies if name == self.spec.cookie]

    def value(self, backend: BackendState, now: float) -> str:
        body = int(now * 1000).to_bytes(6, "big") + self.tag(backend)
        return base64.urlsafe_b64encode(body + self.mac(body)).decode()  # 27 bytes: nothing padded

    def opened(self, value: str) -> tuple[float, bytes] | None:
        """(issued, tag) of a cookie of our own; None for any other."""
        raw = self.decoded(value)
        body, mac = raw[:14], raw[14:]
        if not hmac.compare_digest(mac, self.mac(body)):
            return None
        return int.from_bytes(body[:6], "big") / 1000, body[6:]

    def decoded(self, value: str) -> bytes:
        """The 27 bytes of a value of the right shape; none for any other."""
        if len(value) != 36 or "+" in value or "/" in value:  # one spelling only: the decoder takes both alphabets
            return b""
        try:
            return base64.b64decode(value.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            return b""

    def tag(self, backend: BackendState) -> bytes:
        known = self._tags.get((backend.pool, backend.name))
        if known is None:
            named = f"{backend.pool}\0{backend.name}".encode()
            known = blake2b(named, key=self.secret[:64], digest_size=8, person=b"backend").digest()
            self._tags[backend.pool, backend.name] = known
        return known

    def mac(self, body: bytes) -> bytes:
        return blake2b(body, key=self.secret[:64], digest_size=13, person=b"cookie").digest()

    def set_cookie(self, backend: BackendState, now: float) -> str:
        spec = self.spec
        parts = [f"{spec.cookie}={self.value(backend, now)}", "Path=/"]
        if spec.duration is not None:
            parts.append(f"Max-Age={max(1, ceil(spec.duration))}")
            if self.epoch is not None:
                parts.append(f"Expires={formatdate(self.epoch + now + spec.duration, usegmt=True)}")
        parts += ["Secure"] if spec.secure else []
        parts += ["HttpOnly"] if spec.http_only else []
        parts += [f"SameSite={spec.same_site}"] if spec.same_site else []
        return "; ".join(parts)


class AppCookie:
    """A table from the application's cookie value to the backend that set it; `duration` counts from that moment.

    A value that no backend has set binds nobody. A client whose backend is gone is bound to the one that answers next.
    """

    def __init__(self, spec: Stickiness) -> None:
        self.spec = spec
        self.table = Table(spec.duration)

    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        for value in self.values(request):
            name = self.table.get(value, now)
            if name is not None:
                return pool.backend(name)
        return None

    def chosen(self, request: Request, backend: BackendState, now: float) -> None: ...

    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        for value in self.values(request):
            if self.table.get(value, now) not in (None, backend.name):
                self.table.move(value, backend.name)
        for name, line in headers:
            if name.lower() == "set-cookie":
                self.learn(line, backend, now)
        return None

    def values(self, request: Request) -> list[str]:
        return [unquoted(value) for name, value in request.cookies if name == self.spec.cookie]

    def learn(self, line: str, backend: BackendState, now: float) -> None:
        pair, *attributes = line.split(";")
        name, _, value = pair.partition("=")
        if name.strip() != self.spec.cookie:
            return
        value = unquoted(value.strip())
        if not value or any(a.strip().lower().startswith(("max-age=0", "max-age=-")) for a in attributes):
            self.table.forget(value)
        else:
            self.table.put(value, backend.name, now)


class SourceAddress:
    """A table from client address to backend; each request prolongs it, so that `duration` is a time of silence."""

    def __init__(self, spec: Stickiness) -> None:
        self.spec = spec
        self.table = Table(spec.duration)

    def bound(self, pool: PoolState, request: Request, now: float) -> BackendState | None:
        name = self.table.get(request.client, now)
        return None if name is None else pool.backend(name)

    def chosen(self, request: Request, backend: BackendState, now: float) -> None:
        self.table.put(request.client, backend.name, now)

    def bind(self, pool: PoolState, request: Request, backend: BackendState, headers: Fields, now: float) -> str | None:
        return None


class Table:
    """Key to backend name, each for `duration` seconds (None: for ever); the oldest go when there are too many."""

    BOUND = 100_000

    def __init__(self, duration: float | None) -> None:
        self.lasts = inf if duration is None else duration
        self.entries: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def get(self, key: str, now: float) -> str | None:
        entry = self.entries.get(key)
        if entry is None:
            return None
        if now >= entry[1]:
            del self.entries[key]
            return None
        return entry[0]

    def put(self, key: str, backend: str, now: float) -> None:
        self.entries[key] = (backend, now + self.lasts)
        self.entries.move_to_end(key)
        if len(self.entries) > self.BOUND:
            self.entries.popitem(last=False)

    def move(self, key: str, backend: str) -> None:
        """Another backend, the same end."""
        self.entries[key] = (backend, self.entries[key][1])

    def forget(self, key: str) -> None:
        self.entries.pop(key, None)


def unquoted(value: str) -> str:
    """A cookie value without the pair of quotes that RFC 6265 section 4.1.1 allows around it."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
