"""From the model's type hints to kinds: the one place that knows how a type is written in lb.yaml."""

from __future__ import annotations

from dataclasses import is_dataclass
from enum import Enum, EnumMeta
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from lbcheck.spec.kinds import Kind, Maybe, Text, Truth, Whole, Word, duration, share
from lbcheck.spec.model import Forward, Redirect, Respond, Spec
from lbcheck.spec.shapes import Act, KeyedRecords, Many, Named, Pair, Record
from lbcheck.spec.syntax import Among, Called, Duration, Keyed, Range, Says, Share, Silence, Syntax

T = TypeVar("T")


@cache
def record_of(cls: type) -> Record:
    """The kind of one dataclass of the model."""
    hints = get_type_hints(cls, include_extras=True)
    says = {name: mark.text for name, hint in hints.items() if (mark := _mark(hint, Says))}
    return Record(cls, {name: kind_of(hint) for name, hint in hints.items()}, says)


def spec_record() -> Record:
    return record_of(Spec)


def kind_of(hint: Any, marks: tuple[Any, ...] = ()) -> Kind:
    """TypeError for a type that lb.yaml has no form for: the model is at fault, not a user."""
    if get_origin(hint) is Annotated:
        inner, *own = get_args(hint)
        return kind_of(inner, (*own, *marks))
    if get_origin(hint) in (Union, UnionType):
        return _union(hint, marks)
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint), marks)
    if get_origin(hint) is Literal:
        return Word({str(word): word for word in get_args(hint)})
    if is_dataclass(hint) and isinstance(hint, type):
        return record_of(hint)
    return _scalar(hint, marks)


def _union(hint: Any, marks: tuple[Any, ...]) -> Kind:
    if set(get_args(hint)) == {Forward, Redirect, Respond}:
        (pools,) = get_type_hints(Forward, include_extras=True).values()
        key, value = get_args(get_args(pools)[0])
        return Act(Named(kind_of(key), kind_of(value), bare=1), record_of(Redirect), record_of(Respond))
    (inner,) = (part for part in get_args(hint) if part is not NoneType)
    silence = _first(marks, Silence)
    return Maybe(kind_of(inner, marks), silence.word if silence else "")


def _tuple(parts: tuple[Any, ...], marks: tuple[Any, ...]) -> Kind:
    item, *rest = parts
    if rest != [...]:
        return Pair(kind_of(item))
    if get_origin(item) is tuple and get_args(item)[-1:] != (...,):
        key, value = get_args(item)
        return Named(kind_of(key), kind_of(value))
    kind = kind_of(item)
    keyed = _first(marks, Keyed)
    if keyed is not None and isinstance(kind, Record):
        return KeyedRecords(kind, keyed)
    return Many(kind, _first(marks, Called))


def _scalar(hint: Any, marks: tuple[Any, ...]) -> Kind:
    if isinstance(hint, EnumMeta):
        return _enumeration(hint, marks)
    if hint is bool:
        return Truth()
    if hint is int:
        return Whole(_first(marks, Range) or Range(0))
    if hint is str:
        return Text(tuple(mark for mark in marks if isinstance(mark, Syntax)))
    unit = _first(marks, Duration)
    if hint is float and unit is not None:
        return duration(unit.positive)
    if hint is float and _first(marks, Share) is not None:
        return share()
    raise TypeError(f"no form in lb.yaml for {hint!r} with {marks!r}")


def _enumeration(members: Any, marks: tuple[Any, ...]) -> Word:
    among = _first(marks, Among)
    words: dict[str, Enum] = {member.value: member for member in members}
    return Word({word: words[word] for word in (among.words if among else words)})


def _mark(hint: Any, kind: type[T]) -> T | None:
    return _first(get_args(hint)[1:], kind) if get_origin(hint) is Annotated else None


def _first(marks: tuple[Any, ...], kind: type[T]) -> T | None:
    return next((mark for mark in marks if isinstance(mark, kind)), None)
