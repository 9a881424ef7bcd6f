"""A `backend`, or the half of a `listen` that balances, as a pool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from lbcheck.importers.directive import Directive, Ledger, Unreadable
from lbcheck.importers.haproxy.health import check_of
from lbcheck.importers.haproxy.proxies import Proxy
from lbcheck.importers.haproxy.servers import Server, servers
from lbcheck.importers.haproxy.stickiness import stickiness_of
from lbcheck.importers.haproxy.words import seconds
from lbcheck.spec.model import Algorithm, HealthCheck, Pool, Protocol, Retries, Timeouts
from lbcheck.spec.syntax import FAILURE, HASH_KEY

FOREVER_S = 86400.0  # HAProxy waits without a bound where no timeout is set; lb.yaml has no word for that
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, section 9.2.2
RETRY_ON = {"conn-failure": "connect", "empty-response": "reset", "response-timeout": "timeout"}
ALL_RETRYABLE = ("conn-failure", "empty-response", "response-timeout", "500", "502", "503", "504")  # "retry-on"
SILENT = {"max_connections": 0, "slow_start_s": 0.0, "proxy_protocol": "none"}
WEIGHTED = {
    Algorithm.ROUND_ROBIN: Algorithm.WEIGHTED_ROUND_ROBIN,
    Algorithm.LEAST_CONNECTIONS: Algorithm.WEIGHTED_LEAST_CONNECTIONS,
}


@dataclass(frozen=True, slots=True)
class ReadPool:
    """`lines`: path below the pool -> the line that it rests on."""

    pool: Pool
    lines: dict[str, Directive]


def pool_of(proxy: Proxy, name: str, ledger: Ledger) -> ReadPool:
    found = servers(proxy, ledger)
    lines: dict[str, Directive] = {"": proxy.section.head}
    algorithm, key = _balance(proxy, found, ledger, lines)
    check_lines: dict[str, Directive] = {}
    check = check_of(proxy, found, ledger, check_lines)
    bound = stickiness_of(proxy, found, ledger)
    if bound:
        lines["stickiness"] = bound.at
    if check is not None:
        lines["health_check"] = check_lines["protocol"]
    lines |= {
        f"health_check.{field.name}": check_lines[field.name]
        for field in fields(HealthCheck)
        if field.name in check_lines
    }
    for server in found:
        lines[f"backends.{server.name}"] = server.at
    pool = Pool(
        name=name,
        backends=tuple(server.backend for server in found),
        protocol=_protocol(proxy, found, ledger),
        algorithm=algorithm,
        hash_key=key,
        health_check=check,
        stickiness=bound.stickiness if bound else None,
        retries=_retries(proxy, ledger, lines),
        timeouts=_timeouts(proxy, ledger, lines),
        max_connections=_same(found, "max_connections", ledger, lines),
        slow_start=_same(found, "slow_start_s", ledger, lines),
        proxy_protocol=_same(found, "proxy_protocol", ledger, lines),
    )
    _backups(proxy, found, ledger)
    proxy.acts_through_its_head(ledger, "mode")
    return ReadPool(pool, lines)


def _protocol(proxy: Proxy, found: Sequence[Server], ledger: Ledger) -> Protocol:
    tls = [server.tls for server in found]
    if any(tls) and not all(tls):
        ledger.refused(found[tls.index(True)].at, "ssl: some servers of the pool speak TLS, and others do not")
    if any(tls):
        return Protocol.HTTPS if proxy.http else Protocol.TLS
    if found and found[0].http2:
        return Protocol.H2C
    return Protocol.HTTP if proxy.http else Protocol.TCP


def _same(found: Sequence[Server], name: str, ledger: Ledger, lines: dict[str, Directive]) -> Any:
    """A setting of servers that the spec has once for the pool."""
    values = [getattr(server, name) for server in found]
    for server, value in zip(found, values, strict=True):
        if value != values[0]:
            said = name.removesuffix("_s").replace("_", " ")
            ledger.refused(server.at, f"{said} is another than {found[0].name}'s, and a pool has one")
    if found and name in found[0].lines:
        lines[name.removesuffix("_s")] = found[0].lines[name]
    return values[0] if values else SILENT[name]


def _backups(proxy: Proxy, found: Sequence[Server], ledger: Ledger) -> None:
    """Without `option allbackups` only the first backup is used."""
    everyone = proxy.has(ledger, "allbackups")
    backups = [server for server in found if server.backup]
    for server in backups[1:] if not everyone else ():
        ledger.refused(server.at, f"only the first backup ({backups[0].name}) is used without `option allbackups`")


# --- balance ---------------------------------------------------------------------------------------------------------


def _balance(
    proxy: Proxy, found: Sequence[Server], ledger: Ledger, lines: dict[str, Directive]
) -> tuple[Algorithm, str]:
    """`roundrobin` where nothing is said ("balance"); weights count where they differ."""
    line, kind = proxy.last(ledger, "balance"), proxy.last(ledger, "hash-type")
    consistent = bool(kind and kind.words[1:2] == ("consistent",))
    algorithm, key = Algorithm.ROUND_ROBIN, "source_ip"
    if line is not None:
        lines["algorithm"] = line
        try:
            algorithm, key = _named(line, consistent, ledger)
        except (Unreadable, IndexError) as error:
            ledger.refused(line, str(error) or "a word is missing")
        else:
            ledger.understood(line)
    if kind is not None:
        _hash_type(kind, algorithm, ledger)
        ledger.acts_through(kind, line or proxy.section.head)
    if algorithm is Algorithm.CONSISTENT_HASH:
        lines["hash_key"] = lines["algorithm"]
    weighted = len({server.weight for server in found if server.weight}) > 1
    return (WEIGHTED.get(algorithm, algorithm) if weighted else algorithm), key


def _hash_type(kind: Directive, algorithm: Algorithm, ledger: Ledger) -> None:
    if algorithm in (Algorithm.SOURCE_IP_HASH, Algorithm.CONSISTENT_HASH):
        ledger.understood(kind)
    else:
        ledger.ignored(kind, "this pool hashes nothing")


def _named(line: Directive, consistent: bool, ledger: Ledger) -> tuple[Algorithm, str]:
    word, rest = line.words[1], line.words[2:]
    plain = {
        "roundrobin": Algorithm.ROUND_ROBIN,
        "static-rr": Algorithm.ROUND_ROBIN,
        "leastconn": Algorithm.LEAST_CONNECTIONS,
        "random": Algorithm.POWER_OF_TWO,  # two draws where no number is given
        "random(1)": Algorithm.RANDOM,
        "random(2)": Algorithm.POWER_OF_TWO,
    }
    if word in plain:
        return plain[word], "source_ip"
    if word == "source":
        return (Algorithm.CONSISTENT_HASH if consistent else Algorithm.SOURCE_IP_HASH), "source_ip"
    key = _hash_key(word, rest)
    if HASH_KEY.refuses(key):
        raise Unreadable(f"balance {word}: the spec has no such algorithm")
    if not consistent:
        ledger.refused(line, "keys move as servers come and go (hash-type map-based); taken as consistent_hash")
    return Algorithm.CONSISTENT_HASH, key


def _hash_key(word: str, rest: Sequence[str]) -> str:
    if word == "uri":
        if any(option not in ("path-only",) for option in rest):
            raise Unreadable(f"a part of the path is hashed: {' '.join(rest)}")
        return "path"
    if word == "url_param":
        if len(rest) > 1:
            raise Unreadable("parameters in a request's body are hashed")
        return f"query:{rest[0]}"
    if word == "hash":
        return _hashed_sample(rest[0])
    header = re.fullmatch(r"hdr\(([^()]+)\)", word)
    if header and rest:
        raise Unreadable(f"a part of the header is hashed: {rest[0]}")
    return f"header:{header[1]}" if header else ""


def _hashed_sample(text: str) -> str:
    if text in ("src", "path"):
        return {"src": "source_ip", "path": "path"}[text]
    found = re.fullmatch(r"(?:req\.)?(cook|hdr|fhdr|url_param|urlp)\(([^(),]+)\)", text)
    if not found:
        raise Unreadable(f"{text} is hashed")
    return {"cook": "cookie", "hdr": "header", "fhdr": "header"}.get(found[1], "query") + f":{found[2]}"


# --- times and repeats -----------------------------------------------------------------------------------------------


def _timeouts(proxy: Proxy, ledger: Ledger, lines: dict[str, Directive]) -> Timeouts:
    """In TCP mode `timeout server` is how long a connection may be silent; `timeout queue` is `connect` if unset."""
    connect = timeout(proxy, "connect", ledger, lines, "timeouts.connect")
    server = timeout(proxy, "server", ledger, lines, "timeouts.response" if proxy.http else "timeouts.idle")
    tunnel = timeout(proxy, "tunnel", ledger, lines, "timeouts.idle")
    queue = timeout(proxy, "queue", ledger, lines, "timeouts.queue")
    if queue is None and "timeouts.connect" in lines:
        lines["timeouts.queue"] = lines["timeouts.connect"]
    kept = connect or FOREVER_S
    idle = {"idle": tunnel} if tunnel else {"idle": server or FOREVER_S} if not proxy.http else {}
    response = {"response": server or FOREVER_S} if proxy.http else {}
    return Timeouts(connect=kept, queue=kept if queue is None else queue, **response, **idle)


def timeout(proxy: Proxy, name: str, ledger: Ledger, lines: dict[str, Directive], path: str) -> float | None:
    """Seconds of `timeout NAME`, None where it is not set."""
    found = proxy.last(ledger, f"timeout {name}")
    if found is None:
        return None
    try:
        value = seconds(found.words[2])
    except (ValueError, IndexError) as error:
        ledger.refused(found, str(error) if isinstance(error, ValueError) else "expected a time")
        return None
    ledger.understood(found)
    lines[path] = found
    return value


def _retries(proxy: Proxy, ledger: Ledger, lines: dict[str, Directive]) -> Retries:
    """3 where nothing is said ("retries"). Only `option redispatch` lets a repeat go to another server."""
    said = proxy.last(ledger, "retries")
    number = int(said.words[1]) if said and said.words[1:] and said.words[1].isdigit() else 3
    redispatch = proxy.last(ledger, "option redispatch")
    words = _retry_on(proxy, ledger, lines)
    refrained = _refrained(proxy, ledger, lines)
    if said:
        lines["retries"] = said
        ledger.understood(
            said, "" if redispatch or not number else "repeats go to the same server: none goes elsewhere"
        )
    attempts = number
    if redispatch:
        ledger.acts_through(redispatch, lines.setdefault("retries", redispatch))
        every = redispatch.words[2:3] == ("1",)
        attempts = number if every else min(number, 1)
        ledger.understood(redispatch, "" if every or number < 2 else "only one of the repeats goes to another server")
    if not redispatch or redispatch.words[2:3] == ("0",):
        attempts = 0
    if attempts == 0:
        return Retries(0)
    harmful = set(words) - {"connect"}
    return Retries(attempts, words, non_idempotent=bool(harmful) and not refrained)


def _retry_on(proxy: Proxy, ledger: Ledger, lines: dict[str, Directive]) -> tuple[str, ...]:
    line = proxy.last(ledger, "retry-on")
    if line is None:
        return ("connect",)
    ledger.understood(line)
    lines["retries.on"] = line
    kept: list[str] = []
    for word in line.words[1:]:
        several = ALL_RETRYABLE if word == "all-retryable-errors" else () if word == "none" else (word,)
        if word in ("all-retryable-errors", "junk-response", "0rtt-rejected"):
            ledger.understood(
                line, f"{word}: an answer that is no HTTP is repeated too" if word != "0rtt-rejected" else ""
            )
        for one in several:
            event = RETRY_ON.get(one, one)
            if not FAILURE.refuses(event):
                kept.append(event)
            elif one not in ("junk-response", "0rtt-rejected"):
                ledger.refused(line, f"{one}: not known")
    return tuple(dict.fromkeys(kept))


def _refrained(proxy: Proxy, ledger: Ledger, lines: dict[str, Directive]) -> bool:
    """`http-request disable-l7-retry` for what is not idempotent."""
    for line in proxy.all("http-request disable-l7-retry"):
        words = [word for word in line.words[2:] if word not in ("{", "}", "!{", "!", "if", "unless", "method")]
        turned = "unless" in line.words or any(word.startswith("!") for word in line.words)
        methods = {word.removeprefix("METH_") for word in words}
        if (turned and methods <= IDEMPOTENT) or (not turned and "POST" in methods):
            ledger.understood(line, "" if turned else "PATCH is repeated")
            lines["retries.non_idempotent"] = line
            return True
        ledger.refused(line, "repeats are left out under this condition")
    return False
