"""What is decided of a message or a connection by itself, whatever rules and pools say: framing, keeping, waiting."""

# ruff: noqa: ARG002  (the shell tells more than the right decisions need; wrong ones may use it)

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from lbcheck.balancer import bodies, framing
from lbcheck.balancer.manners import Manners
from lbcheck.balancer.request import Request
from lbcheck.balancer.wire import MAX_HEAD
from lbcheck.spec.model import Listener


class Messages(Manners):
    """Where messages end, and what of a connection outlives them."""

    keeps_early: ClassVar[bool] = False  # may a connection be kept whose answer came before all of its request went?
    ends_early: ClassVar[bool] = True  # does a client's connection end with an answer ahead of its request's end?
    ends_refused: ClassVar[bool] = True  # does a client's connection end when a request on it is refused?
    lingers: ClassVar[bool] = True  # is what a client still sends read on for a while after an answer ahead of it?
    reads_over_lines: ClassVar[bool] = True  # is an empty line before a request passed over?
    hears_closes: ClassVar[bool] = True  # is a kept connection given up when its backend closes it?
    keeps_surplus: ClassVar[bool] = False  # is what a backend sends behind an answer kept for the next request?
    forgets_halves: ClassVar[bool] = True  # is the beginning of an answer's head forgotten once all of it has come?
    passes_surplus: ClassVar[bool] = False  # is it passed on to the client, where it comes with the answer?
    counts_interims_anew: ClassVar[bool] = True  # does the count of 1xx answers begin with each request?
    drops_unasked: ClassVar[bool] = True  # is a kept connection given up on which a backend says something unasked?
    reads_bits: ClassVar[bool] = True  # may the first bytes of an answer come one by one?
    resumes_kept: ClassVar[bool] = True  # is a connection read again that was held back to its answer's end?
    breaks_short_bodies: ClassVar[bool] = True  # is a body that its connection cuts short taken for broken?
    timers_live_on: ClassVar[bool] = True  # can a timer be set again once it has fired?
    pipelines: ClassVar[bool] = True  # is a request kept that comes before the answer to the one ahead of it?
    reads_behind_bodies: ClassVar[bool] = True  # is it kept too where it comes with the end of a body?
    reads_behind_nothing: ClassVar[bool] = True  # and where that body is empty?
    goes_on_when_read: ClassVar[bool] = True  # does what waits for a slow client to read go on once it has?
    ends_empty_bodies: ClassVar[bool] = True  # has a body in chunks a last one also where there was no other?
    stays_slow: ClassVar[bool] = False  # is a client that has caught up in mid-answer still taken for slow?
    reads_on: ClassVar[bool] = True  # is a client read again that was ahead with more than is kept?
    streams: ClassVar[bool] = True  # is a part of an answer passed on as it comes?
    says_keep_alive: ClassVar[bool] = True  # is a client of HTTP/1.0 told that its connection is kept?
    waits_for_uploads: ClassVar[bool] = True  # does the response timeout begin when all of the request has been sent?
    waits_for_readers: ClassVar[bool] = True  # does it stand still while the client does not take what has come?
    holds_backends: ClassVar[bool] = True  # is no more of an answer read than its client takes?
    waiting_is_idle: ClassVar[bool] = False  # does a client's idle time run while it waits for its answer?
    bodies_end_idling: ClassVar[bool] = True  # does it begin anew with a request whose body is still to come?
    holds_later_parts: ClassVar[bool] = True  # is what comes of a body after its head kept too, to be sent again?
    forgets_the_late: ClassVar[bool] = True  # does who has waited too long for a free backend leave the queue?
    forgets_empty_lines: ClassVar[bool] = True  # is a line at whose end nobody stands any more no line?
    moves_everybody: ClassVar[bool] = True  # do as many go as there is room for, where more than one place is free?
    max_head: ClassVar[int] = MAX_HEAD  # bytes of a request's head

    def framing(self, method: str, headers: Sequence[tuple[str, str]], version: str) -> int | Literal["chunked"] | None:
        """The request body's framing (RFC 9112 section 6.3): a length, "chunked", or None: refuse with 400."""
        return framing.framing(headers, version)

    def answer_persists(self, version: str, persists: bool) -> bool:
        """Does an answer of this version let its connection live, whose fields say so or not?"""
        return persists

    def idle_since(self, began: float, over: float) -> float:
        """Since when a client is idle whose exchange began and is over."""
        return over

    def kept_until(self, now: float, idle_s: float) -> float:
        """When a backend's connection that is kept from now on is given up."""
        return now + idle_s

    def host_of(self, hosts: Sequence[str]) -> str | None:
        """The Host of a request that has several; None: it is refused with 400 (RFC 9112 section 3.2)."""
        return None

    def ends_by_close(self, framing: int | str) -> bool:
        """Is an answer of this framing whole when its connection ends in order, in the midst of it?"""
        return framing == "close"

    def answer_lengths(self, lengths: Sequence[str]) -> Sequence[str]:
        """Those of an answer's Content-Lengths that speak for it; of several no answer is passed on."""
        return lengths

    def body_expected(self, method: str, status: int) -> bool:
        """Does an answer of this status to this method have a body?"""
        return framing.body_expected(method, status)

    def own_body(self, method: str, status: int) -> bool:
        """Has the balancer's own answer of this status to this method a body?"""
        return framing.body_expected(method, status)

    def own_length(self, status: int) -> bool:
        """Does the balancer's own answer of this status say its length? Never 204 (RFC 9110 section 8.6)."""
        return status not in (204, 304)

    def body(self, framing: int | str) -> bodies.Body:
        """The reader for a body, of a request or an answer: a length, "chunked" or "close"."""
        return bodies.body_of(framing)

    def is_interim(self, status: int) -> bool:
        """Does another answer follow one of this status?"""
        return status < 200

    def passes_interim(self, version: str, status: int) -> bool:
        """Is an interim answer passed on to a client of this version? HTTP/1.0 has none (RFC 9110 section 15.2)."""
        return version == "1.1"

    def stays(self, request: Request, keep_alive: bool) -> bool:
        """Is the client's connection to be used again? `keep_alive`: so says the request (RFC 9112 section 9.3)."""
        return keep_alive

    def idle_s(self, listener: Listener) -> float:
        """Seconds that a client's connection may stand without a request on it."""
        return listener.idle_timeout

    def takes_chunks(self, version: str) -> bool:
        """Does a client of this version know chunks? (RFC 9112 section 7)"""
        return version == "1.1"

    def breaks_off(self, method: str, status: int) -> bool:
        """Is the client's answer broken off too when its backend's was, in the body? Never may it look whole."""
        return True

    def cut_by_reset(self, unframed: bool) -> bool:
        """Is an answer that is broken off ended with RST? One that the connection's end would end has to be."""
        return unframed

    def reusable(self, method: str, status: int, keep_alive: bool, clean: bool) -> bool:
        """May this upstream connection serve another request? `clean`: both messages ended exactly at their frames."""
        return keep_alive and clean and status >= 200
