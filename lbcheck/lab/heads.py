"""Messages as exact bytes, for checks of what the client and the backends write only one way. Pure."""

from __future__ import annotations

from lbcheck.history import BACKEND_HEADER, ID_HEADER
from lbcheck.spec.request import Request


def request_head(
    request: Request, id: str, *fields: tuple[str, str], method: str | None = None, version: str = "1.1"
) -> bytes:
    """The head of a request to where this one goes; `fields` come last."""
    named = (("Host", request.host), (ID_HEADER, id), *request.headers, *fields)
    line = f"{method or request.method} {request.target} HTTP/{version}\r\n"
    return (line + _lines(named) + "\r\n").encode("latin-1")


def signed_answer(backend: str, id: str, *fields: tuple[str, str], version: str = "1.1", body: bytes = b"") -> bytes:
    """An answer with 200 that a backend signs, as it reads: framed by its fields alone."""
    signature = ((BACKEND_HEADER, backend), (ID_HEADER, id))
    return f"HTTP/{version} 200 OK\r\n{_lines((*signature, *fields))}\r\n".encode("latin-1") + body


def _lines(fields: tuple[tuple[str, str], ...]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields)
