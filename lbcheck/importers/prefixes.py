"""A path that is replaced by an expression, as the rewrite of a prefix."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbcheck.importers.directive import Unreadable
from lbcheck.spec.model import Conditions, Rewrite


@dataclass(frozen=True, slots=True)
class Change:
    """`paths` meets what is changed; `whole`: by elements, as the spec's rewrite acts by itself."""

    rewrite: Rewrite
    paths: Conditions
    whole: bool
    rest: tuple[str, ...] = ()
    remark: str = ""


def replaced(regex: str, new: str, product: str) -> Change:
    r"""What a match leaves, with its group as `\1`, is the whole new path."""
    anchored = regex.startswith("^")
    body = regex.removeprefix("^")
    body = body[:-1] if body.endswith("$") else body
    old, kind = _prefix(body)
    if kind == "exact":
        return Change(Rewrite((old, new)), Conditions(path_exact=(old,)), False)
    target = _target(new, kind)
    remark = "" if anchored or not old else f"{product} also finds {old}/ further back in a path"
    if not old:
        return Change(Rewrite(("/", target)), Conditions(path_prefix=("/",)), True, remark=remark)
    whole = kind in ("optional", "slack")
    if kind == "slack":
        remark = f"{old} followed by anything but a slash is rewritten too"
    paths = Conditions(path_prefix=(old,)) if whole else Conditions(path=(f"{old}/*",))
    return Change(Rewrite((old, target)), paths, whole, remark=remark)


def _prefix(body: str) -> tuple[str, str]:
    """(prefix, how the rest of the path is kept: in a group with its slash, without, optional, not at all)."""
    shapes = {
        r"(?P<old>.*?)\(/\.\*\)\?": "optional",
        r"(?P<old>.*?)\(/\.\*\)": "slashed",
        r"(?P<old>.*?)/\(\.\*\)": "bare",
        r"(?P<old>.*?)/\?\(\.\*\)": "slack",
        r"(?P<old>)\(\.\*\)": "slashed",
        r"(?P<old>/.*)": "exact",
    }
    for shape, kind in shapes.items():
        found = re.fullmatch(shape, body)
        if found and not re.search(r"(?<!\\)[.^$*+?{}()\[\]|]", found["old"]):
            return re.sub(r"\\(.)", r"\1", found["old"]), kind
    raise Unreadable(f"a path that is rewritten by {body}, which is no prefix")


def _target(new: str, kind: str) -> str:
    """What comes in place of the prefix: the replacement without the group."""
    tail = {"optional": r"\1", "slashed": r"\1", "bare": r"/\1", "slack": r"/\1"}[kind]
    if not new.endswith(tail) or "\\" in new.removesuffix(tail) or "%" in new:
        raise Unreadable(f"a path that is rewritten to {new}")
    return new.removesuffix(tail) or "/"
