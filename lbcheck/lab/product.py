"""A balancer under test that lbcheck starts: its files written, tested by itself, started, ready, told, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lbcheck import clock
from lbcheck.errors import HarnessFault, TargetNeverReady, Unsupported
from lbcheck.lab import guardian
from lbcheck.lab.belongings import Belongings
from lbcheck.lab.preloaded import in_real_time
from lbcheck.spec.change import Change
from lbcheck.spec.model import Spec
from lbcheck.targets.base import Rendering, Signal, Step, Target, Tell, Wait

READY_WITHIN_S = 10.0
CHECK_WITHIN_S = 20.0  # the product's own test of its configuration
LOADED_WITHIN_S = 2.0  # from exec to the last of a program's libraries
LOOK_S = 0.005  # how often journals and the target's listeners are looked at
STOP_GRACE_S = 0.5  # what was asked is answered by now, or will not be
LOG_BYTES = 64 * 1024


class Product:
    """A balancer with files of its own in a folder; implements `TargetNode` but for how its program is run.

    That is told by those who inherit: `alive`, `log`, `kill`, `_run`, `_code`, `_signal` and `_tried`.
    """

    def __init__(self, target: Target, rendering: Rendering, folder: Path) -> None:
        self.name = target.name
        self._rendering = rendering
        self._folder = folder

    # --- its program -------------------------------------------------------------------------------------------------

    def alive(self) -> bool:
        raise NotImplementedError

    def log(self) -> str:
        raise NotImplementedError

    async def kill(self) -> None:
        raise NotImplementedError

    async def _run(self) -> None:
        """TargetNeverReady if the program cannot be run."""
        raise NotImplementedError

    def _code(self) -> int | None:
        """The exit code of a program that has ended."""
        raise NotImplementedError

    async def _signal(self, number: int) -> None:
        """To the process that was started, alone; nothing happens where it has ended."""
        raise NotImplementedError

    async def _tried(self, argv: Sequence[str]) -> tuple[int, str] | None:
        """(exit code, what it said) of another command in the same place; None where that cannot be had."""
        raise NotImplementedError

    # --- its files and its start ------------------------------------------------------------------------------------

    def left_out(self) -> tuple[str, ...]:
        return self._rendering.left_out

    def files(self) -> Mapping[str, str]:
        return self._rendering.files

    async def start(self) -> None:
        """Writes its files and starts it. TargetNeverReady if the program cannot be run."""
        self._write(self._rendering.files)
        await self._run()

    def _write(self, files: Mapping[str, str]) -> None:
        """By rename: whoever reads a file sees the old text or the new one."""
        for name, text in files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.write_text(text)
            new.replace(path)

    async def ready(self, spec: Spec) -> None:
        """Returns when every listener of the placed spec accepts; TargetNeverReady with its log where it does not."""
        self._spec = spec
        end = clock.now() + READY_WITHIN_S
        for host, port in [(x.address or "", x.port or 0) for x in spec.listeners]:
            while not await _accepts(host, port):
                if not self.alive():
                    raise await self._why_it_ended()
                if clock.now() > end:
                    raise TargetNeverReady(
                        f"target {self.name} did not accept on {host}:{port} within {READY_WITHIN_S:g} s",
                        log=self.log(),
                        remedy="does its configuration listen there?",
                    )
                await asyncio.sleep(LOOK_S)

    async def _why_it_ended(self) -> TargetNeverReady:
        """The product is asked about its configuration only now: most start, and a test costs as much as a start."""
        code = self._code()
        refused = await self._refusal()
        if refused is None:
            return TargetNeverReady(f"target {self.name} exited with code {code} before it accepted", log=self.log())
        return TargetNeverReady(
            f"target {self.name} refuses its configuration ({refused[0]})",
            log=refused[1],
            remedy="correct the configuration; if lbcheck rendered it, suspect its template",
        )

    async def _refusal(self) -> tuple[str, str] | None:
        """How the product's own test of its configuration fails, and what it says; None where it passes or is none."""
        argv = self._rendering.check_argv
        tested = None if argv is None else await self._tried(argv)
        return None if tested is None or tested[0] == 0 else (f"exit code {tested[0]}", tested[1])

    @property
    def _cwd(self) -> Path:
        return self._rendering.cwd or self._folder

    # --- change --------------------------------------------------------------------------------------------------

    async def change(self, change: Change, after: Spec) -> None:
        """As `TargetNode.change`. HarnessFault where it does not accept an order, with its log."""
        if self._rendering.orders is None:
            raise Unsupported(f"lbcheck knows no way to change {self.name} while it runs")
        orders = self._rendering.orders(change, after)
        self._write(orders.files)
        self._rendering = replace(self._rendering, files={**self._rendering.files, **orders.files})
        self._spec = after
        if orders.files and (refused := await self._refusal()):
            raise HarnessFault(
                f"target {self.name} refuses the changed configuration ({refused[0]}): {refused[1][-2000:]}",
                remedy="suspect lbcheck's template for this product and version",
            )
        for step in orders.steps:
            await self._take(step)

    async def _take(self, step: Step) -> None:
        if isinstance(step, Signal):
            await self._signal(step.number)
        if isinstance(step, Signal | Wait):
            await asyncio.sleep(self._spec.claims.reload_within)  # nobody says when it is in force: claimed is by then
            return
        said = await self._asked(step)
        if re.fullmatch(step.accepted, said) is None:
            raise HarnessFault(
                f"target {self.name} did not take {step.data[:200]!r}: it said {said[:500]!r}",
                remedy="suspect lbcheck's orders for this product and version",
            )

    async def _asked(self, step: Tell) -> str:
        """The whole answer, to the end of the connection."""
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                reader, writer = await asyncio.open_unix_connection(str(self._folder / step.socket))
                with contextlib.closing(writer):
                    writer.write(step.data)
                    return (await reader.read()).decode(errors="replace")
        except (OSError, TimeoutError) as error:
            raise HarnessFault(
                f"target {self.name} cannot be told on its control socket: {error!r}", remedy="see the target's log"
            ) from error

    async def retire(self) -> None:
        for step in self._rendering.retirement:
            await self._take(step)
        if not self._rendering.retirement:
            await self._signal(self._rendering.stop_signal)

    async def restart(self) -> None:
        await self._run()
        await self.ready(self._spec)


class ProcessTarget(Product):
    """A balancer in a process group of its own."""

    def __init__(self, target: Target, rendering: Rendering, folder: Path, belongings: Belongings) -> None:
        super().__init__(target, rendering, folder)
        self._belongings = belongings
        self._output = folder / "target.log"
        self._process: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        if not self._output.exists():
            return ""
        with self._output.open("rb") as file:
            file.seek(max(self._output.stat().st_size - LOG_BYTES, 0))
            return file.read().decode(errors="replace")

    async def _run(self) -> None:
        try:
            self._process = self._belongings.start(
                self._rendering.argv, env=self._rendering.env, cwd=self._cwd, output=self._output
            )
        except OSError as error:
            raise TargetNeverReady(f"target {self.name} cannot be run: {error}", remedy="see --lb-binary") from error

    def _code(self) -> int | None:
        return self._process.returncode if self._process else None

    async def _tried(self, argv: Sequence[str]) -> tuple[int, str] | None:
        try:
            tested = await asyncio.to_thread(  # the loop is the clock of traffic that goes on meanwhile
                subprocess.run,
                argv,
                env=self._environment,
                cwd=self._cwd,
                capture_output=True,
                timeout=CHECK_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return tested.returncode, (tested.stdout + tested.stderr).decode(errors="replace")

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self._rendering.env, **self._belongings.environment}

    async def _signal(self, number: int) -> None:
        if self._process is not None and self.alive():
            self._process.send_signal(number)

    async def kill(self) -> None:
        if self._process is not None:
            self._belongings.end(self._process, grace_s=STOP_GRACE_S, by=signal.SIGKILL)

    async def refuse_real_time(self, rate: int) -> None:
        """HarnessFault where its clock was to run faster, and one of its processes is without libfaketime."""
        slow, end = self._in_real_time(rate), clock.now() + LOADED_WITHIN_S
        while slow and clock.now() < end:  # a process that has just called exec has no libraries yet
            await asyncio.sleep(LOOK_S)
            slow = self._in_real_time(rate)
        if slow:
            raise HarnessFault(
                f"--lb-warp={rate}: {', '.join(slow)} of the target {self.name} runs in real time, without libfaketime",
                remedy="let nothing on its way take LD_PRELOAD from its environment, or leave --lb-warp out",
            )

    def _in_real_time(self, rate: int) -> list[str]:
        if rate == 1 or self._process is None:
            return []
        group = self._process.pid
        return list(in_real_time(guardian.members(group, guardian.start_time(group))))

    def stop(self) -> None:
        if self._process is not None:
            self._belongings.end(self._process, grace_s=STOP_GRACE_S)


async def _accepts(host: str, port: int) -> bool:
    """Does somebody accept there? The connection is closed again without a byte."""
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, port)
    except OSError:
        return False
    transport.close()
    return True
