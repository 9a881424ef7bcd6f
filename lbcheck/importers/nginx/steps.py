"""The directives of a block that act on requests in order (ngx_http_rewrite_module), then access, then content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from lbcheck.importers.conjunction import ALWAYS
from lbcheck.importers.directive import Directive, Unreadable
from lbcheck.importers.nginx import patterns
from lbcheck.importers.nginx.answers import Rewriting, page, redirected, returned, rewriting
from lbcheck.importers.nginx.cases import Case, Cases, Lot, terms_of, turned
from lbcheck.importers.nginx.levels import Levels
from lbcheck.importers.nginx.parsing import Node
from lbcheck.importers.nginx.variables import Setting, asked_loosely, compared, constant, holds, text_or_lot
from lbcheck.importers.prefixes import replaced
from lbcheck.importers.rules import Act, Branch, Lots, Replace, Step, Term, sayable_branches, within
from lbcheck.spec.model import Conditions

Arrive = Callable[[str, "str | None", str], Sequence[Branch]]  # (new path, the one it came from, flag) -> what follows


@dataclass(frozen=True, slots=True)
class Detour:
    """A rewrite to whole paths, after which a location is looked for anew."""

    when: Conditions
    paths: Cases[str | Lot]
    origin: str | None
    flag: str
    node: Node


@dataclass(frozen=True, slots=True)
class Told:
    """A step and the directive that it is of."""

    step: Step | Detour
    directive: Directive


def read_steps(block: Node, levels: Levels, setting: Setting) -> tuple[list[Told], Setting]:
    """`set` is in force for what comes after it."""
    found: list[Told] = []
    for node in block.block or ():
        if node.name not in ("set", "return", "rewrite", "if", "break"):
            continue
        try:
            if node.name == "set":
                setting = _set(node, setting)
            elif node.name == "break":
                levels.ledger.understood(node.directive)
                break
            else:
                found += _told(node, levels, setting)
        except (Unreadable, ValueError) as error:
            levels.ledger.refused(node.directive, str(error))
    return found, setting


def access_steps(levels: Levels) -> list[Told]:
    """The first `allow` or `deny` that meets the client's address acts (ngx_http_access_module)."""
    found: list[Told] = []
    allowed: list[Conditions] = []
    for node in levels.all("allow", "deny"):
        try:
            met = _addresses(node)
        except Unreadable as error:
            levels.ledger.refused(node.directive, str(error))
            continue
        if node.name == "allow":
            levels.ledger.understood(node.directive)
            allowed.append(met)
            if met == ALWAYS:
                break
        else:
            answer = page(403, levels)
            levels.ledger.understood(node.directive, answer.remark)
            term = Term(((met,),) if met != ALWAYS else (), tuple((one,) for one in allowed))
            found.append(Told(Act((term,), answer.action, node.at), node.directive))
    return found


def followed(told: Sequence[Told], rest: Sequence[Branch], arrive: Arrive, levels: Levels) -> list[Branch]:
    """First-match branches of the steps and what comes after them; what the spec cannot say is refused and left out."""
    branches = list(rest)
    run: list[Told] = []
    for one in (*reversed(told), None):
        if one is not None and not isinstance(one.step, Detour):
            run.insert(0, one)
            continue
        branches = _run(run, branches, levels)
        run = []
        if one is not None and isinstance(one.step, Detour):
            branches = [*_detoured(one.step, arrive, levels), *branches]
    return branches


def _run(run: Sequence[Told], rest: Sequence[Branch], levels: Levels) -> list[Branch]:
    def refused(step: Step, reason: str) -> None:
        for one in run:
            if one.step is step:
                levels.ledger.refused(one.directive, reason)

    steps = [one.step for one in run if not isinstance(one.step, Detour)]
    return sayable_branches(steps, rest, refused)


def _detoured(detour: Detour, arrive: Arrive, levels: Levels) -> list[Branch]:
    try:
        found = [branch for case in detour.paths for branch in _arrived(case, detour, arrive)]
        return within(found, detour.when)
    except Unreadable as error:
        levels.ledger.refused(detour.node.directive, str(error))
        return []


def _arrived(case: Case[str | Lot], detour: Detour, arrive: Arrive) -> list[Branch]:
    if isinstance(case.value, str):
        return within(arrive(case.value, detour.origin, detour.flag), case.when)
    shares: dict[str, Fraction] = {}
    for path, share in case.value.shares:
        branch, *others = arrive(path, detour.origin, detour.flag)
        if others or branch.rewrite or not isinstance(branch.then, Lots) or len(branch.then.shares) != 1:
            raise Unreadable("a draw between anything but pools")
        ((pool, _),) = branch.then.shares
        shares[pool] = shares.get(pool, Fraction(0)) + share
    return [Branch(case.when, Lots(tuple(shares.items())), detour.node.at)]


# --- single directives -----------------------------------------------------------------------------------------------


def _set(node: Node, setting: Setting) -> Setting:
    if len(node.words) != 2 or not node.words[0].startswith("$"):
        raise Unreadable("expected a variable and a value")
    text = constant(node.words[1], setting, node.directive)
    setting.ledger.understood(node.directive)
    return setting.knowing(node.words[0][1:], text)


def _told(node: Node, levels: Levels, setting: Setting) -> list[Told]:
    if node.name == "if":
        return _conditional(node, levels, setting)
    return [Told(step, node.directive) for step in _acting(node, (Term(),), levels, setting)]


def _conditional(node: Node, levels: Levels, setting: Setting) -> list[Told]:
    terms = terms_of(_asked(node.words, setting))
    levels.ledger.understood(node.directive, asked_loosely(node.directive))
    found: list[Told] = []
    for child in node.block or ():
        if child.name in ("return", "rewrite"):
            try:
                steps = _acting(child, terms, levels.within(node), setting)
            except (Unreadable, ValueError) as error:
                levels.ledger.refused(child.directive, str(error))
            else:
                found += [Told(step, child.directive) for step in steps]
        elif child.name in ("break", "set", *CONTENT_OF_IF):
            levels.ledger.refused(child.directive, "it depends on a condition")
    return found


CONTENT_OF_IF = ("proxy_pass", "proxy_set_header", "root", "add_header", "access_log", "limit_rate")


def _acting(node: Node, terms: tuple[Term, ...], levels: Levels, setting: Setting) -> list[Step | Detour]:
    if not terms:
        levels.ledger.ignored(node.directive, "its condition never holds here")
        return []
    if node.name == "return":
        answer = returned(node, levels, setting)
        levels.ledger.understood(node.directive, answer.remark)
        return [Act(terms, answer.action, node.at)]
    return _rewritten(rewriting(node), node, terms, levels, setting)


def _rewritten(
    said: Rewriting, node: Node, terms: tuple[Term, ...], levels: Levels, setting: Setting
) -> list[Step | Detour]:
    if said.status is not None:
        answer = redirected(said.location, said.status, setting)
        levels.ledger.understood(node.directive, answer.remark)
        return [Act(_also(terms, _meets(said.regex)), answer.action, node.at)]
    if "$1" in said.replacement:
        change = replaced(said.regex, said.replacement.replace("$1", r"\1"), "nginx")
        levels.ledger.understood(node.directive, change.remark)
        levels.ledger.understood(node.directive, "the path arrives decoded: %2F as a slash")
        return [Replace(_also(terms, change.paths), change.paths, change.rewrite, change.whole, node.at)]
    if terms != (Term(),):
        raise Unreadable("a path that is rewritten under a condition")
    met = _meets(said.regex)
    paths = text_or_lot(said.replacement.removesuffix("?"), setting)
    levels.ledger.understood(node.directive)
    origin = met.path_exact[0] if len(met.path_exact) == 1 else None
    return [Detour(met, paths, origin, said.flag, node)]


def _meets(regex: str) -> Conditions:
    """All paths begin with a slash."""
    if regex in (
        "^",
        ".*",
        "^.*",
        "^.*$",
        "^(.*)$",
        "^(.*)",
        "(.*)",
        "^/(.*)$",
        "^/(.*)",
        "^(/.*)$",
        "^(/.*)",
        "/",
        "^/",
    ):
        return ALWAYS
    return patterns.found_in_path(regex, fold=False)


def _also(terms: Sequence[Term], met: Conditions) -> tuple[Term, ...]:
    return tuple(replace(term, wanted=(*term.wanted, (met,))) if met != ALWAYS else term for term in terms)


def _asked(words: Sequence[str], setting: Setting) -> Cases[bool]:
    """`if` of ngx_http_rewrite_module: a variable, or a comparison of one with a text or an expression."""
    if len(words) == 1 and words[0].startswith("$"):
        return holds(words[0], setting)
    if len(words) != 3 or words[1] not in ("=", "!=", "~", "~*", "!~", "!~*"):
        raise Unreadable(f"whether {' '.join(words)}")
    found = compared(words[0], words[1].removeprefix("!"), words[2], setting)
    return turned(found) if words[1].startswith("!") else found


def _addresses(node: Node) -> Conditions:
    if node.words == ("all",):
        return ALWAYS
    if len(node.words) != 1:
        raise Unreadable("expected an address, a network or all")
    return patterns.network(node.words[0])


def unconditional(told: Sequence[Told]) -> bool:
    """Does nothing get past these steps?"""
    return any(isinstance(one.step, Act) and Term() in one.step.terms for one in told)
