"""`http-request replace-path` and `set-path` as rewrites of a prefix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from lbcheck.importers import prefixes
from lbcheck.importers.directive import Unreadable
from lbcheck.importers.prefixes import Change
from lbcheck.spec.model import Conditions, Rewrite


def replaced(words: Sequence[str]) -> Change:
    """`replace-path REGEX REPLACEMENT`."""
    return replace(prefixes.replaced(words[0], words[1].replace("%%", "%"), "HAProxy"), rest=tuple(words[2:]))


def set_path(words: Sequence[str]) -> Change:
    """`set-path /new%[path]`, and `regsub` that takes a prefix away."""
    text = words[0]
    if added := re.fullmatch(r"(/[^%\s]*?)/?%\[path\]", text):
        return Change(Rewrite(("/", added[1])), Conditions(path_prefix=("/",)), True, tuple(words[1:]))
    if taken := re.fullmatch(r"%\[path,regsub\(\"?(\^?)(/[^\s,()\"*+?|\[\]]*?)(/?)\"?,\"?(/?)\"?(?:,[gi]*)?\)\]", text):
        old, slash = re.sub(r"\\(.)", r"\1", taken[2]), taken[3]
        if slash != taken[4]:
            raise Unreadable(f"a path that loses or gains a slash: {text}")
        remark = "" if taken[1] == "^" else f"HAProxy also takes {old} away further back in a path"
        if not slash:
            remark = f"{old} is taken off paths such as {old}x too"
        whole = not slash
        paths = Conditions(path_prefix=(old,)) if whole else Conditions(path=(f"{old}/*",))
        return Change(Rewrite((old, "/")), paths, whole, tuple(words[1:]), remark)
    raise Unreadable(f"a path that is set to {text}")
