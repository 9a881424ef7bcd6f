"""What makes a function a judge: it has a public name, and its verdict says with what it was asked.

That is how a saved history can be judged again by the very judgements that a check made of it.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Set
from functools import wraps
from typing import Any, ParamSpec

from lbcheck.history import History
from lbcheck.verdict import Call, Verdict

P = ParamSpec("P")

JUDGES: dict[str, Callable[..., Verdict]] = {}
"""Every judge by its name, as it was written: what it says here carries no call."""


def judge(function: Callable[P, Verdict]) -> Callable[P, Verdict]:
    """Makes a pure function a judge. Of judges that call each other the outermost is the one that was asked."""
    name = function.__name__
    known = JUDGES.setdefault(name, function)
    if known.__module__ != function.__module__:
        raise ValueError(f"two judges are called {name}: in {known.__module__} and {function.__module__}")
    signature = inspect.signature(function)

    @wraps(function)
    def asked(*args: P.args, **kwargs: P.kwargs) -> Verdict:
        bound = signature.bind(*args, **kwargs)
        histories = [value for value in bound.arguments.values() if isinstance(value, History)]
        for argument, value in bound.arguments.items():
            bound.arguments[argument] = as_it_is(value)
        verdict = function(*bound.args, **bound.kwargs)
        call = Call(name, dict(bound.arguments), max(map(len, histories), default=None))
        return dataclasses.replace(verdict, call=call)

    return asked


def as_it_is(value: Any) -> Any:
    """The value as of now: collections that may still grow are copied, and what can be read but once is read."""
    if isinstance(value, str | bytes | History) or not isinstance(value, Iterable):
        return value
    if isinstance(value, Mapping):
        return {key: as_it_is(each) for key, each in value.items()}
    if isinstance(value, Set):
        return frozenset(value)
    return tuple(map(as_it_is, value)) if isinstance(value, tuple) else [as_it_is(each) for each in value]
