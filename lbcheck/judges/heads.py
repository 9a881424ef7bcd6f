"""What a backend or a client saw in a message's head: forwarded fields, hop-by-hop fields, order, framing."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lbcheck.history import REDACTED, Arrival, Exchange, Headers, History
from lbcheck.judges.answers import described, refused
from lbcheck.judges.judging import judge
from lbcheck.verdict import Verdict, decided, inconclusive

HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade")


def fields(head: bytes) -> Headers:
    """The fields of a raw head, in order, names as received; the start line is left out."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return tuple((n.strip(), v.strip()) for n, colon, v in (x.partition(":") for x in lines) if colon)


def field(headers: Headers, name: str) -> str | None:
    return next((v for n, v in headers if n.lower() == name.lower()), None)


def values(headers: Headers, name: str) -> list[str]:
    """All members of a list-valued field, over repeated lines, in order."""
    return [part.strip() for n, v in headers if n.lower() == name.lower() for part in v.split(",") if part.strip()]


def _sole(history: History, exchange: Exchange, judgement: str, expected: str) -> Arrival | Verdict:
    arrivals = history.arrivals_of(exchange.id)
    if len(arrivals) == 1:
        return arrivals[0]
    saw = f"{len(arrivals)} arrivals; {described(exchange)}"
    return decided(False, judgement, expected, saw, ids=(exchange.id,))


@judge
def arrives_with(
    history: History, exchange: Exchange, name: str, expected_values: Sequence[str], refusable: bool = False
) -> Verdict:
    """The backend got this list-valued field with exactly these members; or nothing, where it may be refused."""
    shown = ", ".join(expected_values) or "(absent)"
    expected = f"{name}: {shown} at the backend{', or the request refused' if refusable else ''}"
    if refusable and refused(history, exchange):
        return decided(True, "arrives_with", expected, described(exchange))
    arrival = _sole(history, exchange, "arrives_with", expected)
    if isinstance(arrival, Verdict):
        return arrival
    got = values(fields(arrival.head), name)
    same = [_address(v) for v in got] == [_address(v) for v in expected_values]
    return decided(same, "arrives_with", expected, f"{name}: {', '.join(got) or '(absent)'}", ids=(exchange.id,))


def _address(value: str) -> str:
    """Addresses by value, anything else by case-insensitive text."""
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        return value.lower()


@judge
def arrives_without(
    history: History, exchange: Exchange, secrets: Iterable[tuple[str, str]], refusable: bool = False
) -> Verdict:
    """None of these (name, value) pairs reached the backend; a field of the balancer's own with another value may.

    Or nothing did, where the request may be refused.
    """
    pairs = list(secrets)
    expected = f"{', '.join(n for n, _ in pairs)} stripped on the way to the backend"
    if refusable and refused(history, exchange):
        return decided(True, "arrives_without", f"{expected}, or the request refused", described(exchange))
    arrival = _sole(history, exchange, "arrives_without", expected)
    if isinstance(arrival, Verdict):
        return arrival
    got = fields(arrival.head)
    left = [(n, v) for n, v in pairs if v.lower() in (x.lower() for x in values(got, n))]
    saw = ", ".join(f"{n}: {v}" for n, v in left) + " at the backend" if left else "all gone"
    return decided(not left, "arrives_without", expected, saw, ids=(exchange.id,))


@judge
def answer_without(exchange: Exchange, secrets: Iterable[tuple[str, str]]) -> Verdict:
    """None of these (name, value) pairs of the backend's answer reached the client."""
    pairs = list(secrets)
    left = [(n, v) for n, v in pairs if v.lower() in (x.lower() for x in values(exchange.headers, n))]
    expected = f"{', '.join(n for n, _ in pairs)} stripped on the way to the client"
    saw = ", ".join(f"{n}: {v}" for n, v in left) + " at the client" if left else "all gone"
    return decided(not left and exchange.complete, "answer_without", expected, saw, ids=(exchange.id,))


@judge
def keeps_lines(history: History, exchange: Exchange, name: str, sent: Sequence[str]) -> Verdict:
    """A repeated end-to-end field arrives with all its members in their order (RFC 9110 section 5.3)."""
    expected = f"{name}: {', '.join(sent)} in this order"
    arrival = _sole(history, exchange, "keeps_lines", expected)
    if isinstance(arrival, Verdict):
        return arrival
    got = values(fields(arrival.head), name)
    return decided(got == list(sent), "keeps_lines", expected, ", ".join(got) or "(absent)", ids=(exchange.id,))


@judge
def passes_fields(history: History, exchange: Exchange, asked: Headers, answered: Headers) -> Verdict:
    """The backend got all of these fields, and the client all of those, each value as it was sent.

    Blanks around commas may change (RFC 9110 section 5.6.1).
    """
    expected = f"{len(asked)} fields at the backend and {len(answered)} at the client, as they were sent"
    arrival = _sole(history, exchange, "passes_fields", expected)
    if isinstance(arrival, Verdict):
        return arrival
    wrong = _changed(asked, fields(arrival.head), "the backend") + _changed(answered, exchange.headers, "the client")
    saw = "; ".join(wrong) if wrong else "all of them"
    return decided(not wrong, "passes_fields", expected, saw, ids=(exchange.id,))


@judge
def arrive_as_sent(history: History, exchanges: Sequence[Exchange], names: Sequence[str], body: bytes) -> Verdict:
    """Each request arrives once, with its own method, target, lines of these fields and body (none, or this one).

    A field that a request does not have must not have come from another one.
    """
    expected = f"{len(exchanges)} requests, each with its own line, {', '.join(names)} and body at its backend"
    wrong = [(e, saw) for e in exchanges if (saw := _unlike(history, e, names, body))]
    saw = f"{len(wrong)} not so, the first {wrong[0][1]}" if wrong else "so it was"
    return decided(not wrong, "arrive_as_sent", expected, saw, ids=tuple(e.id for e, _ in wrong[:10]), n=len(exchanges))


@judge
def arrive_in_turn(history: History, id: str, name: str, sent: Sequence[str]) -> Verdict:
    """Requests that share an id and came one after another each arrive with their own value of this field."""
    expected = f"{len(sent)} requests that are alike, each with its own {name}"
    came = [", ".join(values(fields(arrival.head), name)) for arrival in history.arrivals_of(id)]
    if len(came) != len(sent):
        return inconclusive("arrive_in_turn", expected, f"{len(came)} arrived")
    wrong = [f"{got or '(absent)'} for {own}" for got, own in zip(came, sent, strict=True) if got != own]
    saw = ", ".join(wrong) if wrong else "so it was"
    return decided(not wrong, "arrive_in_turn", expected, saw, ids=(id,), rests_on="counts", n=len(sent))


def _unlike(history: History, exchange: Exchange, names: Sequence[str], body: bytes) -> str:
    """In what the request's one arrival is another than was sent; "" where in nothing."""
    arrivals = history.arrivals_of(exchange.id)
    if len(arrivals) != 1 or exchange.backend != arrivals[0].backend:
        return f"{len(arrivals)} arrivals; {described(exchange)}"
    (arrival,) = arrivals
    if (arrival.method, arrival.target) != (exchange.method, exchange.target):
        return f"{arrival.method} {arrival.target} in place of {exchange.method} {exchange.target}"
    sent, came = fields(exchange.request), fields(arrival.head)
    for name in names:
        wanted, got = values(sent, name), values(came, name)
        if wanted != got and REDACTED not in got:
            return f"{name}: {', '.join(got) or '(absent)'} in place of {', '.join(wanted) or '(absent)'}"
    framed = field(sent, "Content-Length") or field(sent, "Transfer-Encoding")
    read, length = history.body_of(arrival), len(body) if framed else 0
    if read is None or not read.complete or read.length != length:
        return f"a body of {'none' if read is None else read.length} in place of {length} bytes"
    return ""


@judge
def never_whole(history: History, exchange: Exchange, what: str) -> Verdict:
    """No backend takes the request for a whole one (RFC 9112 section 8)."""
    expected = f"{what}: no backend reads it to an end"
    reads = [history.body_of(arrival) for arrival in history.arrivals_of(exchange.id)]
    ended = [read for read in reads if read is not None and read.complete]
    saw = f"{ended[0].backend} read {ended[0].length} bytes as all" if ended else "none did"
    return decided(not ended, "never_whole", expected, saw, ids=(exchange.id,), rests_on="counts")


def listed(value: str) -> str:
    return ", ".join(part.strip() for part in value.split(","))


def _changed(sent: Headers, got: Headers, where: str) -> list[str]:
    """Fields whose lines, in their order, are others there. A cookie of the balancer's own may stand beside them."""
    told = []
    for name in dict.fromkeys(name.lower() for name, _ in sent):
        wanted, came = ([listed(value) for n, value in lines if n.lower() == name] for lines in (sent, got))
        beside = [line for line in came if line in wanted] if name == "set-cookie" else came
        untold = set(came) == {REDACTED} and len(came) >= len(wanted)
        if wanted != beside and not untold:
            told.append(f"{name}: {' | '.join(came) if came else '(absent)'} at {where}")
    return told


@judge
def answers_in_step(history: History, exchanges: Sequence[Exchange], statuses: Sequence[int]) -> Verdict:
    """On one connection each answer has its status, as its backend gave it, and ended at its own frame."""
    expected = f"statuses {', '.join(map(str, statuses))}, each answer its own request's"
    got = [e.status for e in exchanges]
    for exchange in exchanges:
        journey = history.journey(exchange)
        if not exchange.complete or journey.answer != "own":
            saw = f"{exchange.method} {exchange.target}: {described(exchange)}, {journey.fate.value}"
            return decided(False, "answers_in_step", expected, saw, ids=(exchange.id,))
        given = history.answered_of(journey.arrivals[-1])
        if given is not None and given.status != exchange.status:
            saw = f"{exchange.method} {exchange.target}: {described(exchange)}, which had given {given.status}"
            return decided(False, "answers_in_step", expected, saw, ids=(exchange.id,))
    bodiless = [e for e in exchanges if e.method == "HEAD" or e.status in (204, 304)]
    fat = next((e for e in bodiless if e.body_len), None)
    saw = ", ".join(map(str, got)) + (f"; {fat.body_len} bytes after {fat.method} {fat.status}" if fat else "")
    ok = got == list(statuses) and fat is None
    return decided(ok, "answers_in_step", expected, saw, ids=tuple(e.id for e in exchanges) if not ok else ())


@judge
def lets_go_on(exchange: Exchange) -> Verdict:
    """A client that waits for 100 (Continue) gets it, from the balancer or through it."""
    expected = "100 (Continue) before the final answer"
    came = ", ".join(map(str, exchange.interim)) or "no interim answer"
    return decided(
        100 in exchange.interim, "lets_go_on", expected, f"{came}; {described(exchange)}", ids=(exchange.id,)
    )


@dataclass(frozen=True, slots=True)
class Lawful:
    """What a malformed message may become where it is not refused."""

    attack: str
    requests: int  # the most that backends may see
    body: int | None  # the length of the first one's body; None: not said


@judge
def no_smuggling(history: History, ids: Sequence[str], answers: Sequence[Exchange], lawful: Lawful) -> Verdict:
    """Backends never saw more requests than the balancer answered, nor other ones than a lawful reading allows.

    Refusing is fine, and so is forwarding a lawful reading (RFC 9112 sections 6.3 and 11.2). `ids`: the request's, then
    that of the one hidden in it.
    """
    arrived = [a for identity in ids for a in history.arrivals_of(identity)]
    given = [e for e in answers if e.status is not None]
    body = history.body_of(arrived[0]) if arrived and arrived[0].id == ids[0] else None
    many = len(arrived) > lawful.requests or len(arrived) > max(1, len(given))
    other = body is not None and lawful.body is not None and body.complete and body.length != lawful.body
    most = f"at most {lawful.requests} requests at the backends" if lawful.requests else "nothing at the backends"
    expected = f"{lawful.attack}: refused, or {most}" + ("" if lawful.body is None else f" and a body of {lawful.body}")
    saw = f"{len(arrived)} arrivals" + (f" and a body of {body.length}" if body else "")
    saw += f", {len(given)} answers ({', '.join(str(e.status) for e in given) or 'none'})"
    bad = many or other
    return decided(not bad, "no_smuggling", expected, saw, ids=tuple(ids) if bad else (), attack=lawful.attack)


@judge
def answers_pipelined(history: History, exchanges: Sequence[Exchange]) -> Verdict:
    """Requests of one connection, sent at once: each gets its own answer in order, as far as the connection lives.

    Who answers the first alone and closes is within RFC 9112 section 9.3.2; who leaves one waiting is not.
    """
    expected = f"{len(exchanges)} answers in the order of the requests, or the end of the connection"
    for number, exchange in enumerate(exchanges):
        journey = history.journey(exchange)
        if exchange.complete and journey.answer == "own":
            continue
        closed = number > 0 and exchange.status is None and exchange.error in ("closed", "reset")
        saw = f"{number} answers, then {described(exchange)}"
        return decided(closed, "answers_pipelined", expected, saw, ids=() if closed else (exchange.id,), n=number)
    return decided(True, "answers_pipelined", expected, f"{len(exchanges)} answers in order", n=len(exchanges))


@judge
def comes_in_parts(exchange: Exchange) -> Verdict:
    """Of an answer that its backend has not finished yet the beginning of the body is there."""
    expected = "the part of the body that the backend has sent"
    if exchange.complete:
        return inconclusive("comes_in_parts", expected, f"the answer was over ({described(exchange)})")
    saw = f"{exchange.body_len} bytes of it; {described(exchange)}"
    return decided(exchange.body_len > 0, "comes_in_parts", expected, saw, ids=(exchange.id,))


@judge
def answer_has(exchange: Exchange, name: str, value: str) -> Verdict:
    """The answer carries this field once, with this value."""
    got = exchange.all_headers(name)
    saw = f"{name}: {', '.join(got)}" if got else f"no {name}"
    ok = got == (value,) and exchange.backend is not None
    return decided(ok, "answer_has", f"{name}: {value}", f"{saw}; {described(exchange)}", ids=(exchange.id,))


@judge
def left_after_close(history: History, exchanges: Sequence[Exchange]) -> Verdict:
    """Each of these requests, whose answers all end their connection, is the only one of its backend's connection."""
    arrivals = [a for e in exchanges for a in history.arrivals_of(e.id)]
    taken = Counter((a.backend, a.connection) for a in arrivals)
    again = [a for a in arrivals if a.index > 0 and taken[a.backend, a.connection] > 1]
    expected = "no request on a connection whose last answer said close"
    if not arrivals:
        return inconclusive("left_after_close", expected, "no request arrived")
    saw = f"{len(again)} of {len(arrivals)} requests on such a connection" if again else f"none of {len(arrivals)}"
    ids = tuple(a.id for a in again[:10] if a.id)
    return decided(not again, "left_after_close", expected, saw, ids=ids, n=len(arrivals))


@judge
def told_of_each(history: History, id: str, clients: Sequence[str]) -> Verdict:
    """Requests that share an id and came one after another each arrive with their own client's address.

    It is the last of X-Forwarded-For, whatever else stands there.
    """
    expected = f"{len(clients)} requests that are alike, each with its own client's address"
    told = [(values(fields(arrival.head), "x-forwarded-for") or [""])[-1] for arrival in history.arrivals_of(id)]
    if len(told) != len(clients):
        return inconclusive("told_of_each", expected, f"{len(told)} arrived")
    wrong = [f"{got or '(absent)'} for {client}" for got, client in zip(told, clients, strict=True) if got != client]
    saw = ", ".join(wrong) if wrong else "so it was"
    return decided(not wrong, "told_of_each", expected, saw, ids=(id,), rests_on="counts", n=len(clients))
