"""What becomes of X-Forwarded-* and Host: `option forwardfor`, `http-request set-header` and their like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lbcheck.importers.claimed import HEADERS_OF_CLAIMS
from lbcheck.importers.directive import Directive, Ledger
from lbcheck.importers.haproxy.proxies import Proxy
from lbcheck.spec.model import Forwarded

UNTOUCHED = Forwarded(x_forwarded_for="preserve", x_forwarded_proto="preserve", x_forwarded_port="preserve")
CHANGES = ("set-header", "add-header", "del-header", "replace-header", "replace-value")


@dataclass(slots=True)
class Headers:
    """`forwarded` None: no line says anything. `lines`: field -> the line."""

    forwarded: Forwarded | None = None
    lines: dict[str, Directive] = field(default_factory=dict)

    def say(self, name: str, how: str, at: Directive) -> None:
        self.forwarded = replace(self.forwarded or UNTOUCHED, **{name: how})  # type: ignore[arg-type]
        self.lines[name] = at


def headers(proxy: Proxy, tls: bool, ledger: Ledger) -> Headers:
    """Of the requests that this proxy passes on. `option forwardfor` comes last (section 4.2)."""
    found = Headers()
    for line in proxy.section.directives:
        if line.words[:1] == ("http-request",) and line.words[1] in CHANGES:
            _change(found, line, tls, ledger)
        elif line.words[:1] == ("http-response",) and len(line.words) > 2 and line.words[1] in CHANGES:
            _answers_change(line, ledger)
    option = proxy.last(ledger, "option forwardfor")
    if option is not None:
        _forwardfor(found, option, ledger)
    return found


def _forwardfor(found: Headers, option: Directive, ledger: Ledger) -> None:
    words = option.words[2:]
    if "header" in words and words[words.index("header") + 1].lower() != "x-forwarded-for":
        ledger.ignored(option, "no claim is about this header")
        return
    ledger.understood(option)
    if "except" in words:
        ledger.refused(option, "except: some clients' addresses are left out")
    if "if-none" in words:
        ledger.refused(option, "if-none: an address is added only where there is none")
    removed = found.forwarded is not None and found.forwarded.x_forwarded_for in ("remove", "replace")
    if found.forwarded is not None and found.forwarded.x_forwarded_for == "replace":
        ledger.refused(option, "the client's address is said twice")
    found.say("x_forwarded_for", "replace" if removed else "append", option)


def _change(found: Headers, line: Directive, tls: bool, ledger: Ledger) -> None:
    verb, name, value = line.words[1], "".join(line.words[2:3]).lower(), "".join(line.words[3:4])
    conditions = line.words[4 if verb in ("set-header", "add-header") else 3 :]
    known = _meant(verb, name, value, tls)
    if known is not None:
        holds = _over_tls(conditions, tls)
        if holds is None:
            ledger.refused(line, "it is said under a condition")
        elif holds:
            ledger.understood(line)
            found.say(*known, line)
        else:
            ledger.ignored(line, "its condition does not hold here")
    elif name in HEADERS_OF_CLAIMS or name.startswith("x-forwarded-"):
        ledger.refused(line, f"{name} is changed on the way")
    else:
        ledger.ignored(line, "no claim is about this header")


def _meant(verb: str, name: str, value: str, tls: bool) -> tuple[str, str] | None:
    if name == "x-forwarded-for":
        if verb == "del-header":
            return "x_forwarded_for", "remove"
        return ("x_forwarded_for", "replace") if verb == "set-header" and value in ("%[src]", "%ci") else None
    own = {
        "x-forwarded-proto": {"https" if tls else "http", "%[ssl_fc,iif(https,http)]"},
        "x-forwarded-port": {"%[dst_port]", "%fp"},
    }
    if name not in own:
        return None
    if verb == "del-header":
        return name.replace("-", "_"), "none"
    return (name.replace("-", "_"), "set") if verb == "set-header" and (value in own[name]) else _not_here(value, name)


def _not_here(value: str, name: str) -> tuple[str, str] | None:
    """The other scheme's word, which stands under a condition of its own."""
    return ("x_forwarded_proto", "set") if name == "x-forwarded-proto" and value in ("http", "https") else None


def _over_tls(words: Iterable[str], tls: bool) -> bool | None:
    """Whether `if { ssl_fc }` and its like hold; None for any other condition."""
    text = " ".join(words)
    answers = {
        "": True,
        "if { ssl_fc }": tls,
        "if !{ ssl_fc }": not tls,
        "if ! { ssl_fc }": not tls,
        "unless { ssl_fc }": not tls,
    }
    return answers.get(text)


def _answers_change(line: Directive, ledger: Ledger) -> None:
    name = line.words[2].lower()
    if name in HEADERS_OF_CLAIMS:
        ledger.refused(line, f"{name} of answers is changed")
    else:
        ledger.ignored(line, "no claim is about this header")
