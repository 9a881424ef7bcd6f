"""The reference balancer as a process: `python -m lbcheck.balancer.serve lb.yaml`.

Ready: one JSON line on stdout, {"ready", "pid", "listeners", "admin", "token"}; everything else is said on stderr.
SIGHUP reads the spec file again and keeps what lives; SIGTERM and SIGINT finish what is under way, a second ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from lbcheck import clock
from lbcheck.balancer.accesslog import AccessLog
from lbcheck.balancer.admin import Admin
from lbcheck.balancer.decisions import Decisions
from lbcheck.balancer.server import Balancer
from lbcheck.errors import LbcheckError, UsageError
from lbcheck.spec.document import read

_GRACE_S = 30.0


def say(text: str) -> None:
    print(f"{clock.wall_time()} lbcheck: {text}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="lbcheck serve", description="Runs the reference balancer.")
    known.add_argument("spec", nargs="?", default=os.environ.get("LBCHECK_SPEC"), help="lb.yaml, or a spec as JSON")
    known.add_argument(
        "--admin", metavar="HOST:PORT", help="admin API on loopback; port 0 takes a free one; or unix:PATH"
    )
    known.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds the admin API's bearer token (default: drawn)"
    )
    known.add_argument("--access-log", metavar="FILE", help="one line a request; - is stderr")
    known.add_argument("--seed", type=int, help="of every random draw (default: drawn)")
    known.add_argument("--defect", metavar="NAME", help="makes this named mistake, on purpose")
    known.add_argument("--grace", type=float, default=_GRACE_S, metavar="SECONDS", help="for a graceful stop")
    return known


def decisions_class(defect: str | None) -> type[Decisions]:
    if defect is None:
        return Decisions
    from lbcheck.balancer.defects import decisions_with

    return decisions_with(defect)


class Service:
    """A balancer with its signals, its admin API and its files."""

    def __init__(self, options: argparse.Namespace) -> None:
        if not options.spec:
            raise UsageError("no spec", remedy="give lb.yaml as the argument, or its path in LBCHECK_SPEC")
        self._options = options
        self._path = Path(options.spec)
        self._spec = read(self._path)
        self._stops: asyncio.Queue[None] = asyncio.Queue()
        seed = secrets.randbits(64) if options.seed is None else options.seed
        rng = random.Random(seed)
        decisions = decisions_class(options.defect)(self._spec, rng, clock.process_now(), secrets.token_bytes(32))
        self._log_file = _opened(options.access_log)
        self._balancer = Balancer(decisions, access_log=AccessLog(self._log_file) if self._log_file else None)
        self._token = _token(options.token_file)
        self._admin = Admin(self._balancer, self._token, self._reload)

    async def run(self) -> None:
        """Serves until it is told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stops.put_nowait, None)
        loop.add_signal_handler(signal.SIGHUP, self._reload_or_say)
        admin = await self._open_admin(self._options.admin or "")
        try:
            await self._balancer.start()
            self._say_ready(admin)
            await self._stops.get()
            await self._stop()
        finally:
            self._admin.close()
            self._balancer.abort()
            if self._log_file not in (None, sys.stderr):
                self._log_file.close()

    async def _open_admin(self, where: str) -> tuple[str, int] | None:
        """The address in use, where it is one."""
        if where.startswith("unix:"):
            await self._admin.start_unix(where.removeprefix("unix:"))
            return None
        return await self._admin.start(*_address(where)) if where else None

    async def _stop(self) -> None:
        say(f"stopping; requests under way have {self._options.grace:g} s")
        graceful = asyncio.ensure_future(self._balancer.stop(self._options.grace))
        again = asyncio.ensure_future(self._stops.get())
        await asyncio.wait({graceful, again}, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if not graceful.done():
            say("told twice: ending at once")
            graceful.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await graceful
        say("stopped")

    def _reload(self) -> None:
        self._balancer.reload(read(self._path))
        say(f"reloaded {self._path}")

    def _reload_or_say(self) -> None:
        try:
            self._reload()
        except LbcheckError as error:
            say(f"not reloaded, the old spec stays in force: {error}")

    def _say_ready(self, admin: tuple[str, int] | None) -> None:
        listeners = {f.listener.name: "{}:{}".format(*f.address) for f in self._balancer.frontends}
        said: dict[str, object] = {"ready": True, "pid": os.getpid(), "listeners": listeners}
        if admin is not None:
            said["admin"] = "{}:{}".format(*admin)
            if self._options.token_file is None:
                said["token"] = self._token
        print(json.dumps(said), flush=True)
        say(", ".join(f"{name} on {address}" for name, address in listeners.items()))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise UsageError(f"--admin is {text!r}, expected HOST:PORT or unix:PATH")
    return host.strip("[]"), int(port)


def _token(file: Path | None) -> str:
    if file is None:
        return secrets.token_urlsafe(32)
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {file} can't be read: {error}") from error
    if len(token) < 16 or not token.isascii() or not token.isprintable():
        raise UsageError(f"--token-file {file}: expected one line of at least 16 printable characters")
    return token


def _opened(name: str | None) -> TextIO | None:
    if name is None:
        return None
    if name == "-":
        return sys.stderr
    try:
        return Path(name).open("a", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--access-log {name} can't be written: {error}") from error


def _run(service: Service) -> None:
    try:
        import uvloop
    except ImportError:  # as on PyPy: slower, and the same
        asyncio.run(service.run())
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(service.run())


def main(argv: Sequence[str] | None = None) -> int:
    """0 after a stop; 2 with the reason on stderr where it can't begin."""
    try:
        _run(Service(parser().parse_args(argv)))
    except LbcheckError as error:
        say(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
