"""DNS inside a sealed lab: messages as RFC 1035 has them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbcheck.lab.sealed_names import answer

NAMES = {"web1.internal": "198.19.1.0"}
A, AAAA, SRV = 1, 28, 33
OPT = b"\0\0\x29\x20\0\0\0\0\0\0\0"  # EDNS (RFC 6891), as HAProxy adds


def query(name: str, kind: int = A, *, extra: bytes = b"") -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = struct.pack("!6H", 0x1234, 0x0100, 1, 0, 0, 1 if extra else 0)
    return head + labels + b"\0" + struct.pack("!2H", kind, 1) + extra


def told(response: bytes) -> tuple[int, int, int]:
    """(number, code, answers)"""
    number, flags, questions, answers, *_ = struct.unpack_from("!6H", response)
    assert flags & 0x8000
    assert questions == 1
    return number, flags & 0xF, answers


@pytest.mark.parametrize("name", ["web1.internal", "WEB1.Internal"])
@pytest.mark.parametrize("extra", [b"", OPT])
def test_a_known_name_has_its_address(name: str, extra: bytes) -> None:
    response = answer(query(name, extra=extra), NAMES)
    assert told(response) == (0x1234, 0, 1)
    assert response[-4:] == bytes([198, 19, 1, 0])
    assert response[12 : 12 + len(name) + 2] == query(name)[12 : 12 + len(name) + 2]  # the question comes back as asked


def test_other_kinds_of_a_known_name_are_none_and_an_unknown_name_is_no_name() -> None:
    assert told(answer(query("web1.internal", AAAA), NAMES)) == (0x1234, 0, 0)
    assert told(answer(query("web1.internal", SRV), NAMES)) == (0x1234, 0, 0)
    assert told(answer(query("web2.internal"), NAMES)) == (0x1234, 3, 0)


@given(st.binary(max_size=80))
def test_no_message_is_too_odd(message: bytes) -> None:
    assert len(answer(message, NAMES)) <= max(len(message) + 16, 12)


@given(st.integers(0, len(query("web1.internal")) - 1))
def test_a_cut_query_gets_no_address(size: int) -> None:
    response = answer(query("web1.internal")[:size], NAMES)
    assert response == b"" or struct.unpack_from("!6H", response)[3] == 0
