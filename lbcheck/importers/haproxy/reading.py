"""Files of HAProxy to an `Imported`: the spec, where each field comes from, and a ruling on every directive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from lbcheck.errors import LbcheckError, Location
from lbcheck.importers.directive import Directive, Imported, Ledger, Unreadable
from lbcheck.importers.haproxy import known
from lbcheck.importers.haproxy.frontends import Around, ReadListener, listeners_of
from lbcheck.importers.haproxy.pools import ReadPool, pool_of
from lbcheck.importers.haproxy.proxies import Proxy, key_of, proxies
from lbcheck.importers.haproxy.sections import NOT_TAKEN, Section, parse
from lbcheck.importers.naming import spec_names
from lbcheck.spec.model import Claims, Spec

Read = Callable[[str], list[str]]


def no_files(name: str) -> list[str]:
    raise Unreadable(f"the file {name} was not read")


def read(
    files: Iterable[tuple[str, str]], environment: Mapping[str, str] | None = None, read_file: Read = no_files
) -> Imported:
    """`files`: (name, text) in the order of `-f`. `read_file` gives the lines of a file that they name, or Unreadable.

    LbcheckError where no proxy listens anywhere.
    """
    parsed = parse(files, environment or {})
    ledger = Ledger()
    _flawed(parsed.directives, ledger)
    everyone = [proxy for proxy in proxies(parsed.sections, ledger) if not _off(proxy, ledger)]
    around = _around(everyone, ledger, read_file)
    pools = [pool_of(proxy, around.pools[name], ledger) for name, proxy in around.balancing.items()]
    names = spec_names([proxy.name for proxy in everyone if proxy.listens])
    listeners = [
        found
        for proxy in everyone
        if proxy.listens and _takes(proxy, around)
        for found in listeners_of(proxy, names[proxy.name], around)
    ]
    if not listeners:
        raise LbcheckError(
            "expected a frontend or listen section with a bind line, found none",
            remedy="Name all files of the configuration, in the order in which HAProxy reads them.",
        )
    spec = Spec(
        tuple(r.listener for r in listeners), tuple(r.pool for r in pools), _claims(parsed.sections, everyone, ledger)
    )
    for section in parsed.sections:
        _swept(section, ledger)
    return Imported(
        spec, _sources(listeners, pools, parsed.sections), ledger.entries(parsed.directives), ledger.through
    )


def _flawed(directives: Iterable[Directive], ledger: Ledger) -> None:
    for line in directives:
        if line.flaw == NOT_TAKEN:
            ledger.ignored(line, line.flaw)
        elif line.flaw:
            ledger.refused(line, line.flaw)
        elif line.words[0].startswith("."):
            _told(line, ledger)


def _told(line: Directive, ledger: Ledger) -> None:
    if line.words[0] in (".if", ".elif", ".else", ".endif"):
        ledger.understood(line)
    elif line.words[0] in (".diag", ".notice", ".warning"):
        ledger.ignored(line, "a message")
    else:
        ledger.refused(line, "not known" if line.words[0] != ".alert" else "HAProxy refuses to start here")


def _off(proxy: Proxy, ledger: Ledger) -> bool:
    """`disabled` turns a whole proxy off."""
    line = proxy.last(ledger, "disabled", "enabled")
    if line is None or line.words[0] == "enabled":
        return False
    for each in (proxy.section.head, *proxy.section.directives):
        if each is proxy.section.head or _known(key_of(each)):
            ledger.ignored(each, f"{proxy.name} is disabled ({line.at})")
    return True


def _takes(proxy: Proxy, around: Around) -> bool:
    """False for a section that shows statistics and balances nothing."""
    shows = any(key_of(line).startswith("stats ") for line in proxy.section.directives)
    balances = proxy.name in around.pools or any(proxy.all("use_backend", "default_backend"))
    if not shows or balances:
        return True
    for line in (proxy.section.head, *proxy.section.directives):
        if line is proxy.section.head or _known(key_of(line)):
            around.ledger.ignored(line, "a page of statistics: nothing is balanced here")
    return False


def _known(key: str) -> bool:
    """Is it a word of the manual's?"""
    words = (known.READ, known.IGNORED, known.REFUSED, ("disabled", "enabled"))
    return key.startswith("stats ") or any(key in those for those in words)


def _around(everyone: Sequence[Proxy], ledger: Ledger, read_file: Read) -> Around:
    balancing = {
        proxy.name: proxy
        for proxy in everyone
        if proxy.kind == "backend" or (proxy.kind == "listen" and any(proxy.all("server", "server-template")))
    }
    return Around(balancing, spec_names(list(balancing)), ledger, read_file)


def _claims(sections: Sequence[Section], everyone: Sequence[Proxy], ledger: Ledger) -> Claims:
    """`nbthread` is the number of workers; `timeout tunnel` is there for what is upgraded."""
    workers = 1
    for section in sections:
        for line in section.directives if section.kind == "global" else ():
            if line.words[0] == "nbthread" and line.words[1:] and line.words[1].isdigit():
                workers = int(line.words[1])
                ledger.understood(line)
    tunnels = any(any(proxy.all("timeout tunnel")) for proxy in everyone if proxy.balances and proxy.http)
    return Claims(workers=workers, websocket=True if tunnels else None)


# --- the rest --------------------------------------------------------------------------------------------------------


def _swept(section: Section, ledger: Ledger) -> None:
    """What nobody has ruled on: by the tables of the manual's words, else refused."""
    if not ledger.knows(section.head):
        _head(section, ledger)
    for line in section.directives:
        if not ledger.knows(line):
            _line(section, line, ledger)


def _head(section: Section, ledger: Ledger) -> None:
    if section.kind in known.SECTIONS_IGNORED:
        ledger.ignored(section.head, known.SECTIONS_IGNORED[section.kind][0])
    elif section.kind in known.SECTIONS_REFUSED:
        ledger.refused(section.head, known.SECTIONS_REFUSED[section.kind])
    else:
        ledger.understood(section.head)


def _line(section: Section, line: Directive, ledger: Ledger) -> None:
    if section.kind in known.SECTIONS_IGNORED:
        reason, words = known.SECTIONS_IGNORED[section.kind]
        _either(line, line.words[0] in words.split(), reason, "not known", ledger)
    elif section.kind in known.SECTIONS_REFUSED:
        ledger.refused(line, known.SECTIONS_REFUSED[section.kind])
    elif section.kind == "global":
        word = line.words[1] if line.words[0] == "no" and len(line.words) > 1 else line.words[0]
        reason = known.GLOBAL_IGNORED.get(word, "")
        _either(line, bool(reason), reason, known.GLOBAL_REFUSED.get(word, "not known"), ledger)
    else:
        _proxy_line(section, line, ledger)


def _either(line: Directive, ignored: bool, reason: str, refusal: str, ledger: Ledger) -> None:
    if ignored:
        ledger.ignored(line, reason)
    else:
        ledger.refused(line, refusal)


def _proxy_line(section: Section, line: Directive, ledger: Ledger) -> None:
    key = key_of(line)
    if line.words[0] == "no" and (key in known.READ or key in known.IGNORED or key in known.REFUSED):
        ledger.ignored(line, "it is off")
    elif line.words[0] == "mode":
        _either(line, False, "", "expected http or tcp", ledger) if line.words[1:2] not in (
            ("http",),
            ("tcp",),
        ) else ledger.understood(line)
    elif line.words[0] in ("http-request", "http-response"):
        _verb(line, ledger)
    elif key in known.READ or key == "timeout http-request" or key in ("disabled", "enabled"):
        unused = "nothing inherits it" if section.kind == "defaults" else f"it has no effect in this {section.kind}"
        ledger.ignored(line, known.IGNORED.get(key, "no rule asks it" if line.words[0] == "acl" else unused))
    elif key in known.IGNORED or line.words[0] in known.IGNORED:
        ledger.ignored(line, known.IGNORED.get(key) or known.IGNORED[line.words[0]])
    else:
        ledger.refused(line, known.REFUSED.get(key) or known.REFUSED.get(line.words[0]) or "not known")


def _verb(line: Directive, ledger: Ledger) -> None:
    verb = "".join(line.words[1:2]).partition("(")[0]
    reason = known.VERBS_IGNORED.get(verb, "")
    _either(line, bool(reason), reason, "the spec has no word for it" if verb else "not known", ledger)


def _sources(
    listeners: Sequence[ReadListener], pools: Sequence[ReadPool], sections: Sequence[Section]
) -> dict[str, Location]:
    found: dict[str, Location] = {}
    for read_listener in listeners:
        path = f"listeners.{read_listener.listener.name}"
        for key, line in read_listener.lines.items():
            found[f"{path}.{key}".rstrip(".")] = line.at if isinstance(line, Directive) else line
    for read_pool in pools:
        path = f"pools.{read_pool.pool.name}"
        found |= {f"{path}.{key}".rstrip("."): line.at for key, line in read_pool.lines.items()}
    for section in sections:
        for line in section.directives if section.kind == "global" else ():
            if line.words[0] == "nbthread":
                found["claims.workers"] = line.at
    return found
