"""Heads: what is read is what was written, lines that were met before are read no differently."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.balancer.wire import (
    MAX_KNOWN,
    BadMessage,
    answer_framing,
    known_sections,
    own_answer,
    parse_answer,
    parse_request,
    written,
)
from tests.balancer.test_server_refusals import REFUSED

# RFC 9112 sections 3 and 5 as one expression, in place of the reader's own steps
GRAMMAR = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!\"$-~]+ HTTP/1\.[01]\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n"
)
TOKEN = st.text("abcXYZ019-_.!~", min_size=1, max_size=12)
SECTIONS = known_sections()
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)


@given(TOKEN, st.lists(st.tuples(TOKEN, VALUE), max_size=10))
def test_a_request_is_read_as_it_was_written(method: str, fields: list[tuple[str, str]]) -> None:
    acted_on = {"host", "connection", "content-length", "transfer-encoding", "expect"}
    fields = [("Host", "a.test"), *[f for f in fields if f[0].lower() not in acted_on]]
    head = written(f"{method} /x?y HTTP/1.1", fields)
    for sections in (known_sections(), SECTIONS, SECTIONS):
        *line, section = parse_request(head[:-4], sections)
        assert line == [method, "/x?y", "a.test", "1.1", True]
        assert (section.fields, section.framed) == (tuple(fields), False)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_whatever_is_read_would_be_acceptable_to_the_grammar(lines: list[bytes]) -> None:
    head = b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines])
    try:
        parse_request(head, SECTIONS)
    except BadMessage:
        return
    assert GRAMMAR.fullmatch(head + b"\r\n\r\n")


def test_a_line_is_refused_every_time_it_comes() -> None:
    for _ in range(3):
        with pytest.raises(BadMessage):
            parse_request(b"GET / HTTP/1.1\r\nHost: a/b", SECTIONS)
        with pytest.raises(BadMessage):
            parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nX : 1", SECTIONS)


def test_a_flood_of_new_lines_does_not_make_it_forget_what_it_acts_on() -> None:
    for number in range(5000):
        head = b"GET /%d HTTP/1.1\r\nHost: h%d\r\nX-%d: 1\r\nContent-Length: %d\r\nConnection: close" % ((number,) * 4)
        *_, host, _, keep_alive, section = parse_request(head, SECTIONS)
        assert (host, section.framed, keep_alive) == (f"h{number}", True, False)
        assert len(section.fields) == 4


def test_what_is_remembered_is_bounded_in_number_and_size() -> None:
    sections = known_sections()
    for number in range(5000):
        parse_request(b"GET / HTTP/1.1\r\nHost: h%d" % number, sections)
        parse_request(b"GET / HTTP/1.1\r\nHost: h%d\r\nX: %b" % (number, b"x" * 2000), sections)
        assert 0 < len(sections) <= MAX_KNOWN
    assert all(len(data) < 2000 for data in sections)


@pytest.mark.parametrize(("data", "status"), [r[1:] for r in REFUSED if b"\r\n\r\n" in r[1]])
def test_what_the_grammar_refuses_is_refused(data: bytes, status: int) -> None:
    head = data.partition(b"\r\n\r\n")[0]
    if GRAMMAR.fullmatch(head + b"\r\n\r\n") is None:
        with pytest.raises(BadMessage) as refused:
            parse_request(head, SECTIONS)
        assert refused.value.status == status


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"Content-Length: 5", (5, True)),
        (b"Content-Length: 0", (0, True)),
        (b"Transfer-Encoding: Chunked", ("chunked", True)),
        (b"X: 1", ("close", True)),
        (b"Connection: close", ("close", False)),
        (b"Content-Length: 5\r\nConnection: close", (5, False)),
        (b"Content-Length: 5\r\nConnection: x, Close", (5, False)),
    ],
)
def test_an_answer_ends_where_the_rfc_says(fields: bytes, expected: tuple[object, bool]) -> None:
    _, _, version, _, acted_on = parse_answer(b"HTTP/1.1 200 OK\r\n" + fields)
    assert answer_framing(acted_on, version) == expected


def test_an_answer_in_http_1_0_ends_its_connection_unless_it_says_otherwise() -> None:
    for fields, kept in ((b"Content-Length: 1", False), (b"Content-Length: 1\r\nConnection: keep-alive", True)):
        _, _, version, _, acted_on = parse_answer(b"HTTP/1.0 200 OK\r\n" + fields)
        assert answer_framing(acted_on, version) == (1, kept)


def test_own_answers_carry_no_body_where_none_may_be() -> None:
    for status in (204, 304):
        head, _, body = own_answer(status, head_only=False, close=False).partition(b"\r\n\r\n")
        assert (body, b"Content-Length" in head) == (b"", False)
    head, _, body = own_answer(503, head_only=True, close=True).partition(b"\r\n\r\n")
    assert body == b""
    assert head.endswith(b"Connection: close")
    assert b"Content-Length: 24" in head
