"""`cookie`, `stick-table` and the `stick` rules (section 4.2) as a pool's stickiness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.haproxy.proxies import Proxy
from lbcheck.importers.haproxy.servers import Server
from lbcheck.importers.haproxy.words import seconds
from lbcheck.spec.model import Stickiness
from lbcheck.spec.syntax import TOKEN

_REQUEST_COOKIE = re.compile(r"(?:req\.)?cook(?:ie)?\(([^(),]+)\)")
_ANSWER_COOKIE = re.compile(r"(?:res\.cook|set-cookie|scook)\(([^(),]+)\)")
_STICK = ("stick on", "stick match", "stick store-request", "stick store-response")


@dataclass(frozen=True, slots=True)
class Bound:
    stickiness: Stickiness
    at: Directive


def stickiness_of(proxy: Proxy, found: Sequence[Server], ledger: Ledger) -> Bound | None:
    cookie = proxy.last(ledger, "cookie")
    by_cookie = _try(cookie, found, ledger) if cookie else None
    rules = list(proxy.all(*_STICK))
    if by_cookie:
        for rule in rules:
            ledger.refused(rule, "a pool is sticky by its cookie already")
    by_table = _by_table(rules, proxy, ledger) if rules and not by_cookie else None
    for table in proxy.all("stick-table"):
        if not rules:
            ledger.ignored(table, "it only counts: what acts on the counters is told where it stands")
    return by_cookie or by_table


def _try(cookie: Directive, found: Sequence[Server], ledger: Ledger) -> Bound | None:
    try:
        return _by_cookie(cookie, found, ledger)
    except (Unreadable, ValueError, IndexError) as error:
        ledger.refused(cookie, str(error) or "a word is missing")
        return None


def _by_cookie(cookie: Directive, found: Sequence[Server], ledger: Ledger) -> Bound | None:
    """`insert` is a cookie of the balancer's; `prefix` and `rewrite` act once the application has set its own."""
    name, words = cookie.words[1], list(cookie.words[2:])
    if not TOKEN.fullmatch(name):
        raise Unreadable(f"{name!r} is no cookie's name")
    if not any(server.cookie for server in found) and "dynamic" not in words:
        ledger.ignored(cookie, "no server has a cookie value, so nobody is bound by it")
        return None
    own = "insert" in words
    settings = _cookie_words(words, cookie, ledger)
    if not own:
        ledger.understood(cookie, "the server is written into the application's cookie")
        return Bound(Stickiness("app_cookie", name, None), cookie)
    ledger.understood(cookie)
    attributes = settings["attributes"]
    same_site = next((a.partition("=")[2] for a in attributes if a.lower().startswith("samesite=")), None)
    age = next((a.partition("=")[2] for a in attributes if a.lower().startswith("max-age=")), None)
    life = settings["life_s"] or ([float(age)] if age else [])
    return Bound(
        Stickiness(
            "lb_cookie",
            name,
            duration=life[0] if life else None,
            secure="secure" in words,
            http_only="httponly" in words,
            same_site=same_site if same_site in ("Lax", "Strict", "None") else None,
        ),
        cookie,
    )


def _cookie_words(words: Sequence[str], cookie: Directive, ledger: Ledger) -> dict[str, list]:  # type: ignore[type-arg]
    found: dict[str, list] = {"attributes": [], "life_s": []}  # type: ignore[type-arg]
    plain = ("insert", "indirect", "nocache", "httponly", "secure", "prefix", "rewrite", "dynamic")
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in ("maxlife", "maxidle", "domain", "attr"):
            argument = words[at]
            at += 1
            if word == "attr":
                found["attributes"].append(argument)
            elif word == "maxlife":
                found["life_s"].append(_cookie_seconds(argument))
            elif word == "maxidle":
                ledger.refused(cookie, "maxidle: how long a client may be silent")
            else:
                ledger.understood(cookie, "domain is no claim")
        elif word in ("preserve", "postonly"):
            ledger.refused(cookie, f"{word}: the cookie is not always set")
        elif word not in plain:
            ledger.refused(cookie, f"{word}: not known")
    return found


def _cookie_seconds(word: str) -> float:
    """`maxlife` counts seconds where no unit follows ("cookie")."""
    return float(word) if word.isdigit() else seconds(word)


def _by_table(rules: Sequence[Directive], proxy: Proxy, ledger: Ledger) -> Bound | None:
    table = proxy.last(ledger, "stick-table")
    if table is None:
        for rule in rules:
            ledger.refused(rule, "the table stands elsewhere")
        return None
    try:
        kind, name = _key(rules)
        duration = _expire(table.words)
    except (Unreadable, ValueError) as error:
        for line in (table, *rules):
            ledger.refused(line, str(error))
        return None
    for line in (table, *rules):
        ledger.understood(line)
        ledger.acts_through(line, rules[0])
    if "if" in {word for rule in rules for word in rule.words}:
        ledger.refused(rules[0], "stickiness under a condition")
    if kind == "source_ip":
        return Bound(Stickiness("source_ip", duration=duration), rules[0])
    return Bound(Stickiness("app_cookie", name, duration), rules[0])


def _key(rules: Sequence[Directive]) -> tuple[str, str]:
    keys = [rule.words[2] for rule in rules]
    if all(key == "src" for key in keys):
        return "source_ip", ""
    names = []
    for key in keys:
        found = _REQUEST_COOKIE.fullmatch(key) or _ANSWER_COOKIE.fullmatch(key)
        if not found:
            raise Unreadable(f"clients are told apart by {key}")
        names.append(found[1])
    if len(set(names)) > 1:
        raise Unreadable(f"clients are told apart by several cookies: {', '.join(names)}")
    return "app_cookie", names[0]


def _expire(words: Sequence[str]) -> float | None:
    return seconds(words[words.index("expire") + 1]) if "expire" in words else None
