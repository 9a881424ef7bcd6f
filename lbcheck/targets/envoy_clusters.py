"""Pools in Envoy's words: clusters and their endpoints (config.cluster.v3, config.endpoint.v3)."""

from __future__ import annotations

from collections.abc import Iterator

from lbcheck.spec.model import Algorithm, Backend, HealthCheck, PassiveHealth, Pool, Protocol, Spec
from lbcheck.targets.envoy_words import Document, named, seconds, typed, watched

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
POLICIES = "extensions.load_balancing_policies"
WEIGHTED = {
    Algorithm.WEIGHTED_ROUND_ROBIN,
    Algorithm.SOURCE_IP_HASH,
    Algorithm.CONSISTENT_HASH,
}
UNLIMITED = 2**32 - 1  # "Circuit breaking": limits cannot be turned off, only be high
MOST_HOSTS_IN_PANIC = 100  # `healthy_panic_threshold` is a whole per cent
LEAST_SLOW_START = 5.0  # per cent of the weight; the spec says a twentieth
RETURNS_IN = 10  # sweeps of an ejection time, at the end of the last of which a host returns
TRANSPORT = {"connect", "reset", "timeout"}


def cluster(pool: Pool, spec: Spec) -> Document:
    """The cluster of a pool; its endpoints stand in a file of their own, so that they change without it."""
    return {
        **typed("config.cluster.v3.Cluster", name=pool.name, type="EDS"),
        "eds_cluster_config": {"eds_config": watched(endpoints_file(pool))},
        "connect_timeout": seconds(pool.timeouts.connect),
        "load_balancing_policy": {"policies": [{"typed_extension_config": _policy(pool)}]},
        "common_lb_config": _common(pool, spec),
        # What the spec does not limit; by default 1024 connections and requests, and 3 retries at a time.
        "circuit_breakers": {"thresholds": [dict.fromkeys(_LIMITS, UNLIMITED)]},
        **_upstream(pool),
        **_health(pool),
        **_passive(pool.passive_health),
        **_proxy(pool),
    }


_LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")


def _common(pool: Pool, spec: Spec) -> Document:
    """No merge window: by default changes of health and weight wait for up to a second for others."""
    panic = 1 if pool.all_unhealthy == "fail_open" else 0  # in panic below so many per cent of healthy hosts
    common: Document = {"healthy_panic_threshold": {"value": panic}, "update_merge_window": "0s"}
    if pool.stickiness is not None and spec.claims.sticky_while_draining:
        common["override_host_status"] = {"statuses": ["UNKNOWN", "HEALTHY", "DEGRADED", "DRAINING"]}
    return common


def _upstream(pool: Pool) -> Document:
    if pool.protocol is not Protocol.HTTP:
        return {}
    options = typed(
        HTTP_OPTIONS.removeprefix("envoy."),
        explicit_http_config={"http_protocol_options": {}},
        common_http_protocol_options={"idle_timeout": seconds(pool.timeouts.idle)},
    )
    return {"typed_extension_protocol_options": {HTTP_OPTIONS: options}}


def _proxy(pool: Pool) -> Document:
    if pool.proxy_protocol == "none":
        return {}
    raw = named("envoy.transport_sockets.raw_buffer", "extensions.transport_sockets.raw_buffer.v3.RawBuffer")
    return {
        "transport_socket": named(
            "envoy.transport_sockets.upstream_proxy_protocol",
            "extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            config={"version": pool.proxy_protocol.upper()},
            transport_socket=raw,
        )
    }


# --- choosing --------------------------------------------------------------------------------------------------------


def _policy(pool: Pool) -> Document:
    """extensions.load_balancing_policies; for a hash the route says what is hashed."""
    full_scan: Document = {"selection_method": "FULL_SCAN"}
    policies: dict[Algorithm, tuple[str, str, Document]] = {
        Algorithm.ROUND_ROBIN: ("round_robin", "RoundRobin", {}),
        Algorithm.WEIGHTED_ROUND_ROBIN: ("round_robin", "RoundRobin", {}),
        Algorithm.LEAST_CONNECTIONS: ("least_request", "LeastRequest", full_scan),
        Algorithm.POWER_OF_TWO: ("least_request", "LeastRequest", {"choice_count": 2}),
        Algorithm.RANDOM: ("random", "Random", {}),
        Algorithm.SOURCE_IP_HASH: ("maglev", "Maglev", {}),
        Algorithm.CONSISTENT_HASH: ("ring_hash", "RingHash", {}),
    }
    kind, message, fields = policies[pool.algorithm]
    return named(
        f"envoy.load_balancing_policies.{kind}", f"{POLICIES}.{kind}.v3.{message}", **fields, **_slow_start(pool)
    )


def _slow_start(pool: Pool) -> Document:
    """Linear by default ("Slow start mode")."""
    if not pool.slow_start:
        return {}
    window = {"slow_start_window": seconds(pool.slow_start), "min_weight_percent": {"value": LEAST_SLOW_START}}
    return {"slow_start_config": window}


# --- health ----------------------------------------------------------------------------------------------------------


def _health(pool: Pool) -> Document:
    check = pool.health_check
    if check is None:
        return {}
    probe = {
        "timeout": seconds(check.timeout),
        "interval": seconds(check.interval),
        "no_traffic_interval": seconds(check.interval),  # the same, while no request has come yet
        "unhealthy_threshold": check.unhealthy_threshold,
        "healthy_threshold": check.healthy_threshold,
        **({"tcp_health_check": {}} if check.protocol is Protocol.TCP else {"http_health_check": _http_check(check)}),
    }
    # A host that leaves its cluster would stay until its checks fail.
    return {"health_checks": [probe], "ignore_health_on_host_removal": True}


def _http_check(check: HealthCheck) -> Document:
    """`retriable_statuses`: other statuses would count as `unhealthy_threshold` failures at once."""
    host = {"host": check.host} if check.host is not None else {}
    return {
        **host,
        "path": check.path,
        "method": check.method,
        "expected_statuses": [{"start": low, "end": high + 1} for low, high in code_ranges(check.success_codes)],
        "retriable_statuses": [{"start": 100, "end": 600}],
    }


def code_ranges(success_codes: str) -> Iterator[tuple[int, int]]:
    """(first, last) of "200-299,301"."""
    for part in success_codes.split(","):
        low, _, high = part.strip().partition("-")
        yield int(low), int(high or low)


def _passive(passive: PassiveHealth | None) -> Document:
    """ "Outlier detection". An ejection ends at a sweep, and would last longer each time."""
    if passive is None:
        return {}
    return {
        "outlier_detection": {
            **_counted(passive),
            "interval": seconds(passive.ejection / RETURNS_IN),
            "base_ejection_time": seconds(passive.ejection),
            "max_ejection_time": seconds(passive.ejection),
            "max_ejection_percent": round(passive.max_ejected * 100),
            "enforcing_success_rate": 0,
        }
    }


def _counted(passive: PassiveHealth) -> Document:
    """Which of the three detectors of failures in a row `on` asks for; `limits` has seen to it that it is one."""
    on = set(passive.on)
    if on == TRANSPORT:
        return {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": passive.failures,
            "enforcing_consecutive_local_origin_failure": 100,
            "enforcing_local_origin_success_rate": 0,
            "enforcing_consecutive_5xx": 0,
        }
    if "5xx" in on:
        return {"consecutive_5xx": passive.failures, "enforcing_consecutive_5xx": 100}
    return {
        "consecutive_gateway_failure": passive.failures,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_consecutive_5xx": 0,
    }


# --- endpoints -------------------------------------------------------------------------------------------------------


def endpoints_file(pool: Pool) -> str:
    return f"endpoints-{pool.name}.yaml"


def endpoints(pool: Pool) -> Document:
    """Backups are a second priority.

    `overprovisioning_factor`: a priority is whole as long as its healthy share times this is 100 % ("Priority
    levels"), so that one host that is left of n keeps all of the traffic.
    """
    primaries = [backend for backend in pool.backends if not backend.backup]
    backups = [backend for backend in pool.backends if backend.backup]
    document = typed(
        "config.endpoint.v3.ClusterLoadAssignment",
        cluster_name=pool.name,
        endpoints=[
            {"priority": priority, "lb_endpoints": [_endpoint(pool, backend) for backend in backends]}
            for priority, backends in enumerate((primaries, backups))
            if backends or priority == 0
        ],
    )
    if backups and primaries:
        document["policy"] = {"overprovisioning_factor": 100 * len(primaries)}
    return document


def _endpoint(pool: Pool, backend: Backend) -> Document:
    """`hostname` is what a route with `auto_host_rewrite` sends as Host. There is no weight 0."""
    document: Document = {
        "endpoint": {
            "address": socket(backend.host, backend.port),
            "hostname": str(backend.address),
            **_probed(pool, backend),
        }
    }
    if backend.state == "draining" or backend.weight == 0:
        document["health_status"] = "DRAINING"
    if pool.algorithm in WEIGHTED and backend.weight > 0:
        document["load_balancing_weight"] = backend.weight
    return document


def _probed(pool: Pool, backend: Backend) -> Document:
    """Where checks go and which Host they send, if that is not the endpoint's port and the cluster's name."""
    check = pool.health_check
    if check is None:
        return {}
    own: Document = {}
    if check.port is not None:
        own["port_value"] = check.port
    if check.protocol is Protocol.HTTP and check.host is None:
        own["hostname"] = str(backend.address)
    return {"health_check_config": own} if own else {}


def socket(host: str, port: int) -> Document:
    return {"socket_address": {"address": host, "port_value": port}}
