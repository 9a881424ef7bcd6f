"""Listeners in Envoy's words: filter chains and what is in them (config.listener.v3, HttpConnectionManager)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from lbcheck.spec.model import Action, Forward, Forwarded, Listener, Pool, Protocol, Rule, Spec
from lbcheck.targets.envoy_clusters import socket
from lbcheck.targets.envoy_routing import routes
from lbcheck.targets.envoy_words import Document, named, resources, seconds, typed, watched
from lbcheck.targets.template import in_order

HCM = "envoy.filters.network.http_connection_manager"
SESSION = "envoy.filters.http.stateful_session"
PEER = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
DIRECT_RESPONSE_BYTES = 4096  # config.route.v3.RouteConfiguration, `max_direct_response_body_size_bytes`
OWN_STATUSES = {"none_usable": 503, "refused": 503, "broken": 503, "timeout": 504}
RESPONSE_FLAGS = {"none_usable": ["UH"], "refused": ["UF"], "broken": ["UC", "UR", "UPE"], "timeout": ["UT"]}


def listener_document(listener: Listener, spec: Spec) -> Document:
    return {
        **typed("config.listener.v3.Listener", name=listener.name),
        "address": socket(str(listener.address), int(listener.port or 0)),
        "filter_chains": [_filter_chain(chain, listener, spec) for chain in chains(listener)],
    }


def route_files(listener: Listener, spec: Spec) -> dict[str, str]:
    """File name -> text, one for each of its filter chains; none for a TCP listener."""
    if listener.protocol is not Protocol.HTTP:
        return {}
    return {_routes_file(chain): resources([_route_document(chain, listener, spec)]) for chain in chains(listener)}


@dataclass(frozen=True, slots=True)
class Chain:
    """The rules that may act for peers of a network; "" is everybody else."""

    name: str
    network: str
    rules: tuple[Rule, ...]


def chains(listener: Listener) -> list[Chain]:
    """A route knows no peer's address, a filter chain does, and the longest prefix decides (FilterChainMatch).

    So each network that a rule names has a chain of its own, with the rules whose networks hold all of it.
    """
    rules = tuple(in_order(listener.rules))
    networks = sorted({network for rule in rules for network in rule.when.source})
    named_ones = [
        Chain(f"{listener.name}.{number}", network, tuple(rule for rule in rules if _may_act(rule, network)))
        for number, network in enumerate(networks, 1)
    ]
    return [*named_ones, Chain(listener.name, "", tuple(rule for rule in rules if not rule.when.source))]


def _may_act(rule: Rule, network: str) -> bool:
    return not rule.when.source or any(_holds(wide, network) for wide in rule.when.source)


def _holds(wide: str, narrow: str) -> bool:
    outer, inner = ipaddress.ip_network(wide), ipaddress.ip_network(narrow)
    return outer.version == inner.version and inner.network_address in outer and inner.prefixlen >= outer.prefixlen


def _filter_chain(chain: Chain, listener: Listener, spec: Spec) -> Document:
    network = chain.network and ipaddress.ip_network(chain.network)
    match = {"direct_source_prefix_ranges": [_range(network)]} if network else {}
    http = listener.protocol is Protocol.HTTP
    return {
        "name": chain.name,
        **({"filter_chain_match": match} if match else {}),
        "filters": [_http(chain, listener, spec) if http else _tcp(listener, spec)],
    }


def _range(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Document:
    return {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}


def _tcp(listener: Listener, spec: Spec) -> Document:
    """extensions.filters.network.tcp_proxy.v3.TcpProxy."""
    (pool,) = reached(listener, spec)
    hashed: Document = {"hash_policy": [{"source_ip": {}}]} if _hashes(pool) else {}
    return named(
        "envoy.filters.network.tcp_proxy",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=listener.name,
        cluster=pool.name,
        idle_timeout=seconds(min(pool.timeouts.idle, listener.idle_timeout)),
        max_connect_attempts=pool.retries.attempts + 1,
        **hashed,
    )


def _hashes(pool: Pool) -> bool:
    return pool.algorithm.value in ("source_ip_hash", "consistent_hash")


# --- HTTP ------------------------------------------------------------------------------------------------------------


def _http(chain: Chain, listener: Listener, spec: Spec) -> Document:
    pools = reached(listener, spec)
    # A stream that waits for its answer is idle too, and may be for as long as a pool allows.
    idle = max([listener.idle_timeout, *(pool.timeouts.response for pool in pools)])
    return named(
        HCM,
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=listener.name,
        rds={"route_config_name": chain.name, "config_source": watched(_routes_file(chain))},
        http_filters=_http_filters(pools),
        common_http_protocol_options={"idle_timeout": seconds(listener.idle_timeout)},
        stream_idle_timeout=seconds(idle),
        **({"upgrade_configs": [{"upgrade_type": "websocket"}]} if spec.claims.websocket else {}),
        **_client_address(listener.forwarded),
        **_own_answers(pools),
    )


def _http_filters(pools: list[Pool]) -> list[Document]:
    """Without a session state of its own the filter waits for a route's (StatefulSessionPerRoute)."""
    sticky = any(pool.stickiness for pool in pools)
    session = [named(SESSION, "extensions.filters.http.stateful_session.v3.StatefulSession")] if sticky else []
    return [*session, named("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")]


def _own_answers(pools: list[Pool]) -> Document:
    """ "Local reply modification": statuses that are declared and are not Envoy's own, by response flag."""
    mappers = [
        {"filter": {"response_flag_filter": {"flags": RESPONSE_FLAGS[cause]}}, "status_code": status}
        for cause, status in declared_statuses(pools)
        if status != OWN_STATUSES[cause] or cause == "broken"  # a broken answer is 503 or 502, as it happens
    ]
    return {"local_reply_config": {"mappers": mappers}} if mappers else {}


def declared_statuses(pools: list[Pool]) -> list[tuple[str, int]]:
    """(cause, status), each pair once."""
    pairs = [(cause, getattr(pool.statuses, cause)) for cause in OWN_STATUSES for pool in pools]
    return [pair for pair in dict.fromkeys(pairs) if pair[1] is not None]


def reached(listener: Listener, spec: Spec) -> list[Pool]:
    actions: list[Action] = [listener.default, *(rule.then for rule in listener.rules)]
    names = [name for action in actions if isinstance(action, Forward) for name, _ in action.pools]
    return [spec.pool(name) for name in dict.fromkeys(names)]


# --- headers ---------------------------------------------------------------------------------------------------------


def _client_address(forwarded: Forwarded | None) -> Document:
    """ "x-forwarded-for". `use_remote_address` takes the peer as the client, as an edge proxy does."""
    if forwarded is None:
        return {"use_remote_address": True}
    skip = {"skip_xff_append": forwarded.x_forwarded_for != "append"}
    if not forwarded.trust:
        return {"use_remote_address": True, **skip}
    networks = [_range(ipaddress.ip_network(network)) for network in forwarded.trust]
    detection = named(
        "envoy.http.original_ip_detection.xff",
        "extensions.http.original_ip_detection.xff.v3.XffConfig",
        xff_trusted_cidrs={"cidrs": networks},
        **skip,
    )
    return {"use_remote_address": False, **skip, "original_ip_detection_extensions": [detection]}


def _route_document(chain: Chain, listener: Listener, spec: Spec) -> Document:
    longest = max(_bodies(listener), default=0)
    return {
        **typed("config.route.v3.RouteConfiguration", name=chain.name),
        "virtual_hosts": [{"name": chain.name, "domains": ["*"], "routes": routes(chain.rules, listener, spec)}],
        **_headers(listener.forwarded),
        **({"max_direct_response_body_size_bytes": longest} if longest > DIRECT_RESPONSE_BYTES else {}),
    }


def _bodies(listener: Listener) -> Iterator[int]:
    for action in (listener.default, *(rule.then for rule in listener.rules)):
        yield len(getattr(action, "body", "").encode())


def _headers(forwarded: Forwarded | None) -> Document:
    """config.core.v3.HeaderValueOption; what HttpConnectionManager does by itself is not said again."""
    if forwarded is None:
        return {}
    how = forwarded.x_forwarded_for
    add, remove = [], []
    if how == "replace":
        add.append(_header("x-forwarded-for", PEER))
    elif how == "remove":
        remove.append("x-forwarded-for")
    if forwarded.x_forwarded_proto == "set" and forwarded.trust:
        add.append(_header("x-forwarded-proto", "http"))
    if forwarded.x_forwarded_port == "set":
        add.append(_header("x-forwarded-port", "%DOWNSTREAM_LOCAL_PORT%"))
    told = {"x-forwarded-proto": forwarded.x_forwarded_proto, "x-forwarded-port": forwarded.x_forwarded_port}
    remove += [field for field, value in told.items() if value == "none"]
    return {
        **({"request_headers_to_add": add} if add else {}),
        **({"request_headers_to_remove": remove} if remove else {}),
    }


def _header(name: str, value: str) -> Document:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _routes_file(chain: Chain) -> str:
    return f"routes-{chain.name}.yaml"
