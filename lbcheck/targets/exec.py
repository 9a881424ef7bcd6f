"""Any balancer that a command starts: `--lb-target="exec:COMMAND"`.

The contract, which is all that lbcheck and the command know of each other:

- The environment variable `LBCHECK_SPEC` names a JSON file: the keys of lb.yaml with every default filled in, durations
  as numbers of seconds, literal addresses, and `generation`, a number.
- The command runs where pytest was called, split into words as a shell would, without a shell, in a process group of
  its own. It is ready when every listener of the spec accepts.
- SIGHUP, to the process that was started alone, says that the file was replaced, by rename, `generation` one higher.
  Listeners never change; everything else is in force within `claims.reload_within` seconds, and no request is lost.
- SIGTERM says: finish what you have, and exit. What is left of the group is killed later.

What the spec claims is expected. What the command cannot do is said with `--lb-features=-drain,-websocket`.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from lbcheck.errors import TargetError, Unsupported, UsageError
from lbcheck.features import Feature
from lbcheck.spec.change import Change
from lbcheck.spec.document import to_document
from lbcheck.spec.model import Spec
from lbcheck.targets.base import Orders, Rendering, Signal

SPEC = "spec.json"
VARIABLE = "LBCHECK_SPEC"
_NO_TLS = "lbcheck sends no TLS yet, and makes no certificates"
_NO_HTTP2 = "lbcheck sends no HTTP/2 yet"

# What no command can show, since nothing here would ask for it.
LACKS: dict[Feature, str] = {
    Feature.HTTPS_CHECK: _NO_TLS,
    Feature.GRPC_CHECK: "lbcheck's backends answer no gRPC health checks yet",
    Feature.RESOLVE: "lbcheck hands literal addresses over, so there is no name to resolve again",
    Feature.HTTPS: _NO_TLS,
    Feature.TLS: _NO_TLS,
    Feature.UDP: "lbcheck sends no UDP yet",
    Feature.HTTP2: _NO_HTTP2,
    Feature.H2C: _NO_HTTP2,
}


class Exec:
    """`--lb-target="exec:COMMAND"`. TargetError where the command's program is not there."""

    version = ""  # nobody knows how to ask it
    grain_s = 0.0  # the file says any duration
    real_time = "nobody knows which clocks a command and its children ask"

    def __init__(self, command: str, binary: str | None = None) -> None:
        self.name = f"exec:{command}"
        if binary is not None:
            raise UsageError(
                f"--lb-binary={binary} was given with --lb-target={self.name}: the command names its program itself",
                remedy="leave --lb-binary out, and put the other program into the command",
            )
        self._folder = Path.cwd()  # where its words are meant
        self._argv = words_of(command)
        self.binary = self._argv[0]
        self.features = frozenset(Feature) - LACKS.keys()

    def lacks(self, feature: Feature) -> str:
        return LACKS.get(feature, "")

    def unsupported(self, spec: Spec) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def render(self, spec: Spec, folder: Path) -> Rendering:
        generations = count(1)

        def orders(_: Change, after: Spec) -> Orders:
            return Orders((Signal(signal.SIGHUP),), {SPEC: document(after, next(generations))})

        return Rendering(
            {SPEC: document(spec, next(generations))},
            self._argv,
            env={VARIABLE: str(folder / SPEC)},
            cwd=self._folder,
            orders=orders,
        )

    def adopt(self, configs: Sequence[Path], folder: Path) -> Rendering:  # noqa: ARG002
        raise Unsupported(
            f"{self.name} takes no configuration of --lb-config: what it reads is the file that {VARIABLE} names",
            remedy="name the configuration in the command",
        )


def document(spec: Spec, generation: int) -> str:
    return json.dumps({"generation": generation, **to_document(spec)}, indent=2) + "\n"


def words_of(command: str) -> tuple[str, ...]:
    """The command's words, the first one as an absolute path. UsageError or TargetError where there is none to run."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--lb-target=exec:{command} cannot be split into words: {error}") from error
    if not words:
        raise UsageError(
            "--lb-target=exec: names no command", remedy='say which, as in --lb-target="exec:node balancer.mjs"'
        )
    found = shutil.which(words[0])
    if found is None:
        raise TargetError(
            f"target exec:{command}: expected {words[0]!r} to be a program, found none on PATH or in {Path.cwd()}",
            remedy="no shell takes part: give the program's path, or exec:sh -c '...' where one is needed",
        )
    return (str(Path(found).absolute()), *words[1:])
