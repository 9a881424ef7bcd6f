"""The `requests.Session` behind the fixture `lb`: no proxies, no retries, ids injected, exchanges recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from lbcheck import clock
from lbcheck.client.http import Endpoint
from lbcheck.history import ID_HEADER, Exchange, History
from lbcheck.lab.stage import Stage
from lbcheck.spec.model import Listener
from lbcheck.spec.routing import scheme

BODY_KEPT = 4096
ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (requests.exceptions.Timeout, "timeout"),
    (requests.exceptions.ChunkedEncodingError, "cut"),
    (requests.exceptions.ConnectionError, "closed"),
)


def session_on(stage: Stage) -> Session:
    listener = stage.spec.listeners[0]
    return Session(listener, stage.endpoint(listener.name), stage.history)


class Session(requests.Session):
    """Relative URLs join the listener; what the environment says of proxies or credentials does not count."""

    def __init__(self, listener: Listener, to: Endpoint, history: History) -> None:
        super().__init__()
        self.trust_env = False
        if to.tls is not None and to.tls.cafile is not None:
            self.verify = str(to.tls.cafile)
        name = listener.address or "" if to.tls is None else to.tls.name
        self.base = f"{scheme(listener)}://{f'[{name}]' if ':' in name else name}:{listener.port}/"
        adapter = RecordingAdapter(listener.name, self.base, history)
        self.mount(f"{scheme(listener)}://", adapter)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        text = url.decode() if isinstance(url, bytes) else url
        return super().request(method, urljoin(self.base, text), *args, **kwargs)


class RecordingAdapter(HTTPAdapter):
    """Sends once, whatever comes, and appends an Exchange for each request to the balancer."""

    def __init__(self, listener: str, base: str, history: History) -> None:
        super().__init__(max_retries=0)
        self._listener = listener
        self._base = base
        self._history = history
        self._count = 0

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if not (request.url or "").startswith(self._base):
            return super().send(request, *args, **kwargs)  # a redirect that leads elsewhere
        self._count += 1
        request.headers.setdefault(ID_HEADER, f"lb-{self._count}")
        invoked = clock.process_now()
        try:
            response = super().send(request, *args, **kwargs)
        except requests.exceptions.RequestException as error:
            self._record(request, invoked, error=_word_for(error))
            raise
        self._read(request, response, invoked)
        return response

    def _read(self, request: requests.PreparedRequest, response: requests.Response, invoked: float) -> None:
        first_byte = clock.process_now()
        try:
            content = response.content
        except requests.exceptions.RequestException as error:
            self._record(request, invoked, response, first_byte, error=_word_for(error))
            raise
        self._record(request, invoked, response, first_byte, content)

    def _record(
        self,
        request: requests.PreparedRequest,
        invoked: float,
        response: requests.Response | None = None,
        first_byte: float | None = None,
        content: bytes | None = None,
        error: str | None = None,
    ) -> None:
        url = urlsplit(request.url or "")
        self._history.append(
            Exchange(
                id=request.headers[ID_HEADER],
                listener=self._listener,
                method=request.method or "GET",
                target=f"{url.path or '/'}{'?' if url.query else ''}{url.query}",
                source="",
                connection=f"requests-{self._count}",
                index=0,
                invoked=invoked,
                first_byte=first_byte,
                done=clock.process_now(),
                status=response.status_code if response is not None else None,
                headers=_headers(response),
                body=(content or b"")[:BODY_KEPT],
                body_len=len(content or b""),
                body_sha=hashlib.sha256(content).hexdigest() if content is not None else "",
                complete=content is not None,
                error=error,
            )
        )


def _headers(response: requests.Response | None) -> tuple[tuple[str, str], ...]:
    if response is None:
        return ()
    # urllib3 keeps repeated fields apart; requests' own mapping joins them.
    return tuple(response.raw.headers.iteritems())


def _word_for(error: Exception) -> str:
    inner: Callable[[str], bool] = repr(error).__contains__
    if inner("refused"):
        return "refused"
    if inner("reset by peer"):
        return "reset"
    return next((word for kind, word in ERRORS if isinstance(error, kind)), "garbage")
