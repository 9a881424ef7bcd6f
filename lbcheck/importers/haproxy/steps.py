"""The lines of a proxy that act on requests, in the order in which HAProxy carries them out (section 4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lbcheck.importers.conjunction import ALWAYS
from lbcheck.importers.directive import Directive, Unreadable
from lbcheck.importers.haproxy.answers import Answer, denied, page, redirected, returned
from lbcheck.importers.haproxy.conditions import ASKED, Setting, Variable, terms
from lbcheck.importers.haproxy.proxies import Proxy
from lbcheck.importers.haproxy.rewriting import replaced, set_path
from lbcheck.importers.prefixes import Change
from lbcheck.importers.rules import (
    Act,
    Branch,
    Lots,
    Replace,
    Step,
    Term,
    compiled_branches,
    sayable_branches,
    to_pool,
    within,
)
from lbcheck.spec.model import Conditions, Redirect

ANSWERS = {"deny": denied, "return": returned, "redirect": redirected}
REWRITES = {"replace-path": replaced, "set-path": set_path}
_SET = re.compile(r"set-var\(([^(),]+)\)")
_CONSTANT = re.compile(r"(?:int|str|bool)\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that acts, before its condition is read. `sets`: variable and value ("rand:N" for a draw)."""

    at: Directive
    condition: tuple[str, ...]
    answer: Answer | None = None
    change: Change | None = None
    pool: str = ""
    sets: tuple[str, str] | None = None


def lines(proxy: Proxy, setting: Setting) -> list[Line]:
    """`http-request` first, then `redirect`, then `use_backend`; what is not understood is refused and left out."""
    found: list[Line] = []
    groups = (("monitor-uri",), ("http-request",), ("redirect",), ("use_backend",))
    for keys in groups:
        inherited = proxy.inherited if keys == ("monitor-uri",) else ()
        for directive in (*inherited, *proxy.section.directives):
            if directive.words[0] in keys:
                found += _try_line(directive, setting)
    return _paired(found, setting)


def _try_line(directive: Directive, setting: Setting) -> Iterator[Line]:
    try:
        line = _line(directive)
    except (Unreadable, ValueError, IndexError) as error:
        setting.ledger.refused(
            directive, str(error) if isinstance(error, Unreadable) else "a word or number is missing"
        )
        return
    if line is not None:
        yield line


def _line(directive: Directive) -> Line | None:
    match directive.words:
        case ("monitor-uri", uri, *_):
            return Line(
                directive, ("if", "{", "path", uri, "}"), Answer(page(200), (), "with a query it is not answered")
            )
        case ("use_backend", pool, *condition):
            return Line(directive, tuple(condition), pool=pool)
        case ("redirect", *words):
            return _answering(directive, redirected(words))
        case ("http-request", verb, *words) if verb in ANSWERS:
            return _answering(directive, ANSWERS[verb](words))
        case ("http-request", verb, *words) if verb in REWRITES:
            change = REWRITES[verb](words)
            return Line(directive, change.rest, change=change)
        case ("http-request", verb, value, *condition) if variable := _SET.fullmatch(verb):
            return Line(directive, tuple(condition), sets=(variable[1], _value(value)))
    return None


def _answering(directive: Directive, answer: Answer) -> Line:
    return Line(directive, answer.rest, answer=answer)


def _value(word: str) -> str:
    if draw := re.fullmatch(r"rand\(([0-9]+)\)", word):
        return f"rand:{draw[1]}"
    constant = _CONSTANT.fullmatch(word)
    if not constant:
        raise Unreadable(f"a variable that holds {word}, which is known at run time only")
    return constant[1]


def _paired(found: Sequence[Line], setting: Setting) -> list[Line]:
    """Neighbours that say one thing: a redirect with and without a query, a prefix alone and what is below it."""
    kept: list[Line] = []
    for line in found:
        previous = kept[-1] if kept else None
        one = _one_redirect(previous, line) or _one_change(previous, line) if previous else None
        if one is None:
            kept.append(line)
        else:
            setting.ledger.understood(line.at)
            setting.ledger.understood(kept[-1].at)
            kept[-1] = one
    return kept


def _one_redirect(asking: Line, bare: Line) -> Line | None:
    if not (asking.answer and bare.answer) or not isinstance(asking.answer.action, Redirect):
        return None
    own = " ".join(asking.condition)
    marked = next((f"{{ {asked} }}" for asked in ASKED if own.endswith(f"{{ {asked} }}")), "")
    own = own.removesuffix(marked).strip()
    same = replace(asking.answer.action, query="") == bare.answer.action
    if not marked or not same or (own if own != "if" else "") != " ".join(bare.condition):
        return None
    return replace(bare, answer=replace(bare.answer, action=asking.answer.action))


def _one_change(exact: Line, below: Line) -> Line | None:
    if not (exact.change and below.change) or exact.condition != below.condition:
        return None
    one, two = exact.change, below.change
    stem = one.rewrite.path_prefix[0]
    if one.rewrite != two.rewrite or one.paths.path_exact != (stem,) or two.paths.path != (f"{stem}/*",):
        return None
    return replace(below, change=replace(two, paths=Conditions(path_prefix=(stem,)), whole=True))


# --- to branches -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Course:
    """What becomes of requests. `priorities`: those that the file itself numbers its choices by, or none."""

    branches: tuple[Branch, ...]
    priorities: tuple[int, ...] = ()


def course(found: Sequence[Line], rest: Sequence[Branch], setting: Setting) -> Course:
    """First-match branches of these lines, `rest` being what comes after them."""
    chosen = _choice(found)
    if chosen:
        return _by_choice(chosen, found, rest, setting)
    known, steps = setting, []
    for line in found:
        if line.sets:
            known = _drawn(line, known) if _try_terms(line, known) else known
        else:
            steps += _steps(line, known)
    return Course(tuple(_compiled(steps, found, rest, known)))


def _choice(found: Sequence[Line]) -> str:
    """The variable that constants are put into under conditions, if there is one."""
    return next((line.sets[0] for line in found if line.sets and not line.sets[1].startswith("rand:")), "")


def _by_choice(name: str, found: Sequence[Line], rest: Sequence[Branch], setting: Setting) -> Course:
    """A case for each value that the variable may get; within a case it is known."""
    sets = [line for line in found if line.sets and line.sets[0] == name]
    others = [line for line in found if line not in sets]
    branches: list[Branch] = []
    values = []
    for line, conditions in _first_set(sets, name, setting):
        assert line.sets
        case = course(others, rest, setting.knowing(name, Variable(True, line.sets[1]))).branches
        branches += [branch for when in conditions for branch in within(case, when)]
        values.append(line.sets[1])
    branches += course(others, rest, setting.knowing(name, Variable(False))).branches
    numbers = [int(value) for value in values if value.isdigit() and 1 <= int(value) <= 50000]
    return Course(tuple(branches), tuple(numbers))


def _first_set(sets: Sequence[Line], name: str, setting: Setting) -> list[tuple[Line, list[Conditions]]]:
    """Each with the conditions under which its value stays; the first that matches comes first.

    Where every line asks that nothing has been put in yet, the first one wins; where none does, the last.
    """
    unset, full = setting.knowing(name, Variable(False)), setting.knowing(name, Variable(True))
    guarded = [not _try_terms(line, full) for line in sets]
    if all(guarded[1:]) or not any(guarded):
        ordered = sets if all(guarded[1:]) else sets[::-1]
        return [(line, _plain(_try_terms(line, unset), line, setting)) for line in ordered]
    for line in sets:
        setting.ledger.refused(line.at, f"whether {name} keeps its first or its last value differs from line to line")
    return []


def _plain(found: Sequence[Term], line: Line, setting: Setting) -> list[Conditions]:
    if any(term.unwanted or term.draw for term in found):
        setting.ledger.refused(line.at, "a variable that is set where something does not hold, or by lot")
        return []
    setting.ledger.understood(line.at)
    here = Lots((("", to_pool("").shares[0][1]),))
    acts = [Act((term,), here, line.at.at) for term in found]
    branches = compiled_branches(acts, [Branch(ALWAYS, to_pool("else"), line.at.at)])
    return [branch.when for branch in branches if branch.then == here]


def _drawn(line: Line, setting: Setting) -> Setting:
    assert line.sets
    name, value = line.sets
    setting.ledger.understood(line.at)
    return setting.knowing(name, Variable(True, drawn=int(value.removeprefix("rand:"))))


def _try_terms(line: Line, setting: Setting) -> tuple[Term, ...]:
    try:
        return terms(line.condition, line.at, setting)
    except Unreadable as error:
        setting.ledger.refused(line.at, str(error))
        return ()


def _steps(line: Line, setting: Setting) -> list[Step]:
    found = _try_terms(line, setting)
    if not setting.ledger.knows(line.at) or found:
        setting.ledger.understood(
            line.at, (line.answer.remark if line.answer else "") or (line.change.remark if line.change else "")
        )
    if not found:
        return []
    if line.change:
        return [Replace(found, line.change.paths, line.change.rewrite, line.change.whole, line.at.at)]
    return [Act(found, line.answer.action if line.answer else to_pool(line.pool), line.at.at)]


def _compiled(steps: Sequence[Step], found: Sequence[Line], rest: Sequence[Branch], setting: Setting) -> list[Branch]:
    def refused(step: Step, reason: str) -> None:
        for line in found:
            if line.at.at == step.at:
                setting.ledger.refused(line.at, reason)

    return sayable_branches(steps, rest, refused)
