"""Can a history have happened at all? What contradicts itself was recorded wrong, and says nothing of a balancer.

Clients and backends record the same requests from two sides. These rules hold of both sides together whatever the
balancer does: causes come before effects, nothing happens twice, and nobody answers what nobody asked.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias, TypeVar

from lbcheck.history import (
    BACKEND_HEADER,
    GIVEN,
    ID_HEADER,
    Answered,
    Arrival,
    BodyRead,
    Connected,
    Disconnected,
    Exchange,
    History,
)
from lbcheck.judges.heads import field, fields
from lbcheck.judges.judging import judge
from lbcheck.verdict import Verdict, decided

SHOWN = 3

T = TypeVar("T", bound=Hashable)
Place: TypeAlias = tuple[str, int, int]  # (backend, connection, index) of a request
Line: TypeAlias = tuple[str, int]  # a connection to a backend


@judge
def coherent(history: History) -> Verdict:
    """No two events contradict each other."""
    expected = "a history in which no two events contradict each other"
    found = list(contradictions(history))
    saw = "; ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    return decided(not found, "coherent", expected, saw or f"so it was, over {len(history)} events", n=len(history))


def contradictions(history: History) -> Iterator[str]:
    """What cannot be, in words."""
    yield from _at_clients(history)
    yield from _connections(history)
    yield from _requests(history)
    yield from _ends(history)
    yield from _both_sides(history)


# --- clients ---------------------------------------------------------------------------------------------------------


def _at_clients(history: History) -> Iterator[str]:
    exchanges: Sequence[Exchange] = history.of(Exchange)
    for identity in _twice(e.id for e in exchanges):
        yield f"request {identity} was made more than once"
    by_connection: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        by_connection[exchange.connection].append(exchange)
        moments = [m for m in (exchange.invoked, exchange.first_byte, exchange.done) if m is not None]
        if moments != sorted(moments) or (exchange.sent or math.inf) < exchange.invoked:
            yield f"request {exchange.id} was over before it began"
    for connection, own in by_connection.items():
        if sorted(e.index for e in own) != list(range(len(own))):
            yield f"the requests of connection {connection} are not numbered one by one"


# --- backends --------------------------------------------------------------------------------------------------------


def _connections(history: History) -> Iterator[str]:
    """A connection to a backend is opened once, before all that happens on it, and closed at most once, after that."""
    opened: dict[Line, float] = {(e.backend, e.connection): e.at for e in history.of(Connected)}
    closed: dict[Line, float] = {(e.backend, e.connection): e.at for e in history.of(Disconnected)}
    for kind in (Connected, Disconnected):
        for backend, number in _twice((e.backend, e.connection) for e in history.of(kind)):
            yield f"connection {number} of {backend} has two events {kind.kind}"
    during = ((e, (e.backend, e.connection)) for kind in (Arrival, BodyRead, Answered) for e in history.of(kind))
    for event, line in (*during, *((e, (e.backend, e.connection)) for e in history.of(Disconnected))):
        if not opened.get(line, math.inf) <= event.at <= closed.get(line, math.inf):
            yield f"{event.kind} on connection {line[1]} of {line[0]} while it was not open"


def _requests(history: History) -> Iterator[str]:
    """On a connection requests come one after another, each with the id that its head says."""
    by_connection: dict[Line, list[Arrival]] = defaultdict(list)
    for arrival in history.of(Arrival):
        by_connection[arrival.backend, arrival.connection].append(arrival)
        if arrival.id != field(fields(arrival.head), ID_HEADER.lower()):
            yield f"a request at {arrival.backend} has another id ({arrival.id}) than its head says"
    for (backend, number), own in by_connection.items():
        own.sort(key=lambda a: a.index)
        if [a.index for a in own] != list(range(len(own))) or any(a.at > b.at for a, b in pairwise(own)):
            yield f"the requests of connection {number} of {backend} do not come one by one"


def _ends(history: History) -> Iterator[str]:
    """Each request that came has one end, after it, and is read before it is answered; only a kill takes ends away."""
    arrived = {(a.backend, a.connection, a.index): a for a in history.of(Arrival)}
    read: dict[Place, BodyRead] = {(e.backend, e.connection, e.index): e for e in history.of(BodyRead)}
    ended: dict[Place, Answered] = {(e.backend, e.connection, e.index): e for e in history.of(Answered)}
    closed = {(e.backend, e.connection) for e in history.of(Disconnected)}
    for kind in (BodyRead, Answered):
        for backend, number, index in _twice((e.backend, e.connection, e.index) for e in history.of(kind)):
            yield f"request {index} of connection {number} of {backend} has two events {kind.kind}"
    followed: list[tuple[Place, BodyRead | Answered]] = [*read.items(), *ended.items()]
    for place, event in followed:
        cause = arrived.get(place)
        if cause is None or cause.at > event.at:
            yield f"{event.kind} at {event.backend} before its request, or of none"
    for place, arrival in arrived.items():
        end, body = ended.get(place), read.get(place)
        if end is None and place[:2] in closed:
            yield f"a request at {arrival.backend} without an end on a connection that has one"
        if end is not None and end.how == "answered" and (body is None or body.at > end.at):
            yield f"a request at {arrival.backend} was answered before it was read"


# --- both ------------------------------------------------------------------------------------------------------------


def _both_sides(history: History) -> Iterator[str]:
    made = {exchange.id: exchange for exchange in history.of(Exchange)}
    for arrival in history.of(Arrival):
        exchange = made.get(arrival.id or "")
        if exchange is None and arrival.id is not None and GIVEN.fullmatch(arrival.id):
            yield f"request {arrival.id} arrived and was never made"
        if exchange is not None and arrival.at < exchange.invoked:
            yield f"request {arrival.id} arrived before it was made"
    for exchange in made.values():
        if exchange.header(ID_HEADER) == exchange.id and exchange.first_byte is not None:
            here = [a for a in history.arrivals_of(exchange.id) if a.backend == exchange.header(BACKEND_HEADER)]
            if not any(_answers(history, arrival, exchange) for arrival in here):
                yield f"request {exchange.id} was answered before, or without, its backend's answer"


def _answers(history: History, arrival: Arrival, exchange: Exchange) -> bool:
    """Can this arrival have got the answer that the client had?"""
    end = history.answered_of(arrival)
    begun = exchange.first_byte is not None and arrival.at <= exchange.first_byte
    if not exchange.complete:
        return begun
    if not begun or end is None:
        return False
    if end.how == "answered":
        return end.at <= (exchange.done or math.inf)
    return end.how not in ("reset", "cut") or end.status is not None  # None: no head of it was ever sent


def _twice(keys: Iterable[T]) -> list[T]:
    return [key for key, count in Counter(keys).items() if count > 1]
