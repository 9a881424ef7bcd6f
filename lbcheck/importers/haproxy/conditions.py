"""ACLs and what follows `if` and `unless` (sections 7.1 and 7.2) as terms of rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lbcheck.importers.conjunction import ALWAYS, either
from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.haproxy.samples import METHODS, matched, sample
from lbcheck.importers.rules import Choices, Draw, Term
from lbcheck.spec.model import Conditions

# Section 7.4; METH_GET is also true for HEAD.
PREDEFINED: dict[str, Choices] = {
    "TRUE": (ALWAYS,),
    "FALSE": (),
    "HTTP": (ALWAYS,),
    "HTTP_1.1": (ALWAYS,),
    "LOCALHOST": (Conditions(source=("127.0.0.0/8", "::1/128")),),
    "METH_GET": (Conditions(method=("GET", "HEAD")),),
    **{f"METH_{method}": (Conditions(method=(method,)),) for method in METHODS if method != "GET"},
}
ASKED = ("query -m len gt 0", "query -m found", "query_len gt 0")  # is there a query?
NEVER: Choices = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """What is known of one: set to `value` (None: to something), or not at all."""

    found: bool
    value: str | None = None
    drawn: int = 0  # out of how many, where it was drawn by `rand`


@dataclass(slots=True)
class Setting:
    """Where a condition is asked: over TLS or not, with these ACLs and variables. `read` gives a file's lines."""

    ledger: Ledger
    acls: Mapping[str, Sequence[Directive]]
    tls: bool
    read: Callable[[str], list[str]]
    variables: dict[str, Variable] = field(default_factory=dict)

    def knowing(self, name: str, variable: Variable) -> Setting:
        return replace(self, variables={**self.variables, name: variable})


def terms(words: Sequence[str], at: Directive, setting: Setting) -> tuple[Term, ...]:
    """`words` begin with `if` or `unless`, or are none: always. () never holds."""
    if not words:
        return (Term(),)
    if words[0] not in ("if", "unless"):
        raise Unreadable(f"expected if or unless, got {words[0]!r}")
    ors = [_term(literals, at, setting) for literals in _alternatives(list(words[1:]))]
    kept = tuple(term for term in ors if term is not None)
    return kept if words[0] == "if" else _negated(kept)


def _negated(ors: Sequence[Term]) -> tuple[Term, ...]:
    """Not (a b) is !a or !b; not (a or b) is !a !b. Alternatives of several conditions each are not turned round."""
    if Term() in ors:
        return ()
    if any(term.draw for term in ors):
        raise Unreadable("`unless` of a draw")
    if len(ors) == 1:
        (term,) = ors
        return (*(Term((), (no,)) for no in term.wanted), *(Term((yes,)) for yes in term.unwanted))
    if any(len(term.wanted) + len(term.unwanted) != 1 for term in ors):
        raise Unreadable("`unless` of alternatives that have several conditions each")
    wanted = tuple(choices for term in ors for choices in term.unwanted)
    return (Term(wanted, tuple(choices for term in ors for choices in term.wanted)),)


def _alternatives(words: Sequence[str]) -> list[list[list[str]]]:
    """Literals, each as its words, AND-ed; lists of them OR-ed."""
    ors: list[list[list[str]]] = [[]]
    at = 0
    while at < len(words):
        if words[at] in ("or", "||"):
            ors.append([])
            at += 1
            continue
        end = at + 1
        if words[at].lstrip("!") == "{" or (words[at] == "!" and words[at + 1 : at + 2] == ["{"]):
            end = next((n + 1 for n in range(at, len(words)) if words[n] == "}"), len(words))
        elif words[at] == "!":
            end = at + 2
        ors[-1].append(list(words[at:end]))
        at = end
    return ors


def _term(literals: Sequence[Sequence[str]], at: Directive, setting: Setting) -> Term | None:
    """None where it never holds."""
    wanted: list[Choices] = []
    unwanted: list[Choices] = []
    draw: Draw | None = None
    for literal in literals:
        text = " ".join(literal)
        no = text.startswith("!")
        meant = _meaning(text.lstrip("! ").split(" ") if "{" not in text else _inline(literal), at, setting)
        if isinstance(meant, Draw):
            draw = _one_draw(draw, replace(meant, below=meant.total - meant.below) if no and not meant.name else meant)
            if no and meant.name:
                raise Unreadable("the other side of a draw")
        elif (no and meant == NEVER) or (not no and ALWAYS in meant):
            continue
        elif (no and ALWAYS in meant) or (not no and meant == NEVER):
            return None
        else:
            (unwanted if no else wanted).append(meant)
    return Term(tuple(wanted), tuple(unwanted), draw)


def _one_draw(known: Draw | None, draw: Draw) -> Draw:
    if known is not None:
        raise Unreadable("two draws in one condition")
    return draw


def _inline(literal: Sequence[str]) -> list[str]:
    """`{ criterion ... }` or `!{ ... }`: an anonymous ACL, marked by a brace."""
    words = [word for word in literal if word not in ("!", "!{", "{", "}")]
    return ["{", *words]


def _meaning(words: Sequence[str], at: Directive, setting: Setting) -> Choices | Draw:
    if words[0] == "{":
        return criterion(words[1:], at, setting)
    name = words[0]
    if name in setting.acls:
        return _acl(name, at, setting)
    if name in PREDEFINED:
        return PREDEFINED[name]
    raise Unreadable(f"there is no acl {name!r}")


def _acl(name: str, at: Directive, setting: Setting) -> Choices | Draw:
    """ACLs of one name are alternatives."""
    choices: list[Conditions] = []
    for line in setting.acls[name]:
        try:
            meant = criterion(list(line.words[2:]), line, setting)
        except Unreadable as error:
            setting.ledger.refused(line, str(error))
            raise Unreadable(f"it asks acl {name}, which is not understood") from None
        setting.ledger.understood(line)
        setting.ledger.acts_through(line, at)
        if isinstance(meant, Draw):
            if len(setting.acls[name]) > 1:
                raise Unreadable(f"acl {name} is a draw or something else")
            return meant
        choices += meant
    return (ALWAYS,) if ALWAYS in choices else either(choices)


# --- one criterion ---------------------------------------------------------------------------------------------------


def criterion(words: Sequence[str], at: Directive, setting: Setting) -> Choices | Draw:
    """What an ACL says after its name."""
    if not words:
        raise Unreadable("an empty condition")
    if words[0] in ("ssl_fc", "always_true", "always_false"):
        return (ALWAYS,) if words[0] == "always_true" or (words[0] == "ssl_fc" and setting.tls) else NEVER
    if variable := re.fullmatch(r"var\(([^(),]+)\)", words[0]):
        return _variable(variable[1], words[1:], setting)
    if draw := re.fullmatch(r"rand\(([0-9]+)\)", words[0]):
        return _draw(words[1:], int(draw[1]), "")
    flags, match, values = _flags(words[1:], setting)
    of = sample(words[0])
    found = matched(of, match or of.match, values, fold="-i" in flags)
    for remark in found.remarks:
        setting.ledger.understood(at, remark)
    return found.choices


def _flags(words: Sequence[str], setting: Setting) -> tuple[list[str], str, list[str]]:
    """(flags, match, patterns): -i, -m MATCH, -f FILE, -n, -u, -M; `--` ends them (section 7.1)."""
    words = list(words)
    flags: list[str] = []
    values: list[str] = []
    match, at = "", 0
    while at < len(words) and words[at].startswith("-") and words[at] != "--":
        word = words[at]
        if word not in ("-i", "-m", "-f", "-n", "-M", "-u"):
            raise Unreadable(f"the flag {word} is not known")
        if word == "-M":
            raise Unreadable("patterns from a map's file")
        flags.append(word)
        if word in ("-m", "-f", "-u"):
            argument = "".join(words[at + 1 : at + 2])
            match = argument if word == "-m" else match
            values += setting.read(argument) if word == "-f" else []
            at += 1
        at += 1
    rest = words[at + 1 :] if words[at : at + 1] == ["--"] else words[at:]
    return flags, match, values + rest


def _variable(name: str, words: Sequence[str], setting: Setting) -> Choices | Draw:
    known = setting.variables.get(name)
    if known is None:
        raise Unreadable(f"what {name} holds is not known")
    if known.drawn:
        return _draw([word for word in words if word not in ("-m", "int")], known.drawn, name)
    words = [word for word in words if word not in ("-m", "str", "int", "bool", "eq", "--")]
    if words == ["found"]:
        return (ALWAYS,) if known.found else NEVER
    if not words or any(word in ("lt", "le", "gt", "ge", "beg", "end", "sub", "reg") for word in words):
        raise Unreadable(f"{name} is compared by {' '.join(words)}")
    return (ALWAYS,) if known.found and known.value in words else NEVER


def _draw(words: Sequence[str], total: int, name: str) -> Draw:
    match words:
        case ("lt", number) if number.isdigit():
            return Draw(min(int(number), total), total, name)
        case ("le", number) if number.isdigit():
            return Draw(min(int(number) + 1, total), total, name)
        case ("ge", number) if number.isdigit() and not name:
            return Draw(total - min(int(number), total), total)
        case ("gt", number) if number.isdigit() and not name:
            return Draw(total - min(int(number) + 1, total), total)
    raise Unreadable(f"a draw that is compared by {' '.join(words)}")
