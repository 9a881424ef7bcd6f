"""What a backend is told to do, as values that travel as JSON between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Moment: TypeAlias = Literal["head_read", "all_read", "within_head", "after_head", "within_body"]


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request is answered.

    `body` None is the echo: a JSON object {backend, id, connection, index, method, target, headers, body_sha,
    body_len}; `body_size` makes a repeatable body of that many bytes instead. Every answer carries `Lbcheck-Backend`
    and, where the request had one, `Lbcheck-Id`; `signed` False leaves both out. `fault` happens at `moment`: reset
    sends RST, close sends FIN (after draining what came), hang keeps the connection and never says more. `hold` waits,
    all read, until released. `early` answers as soon as the head is read. `interim`: the statuses of 1xx answers that
    go before the final one. `raw` is sent verbatim in place of an answer.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    body_size: int | None = None
    framing: Literal["length", "chunked", "close"] = "length"
    delay: float = 0.0  # seconds before the head
    torn: float = 0.0  # seconds between two parts of the head (or of `raw`)
    torn_at: int | None = None  # bytes of the first of them; None: half
    rate: float | None = None  # body bytes a second
    fault: Literal["reset", "close", "hang"] | None = None
    moment: Moment = "all_read"
    hold: bool = False
    early: bool = False
    interim: tuple[int, ...] = ()
    signed: bool = True
    keep_alive: bool = True
    raw: bytes | None = None


OK = Answer()
HANG = Answer(fault="hang")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A backend's whole script. A request with an id in `by_id` is answered so, any other by `answer`.

    A probe (no id, and the shape that the pool's health check declares) takes the next of `probes`, then `probe`.
    `accepting` False closes the listening socket: connections are refused. `blackhole`: who connects is not answered
    at all, and connections that were open are reset.
    """

    answer: Answer = OK
    by_id: tuple[tuple[str, Answer], ...] = ()
    probes: tuple[Answer, ...] = ()
    probe: Answer = OK
    accepting: bool = True
    blackhole: bool = False


@dataclass(frozen=True, slots=True)
class ProbeShape:
    """How a backend tells probes from strays: no id, this method and this path.

    With `port` it listens there as well, and what comes elsewhere is no probe.
    """

    method: str = "GET"
    path: str = "/"
    port: int | None = None
