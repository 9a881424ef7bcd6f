"""A backend's answer heads: each is read once and made once into what a client gets, however often it comes."""

from __future__ import annotations

from functools import partial

from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.wire import Known, answer_framing, parse_answer, written


class AnswerHead:
    """A head as read, and `passed`, as a client gets it where nothing has to be added.

    `framing`, `keep_alive`: see `answer_framing`; an interim answer has neither.
    """

    __slots__ = ("fields", "framing", "keep_alive", "line", "passed", "status")

    def __init__(self, decisions: Decisions, head: bytes) -> None:
        """`head`: without its last empty line. BadMessage for what must not be passed."""
        self.status, self.line, version, fields, acted_on = parse_answer(head)
        self.fields = tuple(fields)
        self.framing: int | str = 0
        self.keep_alive = False
        if self.status >= 200:
            self.framing, keep_alive = answer_framing(acted_on, version, decisions.answer_lengths)
            self.keep_alive = decisions.answer_persists(version, keep_alive)
        self.passed = written(f"HTTP/1.1 {self.line}", decisions.downstream_headers(self.fields))


def known_answers(decisions: Decisions) -> Known[AnswerHead]:
    return Known(partial(AnswerHead, decisions), 1024)
