"""Names over DNS inside a sealed lab, for balancers that ask a server by themselves (RFC 1035)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading
from collections.abc import Mapping

PORT = 53
MESSAGE_BYTES = 4096
HEADER = struct.Struct("!6H")  # section 4.1.1
QUESTION, ANSWER = struct.Struct("!2H"), struct.Struct("!3HIH")  # sections 4.1.2 and 4.1.3
RESPONSE, AUTHORITATIVE, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
NO_ERROR, NO_SUCH_NAME, NOT_IMPLEMENTED = 0, 3, 4
TYPE_A, CLASS_IN = 1, 1
NAME_OF_QUESTION = 0xC000 | HEADER.size  # a pointer, section 4.1.4
TTL_S = 1


def answer(query: bytes, names: Mapping[str, str]) -> bytes:
    """The response to one query: the IPv4 address of a name that is known, else that there is none.

    b"" for what is no query. Names are compared without regard to case (section 2.3.3).
    """
    if len(query) < HEADER.size:
        return b""
    number, flags, questions, *_ = HEADER.unpack_from(query)
    if flags & RESPONSE:
        return b""
    name, end = _name(query, HEADER.size)
    if questions != 1 or not name or len(query) < end + QUESTION.size:
        return _head(number, flags, NOT_IMPLEMENTED, 0, 0)
    kind, family = QUESTION.unpack_from(query, end)
    asked = query[HEADER.size : end + QUESTION.size]
    address = names.get(name.lower())
    if address is None:
        return _head(number, flags, NO_SUCH_NAME, 1, 0) + asked
    if (kind, family) != (TYPE_A, CLASS_IN):
        return _head(number, flags, NO_ERROR, 1, 0) + asked
    data = ipaddress.IPv4Address(address).packed
    found = ANSWER.pack(NAME_OF_QUESTION, TYPE_A, CLASS_IN, TTL_S, len(data)) + data
    return _head(number, flags, NO_ERROR, 1, 1) + asked + found


def _head(number: int, flags: int, code: int, questions: int, answers: int) -> bytes:
    said = RESPONSE | AUTHORITATIVE | RECURSION_AVAILABLE | (flags & RECURSION_DESIRED) | code
    return HEADER.pack(number, said, questions, answers, 0, 0)


def _name(message: bytes, at: int) -> tuple[str, int]:
    """(the name in the question, where it ends); ("", 0) where it is cut or compressed, which no query is."""
    labels = []
    while at < len(message) and (size := message[at]):
        if size > 63 or at + 1 + size > len(message):
            return "", 0
        labels.append(message[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    return (".".join(labels), at + 1) if at < len(message) else ("", 0)


class NameServer:
    """Answers on every address of this network, from a thread, since balancers ask while the harness does not run."""

    def __init__(self, names: dict[str, str]) -> None:
        """`names` is looked into for each query, so that later ones are known too."""
        self._names = names
        self._ended = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("0.0.0.0", PORT))
        self._thread = threading.Thread(target=self._serve, name="lbcheck names", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended:
            try:
                query, client = self._socket.recvfrom(MESSAGE_BYTES)
                if said := answer(query, {name.lower(): address for name, address in self._names.items()}):
                    self._socket.sendto(said, client)
            except ConnectionError:
                continue  # of a client that is gone (ICMP)
            except OSError:
                return

    def close(self) -> None:
        self._ended = True
        with contextlib.suppress(OSError):  # nobody is connected; it wakes the thread all the same
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
