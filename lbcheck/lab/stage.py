"""What a check stands on: synchronous verbs over a running scene. The contract; see the methods' docstrings."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lbcheck.backends.script import Answer
from lbcheck.checks import Subject
from lbcheck.history import Exchange, History
from lbcheck.spec.model import Backend, Listener, Pool, Rule, Spec
from lbcheck.spec.request import Request


class StagedBackend:
    """A backend in a check's hands. Every verb returns when it is in effect."""

    name: str
    spec: Backend
    address: str

    def answer(self, answer: Answer, *, id: str | None = None) -> None:
        """How requests are answered from now on; with `id`, that request only."""

    def answer_probes(self, *answers: Answer, then: Answer | None = None) -> None:
        """The next probes get these, in order; later ones `then` (default: as before)."""

    def hold(self) -> None:
        """Requests from now on are read and held until released."""

    def release(self, ids: Sequence[str] | None = None) -> None: ...
    def refuse(self) -> None:
        """Closes the listening socket: new connections are refused, probes too."""

    def accept(self) -> None: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...


class StagedPool:
    name: str
    spec: Pool
    backends: tuple[StagedBackend, ...]

    def __getitem__(self, name: str) -> StagedBackend: ...  # type: ignore[empty-body]


class Pending:
    """A request on its way."""

    id: str

    def wait(self, within: float) -> Exchange: ...  # type: ignore[empty-body]


class Client:
    """One client: its source address, its cookie jar where it has one, its kept connection where it keeps it."""

    jar: dict[str, str]

    def send(self, to: Any, **request: Any) -> Exchange: ...  # type: ignore[empty-body]


class Traffic:
    """Open-loop traffic; exchanges that are over so far, and once stopped all of them."""

    exchanges: list[Exchange]


class Stage:
    """One check's world."""

    spec: Spec
    history: History
    rng: random.Random
    lab: str
    target: str
    subject: Subject

    @property
    def slack(self) -> float:
        """Seconds to add to every bound in time; measured under the planned rate."""

    def pool(self, name: str) -> StagedPool: ...  # type: ignore[empty-body]

    def to(self, where: StagedPool | Pool | Rule | Listener | str) -> tuple[str, Request]:
        """(listener name, a request that reaches it): a pool's own rule or default, a rule's witness, a listener's `/`."""

    def send(
        self,
        to: Any,
        *,
        n: int = 1,
        rounds: int | None = None,
        fresh: bool = True,
        method: str | None = None,
        target: str | None = None,
        host: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        chunked: bool = False,
        source: str | None = None,
        within: float = 10.0,
    ) -> list[Exchange]:
        """`n` requests one after another (`rounds` of as many as the pool has backends); each on a fresh connection or all on one."""

    def one(self, to: Any, **request: Any) -> Exchange:
        """`send` of one."""

    def start(self, to: Any, **request: Any) -> Pending:
        """Sends without waiting for the answer."""

    def raw(self, to: Any, data: bytes, *, source: str | None = None, within: float = 2.0, half_close: bool = False) -> list[Exchange]:
        """Sends these exact bytes on a fresh connection and reads what answers come until the peer closes or `within` passes."""

    def client(self, *, source: str | None = None, cookies: bool = False, keep_alive: bool = False) -> Client: ...

    @contextmanager
    def traffic(self, to: Any, *, rate: float, **request: Any) -> Iterator[Traffic]:
        """Steady open-loop traffic while the block runs."""

    def wait(self, seconds: float) -> None:
        """Lets time pass."""

    def wait_for(self, condition: Callable[[History], bool], within: float) -> bool:
        """Waits until the condition holds (looked at after every event); for readiness, never to make a property green."""

    def settle(self) -> None:
        """Every backend of every pool with an active check has had its `settle_probes` good probes."""

    def sync(self) -> History:
        """The history with everything that backends have recorded up to now."""

    def note(self, what: str, on: str = "", detail: str = "") -> None:
        """Puts an `Act` into the history."""
