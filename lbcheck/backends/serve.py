"""The command `lbcheck backend`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lbcheck.backends.life import new_event_loop
from lbcheck.backends.standalone import Standalone

TOKEN = "LBCHECK_TOKEN"  # where both sides find the secret: a command line is seen by everybody on the machine
SHORTEST = 16


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lbcheck backend",
        description="An instrumented backend to register behind a balancer that runs already. It echoes requests; a "
        f"run of pytest that knows its control port and its token (the environment's {TOKEN}, else one is made up and "
        "printed) scripts it and reads what arrived. It takes no other commands, and should not be reached by others.",
    )
    parser.add_argument("--port", type=int, required=True, help="where the balancer finds it; 0: any")
    parser.add_argument(
        "--control", type=_control, required=True, metavar="PORT", help="where pytest finds it; 0: any; or unix:PATH"
    )
    parser.add_argument("--address", default="127.0.0.1", metavar="HOST", help="of both ports (default: %(default)s)")
    parser.add_argument("--name", default="", help="as the spec calls it (default: whatever the spec calls it)")
    return parser


def _control(text: str) -> int | Path:
    """A port, or the path of a Unix socket. ValueError where it is neither."""
    return Path(text.removeprefix("unix:")) if text.startswith("unix:") else int(text)


async def _run(options: argparse.Namespace, token: str, *, told: bool) -> None:
    backend = Standalone(options.name, options.address, token)
    control = await backend.start(options.port, options.control)
    serving = asyncio.ensure_future(backend.serve())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    said: dict[str, object] = {"ready": True, "pid": os.getpid(), "port": backend.port, "control": control}
    print(json.dumps(said if told else {**said, "token": token}), flush=True)
    where = f"{options.address}:{control}" if control else options.control
    _say(f"listens on {options.address}:{backend.port}; --lb-backend={options.name or 'NAME'}={where}")
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    finally:
        await backend.stop()


def _say(text: str) -> None:
    print(f"lbcheck backend: {text}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """0 after SIGTERM or SIGINT; 2 with the reason on stderr where it can't begin or go on."""
    options = parser().parse_args(argv)
    given = os.environ.get(TOKEN, "")
    if given and len(given) < SHORTEST:
        _say(f"{TOKEN} has {len(given)} characters, expected at least {SHORTEST}; leave it out to have one made")
        return 2
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_run(options, given or secrets.token_urlsafe(32), told=bool(given)))
    except OSError as error:
        _say(f"cannot listen on {options.address}, ports {options.port} and {options.control}: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
