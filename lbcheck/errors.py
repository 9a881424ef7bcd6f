"""Every error that lbcheck raises on purpose; each message says what was expected, what came and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a user's file; `line` and `column` count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class LbcheckError(Exception):
    """Base of all; `str()` is meant for a user's eyes."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}\n  {remedy}" if remedy else message)


class SpecError(LbcheckError):
    """A spec that cannot be carried out; names file, line, key, what was expected and the nearest right word."""

    def __init__(self, message: str, *, at: Location | None = None, remedy: str = "") -> None:
        self.at = at
        super().__init__(f"{at}: {message}" if at else message, remedy=remedy)


class TargetError(LbcheckError):
    """A balancer that is missing, refuses its configuration or does not get ready; carries its last log lines."""

    def __init__(self, message: str, *, log: str = "", remedy: str = "") -> None:
        self.log = log
        shown = "\n".join(f"  | {line}" for line in log.splitlines()[-20:])
        super().__init__(f"{message}\n{shown}" if shown else message, remedy=remedy)


class TargetNeverReady(TargetError):  # noqa: N818
    """The balancer under test did not accept on every listener in time (exit code 10)."""


class TargetDied(TargetError):  # noqa: N818
    """The balancer exited or stopped accepting without having been told: *broken* for the check in progress."""


class Unsupported(LbcheckError):  # noqa: N818  (an outcome, not a mistake)
    """The target or the lab cannot do what a claim needs; the message is the recorded reason."""


class HarnessFault(LbcheckError):  # noqa: N818
    """Backends, network or machine are at fault, never the target: a backend that died, a fault not witnessed."""


class BackendUnreachable(HarnessFault):
    """A backend that a user started cannot be had: not there, another's, or the token is wrong. The run is over."""


class UsageError(LbcheckError):
    """An option or argument that cannot be carried out."""


class HistoryError(LbcheckError):
    """A saved history that cannot be judged: truncated, changed, foreign or of another version; names its line."""

    def __init__(self, message: str, *, at: Location | None = None, remedy: str = "") -> None:
        self.at = at
        super().__init__(f"{at}: {message}" if at else message, remedy=remedy)
