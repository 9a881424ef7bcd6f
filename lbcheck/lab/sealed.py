"""The `sealed` lab: a process lab in a network and mounts of its own, so that any address, port and name can be had.

The harness itself goes inside, with the processes that it starts: its client, its backends and the target share a
loopback that has every address of the spec and of the configuration, and no way out. Everything ends with the last
process that is inside.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lbcheck import clock
from lbcheck.checks import Opening
from lbcheck.errors import LbcheckError
from lbcheck.lab.process import ProcessLab, ProcessScene
from lbcheck.lab.sealed_folders import Folders
from lbcheck.lab.sealed_namespaces import Namespaces, NoNamespaces, entitle, in_own_user_namespace
from lbcheck.lab.sealed_network import Network, hosts, mentioned, resolved, sources, texts_of
from lbcheck.spec.model import Spec
from lbcheck.targets.base import Rendering, Target


class Seal:
    """Private network, mounts and names, entered when it is made; `notes` says what was supplied inside."""

    def __init__(self, keep: Sequence[Path] = ()) -> None:
        """NoNamespaces where there can be none."""
        self._namespaces = Namespaces()
        try:
            usual = [Path.cwd(), Path(tempfile.gettempdir()), Path(sys.prefix), Path(sys.base_prefix)]
            self.network = Network()
            self.folders = Folders([*usual, *keep])
            self._name()
        except BaseException:
            self._namespaces.leave()
            raise

    def add(self, spec: Spec, texts: Sequence[str] = ()) -> Spec:
        """Everything that they mention is there from now on; the spec with addresses in place of names."""
        self.network.add(hosts(spec), sources(spec))
        for text in texts:
            self.network.add(mentioned(text))
        self._name()
        return resolved(spec, self.network.names)

    def _name(self) -> None:
        self.folders.hosts(self.network.hosts_file())

    @property
    def notes(self) -> list[str]:
        return list(self.folders.notes)

    def leave(self) -> None:
        self._namespaces.leave()


class SealedLab(ProcessLab):
    """As the process lab, with any addresses. `configs` are run byte for byte; `keep`: folders to be written to."""

    name = "sealed"

    def __init__(
        self,
        target: Target,
        *,
        worker: int = 0,
        keep: bool = False,
        configs: Sequence[Path] = (),
        writable: Sequence[Path] = (),
    ) -> None:
        self._texts = [text for config in configs for text in texts_of(config)]
        self.seal = Seal([*writable, *(config.absolute().parent for config in configs)])
        try:
            super().__init__(target, worker=worker, keep=keep, configs=configs)
        except BaseException:
            self.seal.leave()
            raise
        render = self._render
        self._render = lambda spec, folder: self._supplied(render(spec, folder))

    async def open(self, spec: Spec, *, seed: int, opening: Opening = "settled") -> ProcessScene:
        return await super().open(self.seal.add(spec, self._texts), seed=seed, opening=opening)

    def refuse(self, spec: Spec) -> None:
        """Every address is its own."""

    def _supplied(self, rendering: Rendering) -> Rendering:
        self.seal.folders.supply(rendering.surroundings)
        return rendering

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.seal.leave()


def prepare() -> None:
    """For a process whose children will have sealed labs: NoNamespaces where they could not."""
    entered()
    entitle()


def entered() -> str:
    """Whose rights serve and how long it takes, tried in a child; NoNamespaces says why there can be none."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os.write(writing, _trial().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        word, _, rest = said.read().partition("\n")
    os.waitpid(pid, 0)
    if word != "ok":
        message, _, remedy = rest.partition("\n")
        raise NoNamespaces(message or "the trial of a sealed lab ended without a word", remedy=remedy)
    return rest


def _trial() -> str:
    began = clock.process_now()
    try:
        Seal()
    except LbcheckError as error:
        return f"no\n{error.message}\n{error.remedy}"
    except Exception as error:
        return f"no\n{error!r}\n"
    who = "in a user namespace of one's own" if in_own_user_namespace() else "as root"
    return f"ok\n{who}, made in {clock.process_now() - began:.3f} s"
