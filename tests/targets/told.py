"""A command under the exec contract that forwards nothing: it listens, and prints what it was given and is told.

Run as a program. Every line that it prints is a JSON object; a child in its process group prints signals that reach it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def say(what: str, **more: object) -> None:
    print(json.dumps({"what": what, "pid": os.getpid(), **more}), flush=True)


def read() -> dict[str, object]:
    with open(os.environ["LBCHECK_SPEC"], encoding="utf-8") as file:  # noqa: PTH123
        spec: dict[str, object] = json.load(file)
    return spec


def serve() -> None:
    spec = read()
    listeners = [socket.create_server((each["address"], each["port"])) for each in spec["listeners"]]  # type: ignore[attr-defined]
    say("started", words=sys.argv[1:], folder=os.getcwd(), group=os.getpgrp(), spec=spec)  # noqa: PTH109
    signal.signal(signal.SIGHUP, lambda *_: say("SIGHUP", spec=read()))
    signal.signal(signal.SIGTERM, lambda *_: say("SIGTERM"))
    if os.fork() == 0:
        say("child")
    while listeners:
        signal.pause()


if __name__ == "__main__":
    serve()
