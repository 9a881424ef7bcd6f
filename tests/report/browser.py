"""A headless Chromium over the DevTools protocol's pipe: JSON objects with a NUL after each, on descriptors 3 and 4."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank",
)  # fmt: skip
ANSWER_S = 60.0  # a browser that says nothing for so long is broken


class Page:
    """One tab. `events` holds what it reported: requests, dialogs, parsed scripts, log entries."""

    def __init__(self, pipe: Pipe, session: str) -> None:
        self._pipe, self._session = pipe, session
        for domain in ("Page", "Network", "Runtime", "Debugger", "Log"):
            self.call(f"{domain}.enable")
        self.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._pipe.call(method, params, self._session)

    def open(self, path: Path, *, fragment: str = "") -> None:
        """Loads the file and returns when it has been loaded; events of earlier pages are forgotten."""
        for url in ("about:blank", f"{path.resolve().as_uri()}{fragment}"):  # else a new fragment alone loads nothing
            self._pipe.events.clear()
            self.call("Page.navigate", url=url)
            self._pipe.wait("Page.loadEventFired", self._session)

    def set_up(
        self, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True, media: str = ""
    ) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def type(self, text: str) -> None:
        """As a keyboard does, one key after another."""
        for key in text:
            self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def events(self, method: str) -> list[dict[str, Any]]:
        return [e["params"] for e in self._pipe.events if e["method"] == method and e.get("sessionId") == self._session]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


class Pipe:
    """Calls and their answers; everything else that comes is an event."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, params: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while (came := self._read()).get("id") != number:
            self._keep(came)
        if "error" in came:
            raise AssertionError(f"{method}: {came['error']}")
        return came["result"]  # type: ignore[no-any-return]

    def wait(self, method: str, session: str) -> None:
        while not any(e["method"] == method and e.get("sessionId") == session for e in self.events):
            self._keep(self._read())

    def _keep(self, came: dict[str, Any]) -> None:
        if "method" in came:
            self.events.append(came)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], ANSWER_S)
            data = os.read(self._in, 1 << 20) if ready else b""
            if not data:
                raise AssertionError("chromium went away" if ready else f"chromium said nothing for {ANSWER_S} s")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)  # type: ignore[no-any-return]


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A fresh tab in a fresh browser, which ends with the block."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "no Chromium found: the report's browser tests need it (apt-get install chromium)"
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    child = _start([program, f"--user-data-dir={profile}", *FLAGS], their_in, their_out)
    try:
        pipe = Pipe(our_out, our_in)
        target = pipe.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        yield Page(pipe, pipe.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])
    finally:
        os.close(our_out)
        os.close(our_in)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _start(command: list[str], to_child: int, from_child: int) -> int:
    """The process id of a new group's leader that has these as its descriptors 3 and 4; both are closed here."""
    null = os.open(os.devnull, os.O_RDWR)
    low = [null, to_child, from_child]
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in low]  # so that no copy hits a source
    places = zip((0, 1, 2, 3, 4), (high[0], high[0], high[0], high[1], high[2]), strict=True)
    actions = [(os.POSIX_SPAWN_DUP2, source, place) for place, source in places]
    try:
        return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setpgroup=0)
    finally:
        for descriptor in low + high:
            os.close(descriptor)
