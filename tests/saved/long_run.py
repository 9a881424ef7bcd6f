"""A long run on three backends, as a saved history: `python -m tests.saved.long_run FILE [REQUESTS]` judges it.

Clients keep their connections and so does the balancer; one request in 997 meets a reset and is tried elsewhere, and
backends are probed. Prints the seconds and the peak of memory that judging takes, in a process of its own.
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from lbcheck.history import Answered, Arrival, BodyRead, Connected, Event, Exchange, History, to_json
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import starves_nobody, takes_turns
from lbcheck.saved import writing
from lbcheck.saved.columns import Columns
from lbcheck.saved.lines import END, sealed
from lbcheck.saved.rejudging import judge_again, lines_of
from lbcheck.saved.writing import JUDGEMENT, then
from lbcheck.verdict import Verdict
from tests.saved.made import HEADING, POOL

REQUESTS = 1_000_000
CLIENTS, UPSTREAMS = 64, 32
GAP_S = 0.0004
RESET_EACH, PROBE_EACH = 997, 500
BODY = b"ok\n"
SHA, EMPTY_SHA = hashlib.sha256(BODY).hexdigest(), hashlib.sha256(b"").hexdigest()
NAMES = [backend.name for backend in POOL.backends]


def events(requests: int) -> Iterator[Event]:
    """What clients and backends recorded, in order."""
    for name in NAMES:
        for upstream in range(UPSTREAMS):
            yield Connected(name, upstream, 0.001, f"127.0.0.1:{40000 + upstream}")
    for number in range(requests):
        at = 1.0 + number * GAP_S
        if number % PROBE_EACH == 0:
            yield from probe(number, at)
        yield from request(number, at)


def probe(number: int, at: float) -> Iterator[Event]:
    head = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n\r\n"
    for name in NAMES:
        yield Arrival(name, 10_000 + number, 0, at, None, "GET", "/health", head, "127.0.0.1:39999", probe=True)
        yield BodyRead(name, 10_000 + number, 0, at, 0, EMPTY_SHA)
        yield Answered(name, 10_000 + number, 0, at, "answered", 200)


def request(number: int, at: float) -> Iterator[Event]:
    identity, client = f"c1-{number + 1}", number % CLIENTS
    head = f"GET /items HTTP/1.1\r\nHost: lb.test\r\nLbcheck-Id: {identity}\r\nUser-Agent: lbcheck\r\n\r\n".encode()
    name = NAMES[number % 3]
    if number % RESET_EACH == RESET_EACH - 1:
        yield from arrival(NAMES[(number + 1) % 3], number, at + 0.0001, identity, head, "reset")
    yield from arrival(name, number, at + 0.0002, identity, head, "answered")
    answer = (
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(BODY))),
        ("Lbcheck-Backend", name),
        ("Lbcheck-Id", identity),
    )
    yield Exchange(
        identity, "public", "GET", "/items", f"127.0.0.{2 + client % 8}", f"c1.{client}", number // CLIENTS, at,
        request=head, sent=at + 0.00001, first_byte=at + 0.0003, done=at + 0.00031, status=200, headers=answer,
        body=BODY, body_len=len(BODY), body_sha=SHA, complete=True,
    )  # fmt: skip


def arrival(name: str, number: int, at: float, identity: str, head: bytes, how: str) -> Iterator[Event]:
    connection, index = number % UPSTREAMS, 2 * (number // UPSTREAMS) + (how == "reset")
    forwarded = head[:-2] + b"X-Forwarded-For: 127.0.0.2\r\n\r\n"
    yield Arrival(name, connection, index, at, identity, "GET", "/items", forwarded, f"127.0.0.1:{40000 + connection}")
    yield BodyRead(name, connection, index, at, 0, EMPTY_SHA)
    yield Answered(name, connection, index, at + 0.00001, how, 200 if how == "answered" else None)


def verdicts(history: History) -> list[Verdict]:
    """What a check might say of the whole run: it holds, it is broken by the repeats, it holds."""
    exchanges = history.exchanges
    return [takes_turns(exchanges, NAMES), all_answered(history, exchanges), starves_nobody(exchanges, NAMES)]


def write(path: Path, requests: int) -> None:
    """As `writing.lines` would, without the events in memory."""
    history = Columns()

    def records() -> Iterator[dict[str, object]]:
        yield writing.header(HEADING)
        for event in events(requests):
            record = to_json(event)
            history.add(record)
            yield record
        for verdict in verdicts(history):
            assert verdict.call is not None
            arguments: dict[str, object] = {"exchanges": {"exchanges": [[0, requests]]}}
            if "history" in verdict.call.arguments:
                arguments = {"history": {"history": "up to here"}, **arguments}
            else:
                arguments |= {name: value for name, value in verdict.call.arguments.items() if name != "exchanges"}
            yield {"kind": JUDGEMENT, "then": then(verdict), "judge": verdict.call.judge, "arguments": arguments}
        yield {"kind": END, "events": len(history), "judgements": 3}

    with path.open("w") as out:
        out.writelines(sealed(records()))


def measure(path: Path) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    judged = judge_again(path)
    print("\n".join(lines_of(judged)))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{path.stat().st_size / 1e6:,.0f} MB judged in {time.perf_counter() - began:.1f} s "
        f"({time.process_time() - cpu:.1f} s of CPU), peak {peak_mib:,.0f} MiB, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", path, requests]:
            write(Path(path), int(requests))
        case ["judge", path]:
            measure(Path(path))
        case [path, *requests]:  # each in a process of its own, since a child's peak begins with its parent's
            command = [sys.executable, "-m", "tests.saved.long_run"]
            subprocess.run([*command, "write", path, *(requests or [str(REQUESTS)])], check=True)
            subprocess.run([*command, "judge", path], check=True)
