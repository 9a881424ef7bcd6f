"""The control run: what a check sent, sent again straight at the backends, without the balancer.

What fails here too is no fault of the target's: a machine too slow, a network that loses, a backend that went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from lbcheck.client.call import Call
from lbcheck.client.http import Endpoint, HttpClient, Kept
from lbcheck.client.sending import Sending
from lbcheck.clock import now
from lbcheck.history import Exchange
from lbcheck.judges.answers import described
from lbcheck.spec.request import Request

CONTROL = "control"  # ids of requests that go straight to a backend begin so
MOST = 2000  # requests: 10 s of the rate that most checks have
PAUSE_S = 0.25  # pauses in open-loop traffic are cut to this: a rate is repeated, not a wait
PLAIN = 20
WITHIN_S = 2.0  # a backend that is asked directly has answered by then


@dataclass(frozen=True, slots=True)
class Control:
    """`lost`: how many were not answered whole by the backend that was asked; `first` tells of one of them.

    `late_s`: the longest that an answer took, or that the client was late in sending what was due.
    """

    backends: int
    n: int
    open_loop: int = 0
    lost: int = 0
    first: str = ""
    late_s: float = 0.0

    def fault(self, late_limit_s: float) -> str:
        """Why it failed, in words; "" where it did not."""
        if self.lost:
            return f"{self.lost} of {self.n} requests straight at {self.backends} backends were lost: {self.first}"
        if self.late_s > late_limit_s:
            return f"straight at {self.backends} backends a request was {self.late_s:.3f} s late"
        return ""

    def __str__(self) -> str:
        if not self.n:
            return "no backend is left that could be asked directly"
        how = f"{self.open_loop} of them in open loop" if self.open_loop else "one after another"
        return f"{self.n} requests ({how}) straight at {self.backends} backends, {self.lost} lost, {self.late_s:.3f} s"


def due(sendings: Sequence[Sending]) -> list[tuple[float, Sending]]:
    """(seconds from the beginning, request) of open-loop traffic, at its own rate and without long pauses (pure)."""
    at, last, out = 0.0, None, []
    for sending in sorted(sendings, key=lambda s: s.at)[:MOST]:
        at += 0.0 if last is None else min(sending.at - last, PAUSE_S)
        last = sending.at
        out.append((at, sending))
    return out


async def rehearse(
    sendings: Sequence[Sending], backends: Sequence[Endpoint], client: HttpClient, source: str
) -> Control:
    """Sends the like of all these, each to the next backend: first those of open-loop traffic when they are due, then
    the others one after another. Where nothing was sent (a check that looks at probes) each backend is asked `PLAIN`
    times. `client` closes with it."""
    if not backends:
        return Control(0, 0)
    sendings = sendings or [Sending(0.0)] * PLAIN * len(backends)
    places = cycle([(backend, Kept()) for backend in backends])
    in_turn = [s for s in sendings if not s.open_loop][:MOST]
    planned = due([s for s in sendings if s.open_loop])

    def begin(sending: Sending) -> Call:
        backend, kept = next(places)
        body = None if sending.body_bytes is None else b"x" * sending.body_bytes
        request = replace(Request(source=source), method=sending.method)
        on = kept if sending.kept else None
        return client.start(backend, request, body=body, chunked=sending.chunked, within=WITHIN_S, on=on)

    began, late_s, exchanges = now(), 0.0, []
    calls = []
    for at, sending in planned:
        await asyncio.sleep(max(began + at - now(), 0.0))
        late_s = max(late_s, now() - began - at)
        calls.append(begin(sending))
    exchanges = [await call.done for call in calls]
    for sending in in_turn:
        exchanges.append(await begin(sending).done)
    await client.close()
    return judged(exchanges, len(backends), len(planned), late_s)


def judged(exchanges: Sequence[Exchange], backends: int, open_loop: int, late_s: float) -> Control:
    """What came of it (pure)."""
    lost = [e for e in exchanges if not e.complete or e.status != 200 or e.backend != e.listener]
    took_s = max(((e.done or e.invoked) - e.invoked for e in exchanges), default=0.0)
    first = f"{lost[0].method} to {lost[0].listener}: {described(lost[0])}" if lost else ""
    return Control(backends, len(exchanges), open_loop, len(lost), first, round(max(took_s, late_s), 4))
