"""How answers name their backend where it is none of lbcheck's: by a field or by what their body says (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lbcheck.errors import HarnessFault, UsageError
from lbcheck.history import BACKEND_HEADER, ID_HEADER, Exchange
from lbcheck.spec.model import Spec

_FORM = "as in --lb-identify=header:X-Served-By or --lb-identify='body:served by (\\w+)'"


@dataclass(frozen=True, slots=True)
class Identity:
    """`header`: the field that holds the name. `body`: what to search for, the name in its first group, or all of it.

    Of a body the first 4 KiB are looked at, as bytes of ISO 8859-1.
    """

    header: str = ""
    body: re.Pattern[str] | None = None

    def name_in(self, exchange: Exchange) -> str | None:
        """What the answer says; None where it says nothing, as one that the balancer made."""
        if self.body is None:
            value = exchange.header(self.header)
            return value.strip() if value is not None else None
        found = self.body.search(exchange.body.decode("latin-1"))
        return found[1 if self.body.groups else 0] if found else None


def identity_of(text: str) -> Identity:
    """UsageError where `--lb-identify` says neither."""
    kind, _, what = text.partition(":")
    if kind == "header" and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", what):
        return Identity(header=what)
    if kind == "body" and what:
        try:
            return Identity(body=re.compile(what))
        except re.error as error:
            raise UsageError(f"--lb-identify={text}: {error}", remedy=_FORM) from None
    raise UsageError(f"--lb-identify={text}: expected header:NAME or body:REGEX", remedy=_FORM)


class Signatures:
    """Puts the signature of lbcheck's own backends on answers of others; `strangers` are names that no spec knows."""

    def __init__(self, identity: Identity, spec: Spec) -> None:
        self.strangers: list[str] = []
        self._identity = identity
        self._names = names_of(spec)

    def __call__(self, exchange: Exchange) -> Exchange:
        said = self._identity.name_in(exchange)
        if said is None:
            return exchange
        name = self._names.get(said)
        if name is None:
            self.strangers.append(said)
            return exchange
        signature = ((BACKEND_HEADER, name), (ID_HEADER, exchange.id))
        return replace(exchange, headers=(*exchange.headers, *signature))

    def look(self) -> None:
        """HarnessFault where an answer named a backend that is none."""
        if self.strangers:
            raise HarnessFault(
                f"an answer came from {self.strangers[0]!r}; the spec's backends are {', '.join(self._names)}",
                remedy="name them in the spec as --lb-identify finds them, or correct --lb-identify",
            )


def names_of(spec: Spec) -> Mapping[str, str]:
    """What an answer may say -> the backend's name: its name or its address."""
    backends = [backend for pool in spec.pools for backend in pool.backends]
    return {backend.address or "": backend.name for backend in backends} | {b.name: b.name for b in backends}
