"""Active checks: `option httpchk`, `http-check`, `timeout check` and the servers' own settings (sections 4.2, 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.haproxy.known import OTHER_CHECK
from lbcheck.importers.haproxy.proxies import Proxy
from lbcheck.importers.haproxy.servers import Server
from lbcheck.importers.haproxy.words import seconds
from lbcheck.spec.model import HealthCheck, Protocol
from lbcheck.spec.syntax import PROBE_PATH

OTHER_CHECKS = (
    "option mysql-check",
    "option pgsql-check",
    "option redis-check",
    "option smtpchk",
    "option ldap-check",
    "option ssl-hello-chk",
    "option spop-check",
    "option external-check",
)
MERELY_SAID = ("http-check comment", "http-check send-state", "tcp-check comment")


@dataclass(slots=True)
class Probe:
    """`option httpchk` alone asks OPTIONS / and takes 2xx and 3xx ("option httpchk"). `host` None: none is sent."""

    method: str = "OPTIONS"
    path: str = "/"
    host: str | None = None
    codes: str = "200-399"


def check_of(proxy: Proxy, found: Sequence[Server], ledger: Ledger, lines: dict[str, Directive]) -> HealthCheck | None:
    """`lines` gets the line of each field. None where no server is checked."""
    checked = [server for server in found if server.check]
    if not checked:
        return None
    if len(checked) < len(found):
        for server in found:
            if not server.check:
                ledger.refused(server.at, "it is not checked, and others of its pool are")
    first = checked[0]
    _alike(checked, ledger)
    for server_field, key in {
        "interval_s": "interval",
        "rise": "healthy_threshold",
        "fall": "unhealthy_threshold",
    }.items():
        lines[key] = first.lines.get(server_field, first.lines.get("check", first.at))
    for key in ("port", "initial"):
        lines[key] = first.lines.get(key if key == "port" else "initial", first.lines.get("check", first.at))
    http = proxy.last(ledger, "option httpchk")
    probe = _probe(proxy, http, ledger, lines, [server.name for server in found]) if http else None
    _others(proxy, ledger)
    for line in proxy.all("option tcp-check"):
        ledger.acts_through(line, first.lines.get("check", first.at))
    protocol = Protocol.HTTP if probe else Protocol.TCP
    if first.tls and probe:
        protocol = Protocol.HTTPS
    lines["protocol"] = http or first.lines.get("check", first.at)
    return HealthCheck(
        protocol=protocol,
        port=first.port,
        path=probe.path if probe else "/",
        method=probe.method if probe else "GET",
        host=probe.host if probe else None,
        interval=first.interval_s,
        timeout=_timeout(proxy, first, ledger, lines),
        healthy_threshold=first.rise,
        unhealthy_threshold=first.fall,
        success_codes=probe.codes if probe else "200-299",
        initial=first.initial,  # type: ignore[arg-type]
    )


def _alike(checked: Sequence[Server], ledger: Ledger) -> None:
    """One check for all in the spec: a server with other settings is told."""
    first = checked[0]
    for server in checked[1:]:
        for name, word in {"interval_s": "inter", "rise": "rise", "fall": "fall", "port": "port"}.items():
            if getattr(server, name) != getattr(first, name):
                ledger.refused(server.at, f"{word} is another than {first.name}'s, and a pool has one health check")


def _timeout(proxy: Proxy, first: Server, ledger: Ledger, lines: dict[str, Directive]) -> float:
    """`timeout check` once connected; without it the interval is the time for all ("timeout check")."""
    found = proxy.last(ledger, "timeout check")
    lines["timeout"] = found or lines["interval"]
    if found is None:
        return first.interval_s
    try:
        read = seconds(found.words[2])
    except (ValueError, IndexError):
        ledger.refused(found, "expected a time")
        return first.interval_s
    ledger.understood(found)
    return read


def _probe(proxy: Proxy, http: Directive, ledger: Ledger, lines: dict[str, Directive], names: Sequence[str]) -> Probe:
    ledger.understood(http)
    probe = Probe()
    _set_request(probe, http, lines)
    expected: list[Directive] = []
    for line in proxy.all("http-check send", "http-check expect", "http-check connect", "http-check disable-on-404"):
        try:
            _http_check(probe, line, ledger, lines, names)
        except (Unreadable, ValueError, IndexError) as error:
            ledger.refused(line, str(error) or "a word is missing")
        if line.words[1] == "expect":
            expected.append(line)
    if len(expected) > 1:
        ledger.refused(expected[-1], "a check of several steps")
    if probe.host is None and lines.get("host") is None:
        ledger.understood(http, "probes name no Host, and the spec's silence is the backend's address")
    return probe


def _set_request(probe: Probe, http: Directive, lines: dict[str, Directive]) -> None:
    """`option httpchk [METHOD] [URI] [VERSION]`; one word alone is the URI."""
    words = http.words[2:]
    if len(words) == 1:
        probe.path = words[0]
    elif words:
        probe.method, probe.path = words[0], words[1]
    if len(words) > 2 and (host := re.search(r"\r?\nHost:\s*(\S+)", words[2], re.IGNORECASE)):
        probe.host, lines["host"] = host[1], http
    lines.update(method=http, path=http, success_codes=http)


def _http_check(
    probe: Probe, line: Directive, ledger: Ledger, lines: dict[str, Directive], names: Sequence[str]
) -> None:
    match line.words[1:]:
        case ("send", *words):
            _send(probe, words, line, lines)
        case ("expect", *words):
            probe.codes = codes_of(list(_without_timings(words)))
            lines["success_codes"] = line
        case ("connect",):
            pass
        case ("connect", *words):
            raise Unreadable(f"probes connect with {' '.join(words)}")
        case _:
            raise Unreadable("a server that answers 404 takes no new clients")
    if probe.host is not None and probe.host.startswith("%["):
        by_name = probe.host == "%[srv_name]" and all(":" in name for name in names)
        said, probe.host = probe.host, None
        if not by_name:
            raise Unreadable(f"a Host that is made of {said}")
    ledger.understood(line)


def _send(probe: Probe, words: Sequence[str], line: Directive, lines: dict[str, Directive]) -> None:
    at = 0
    while at < len(words):
        word, argument = words[at], words[at + 1]
        at += 2
        if word == "meth":
            probe.method, lines["method"] = argument, line
        elif word == "uri":
            if PROBE_PATH.refuses(argument):
                raise Unreadable(f"probes ask for {argument}")
            probe.path, lines["path"] = argument, line
        elif word == "hdr":
            if argument.lower() == "host":
                probe.host, lines["host"] = words[at], line
            at += 1
        elif word not in ("ver", "comment"):
            raise Unreadable(f"probes send {word}")


def _without_timings(words: Sequence[str]) -> Iterable[str]:
    """Statuses and comments of the check itself claim nothing."""
    rest = list(words)
    while rest and rest[0] in (
        "min-recv",
        "comment",
        "ok-status",
        "error-status",
        "tout-status",
        "on-success",
        "on-error",
    ):
        del rest[:2]
    return rest


def codes_of(words: Sequence[str]) -> str:
    """`status LIST` or `rstatus REGEX`, turned round by `!`, as ranges between 100 and 599."""
    rest = list(words)
    turned = rest[:1] == ["!"]
    rest = rest[1:] if turned else rest
    if rest[0] == "status":
        if not turned:
            return ",".join(rest[1].split(","))
        good = {code for code in range(100, 600) if not any(_in(code, part) for part in rest[1].split(","))}
    elif rest[0] == "rstatus":
        regex = re.compile(rest[1])
        good = {code for code in range(100, 600) if bool(regex.search(str(code))) != turned}
    else:
        raise Unreadable(f"what an answer holds is looked at: {rest[0]}")
    return _ranges(good)


def _in(code: int, part: str) -> bool:
    low, _, high = part.partition("-")
    return int(low) <= code <= int(high or low)


def _ranges(codes: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for code in sorted(codes):
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    if not runs:
        raise Unreadable("no status passes the check")
    return ",".join(f"{low}-{high}" if high > low else str(low) for low, high in runs)


def _others(proxy: Proxy, ledger: Ledger) -> None:
    for line in proxy.all(*OTHER_CHECKS):
        ledger.refused(line, OTHER_CHECK)
    for line in proxy.all("option tcp-check", *MERELY_SAID):
        ledger.understood(line)
