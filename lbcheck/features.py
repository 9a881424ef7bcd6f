"""What a target at its version can carry out. A feature claimed by a spec and absent here is *unsupported*."""

from __future__ import annotations

from enum import Enum


class Level(str, Enum):
    """How far a check is expected of everybody: `core` is, `extended` is finer; chaos and load are added by name."""

    CORE = "core"
    EXTENDED = "extended"
    CHAOS = "chaos"
    LOAD = "load"


class Feature(str, Enum):
    """The field's words for an ability; the value is what `--lb-features` and reports say."""

    # algorithms
    ROUND_ROBIN = "round-robin"
    WEIGHTED_ROUND_ROBIN = "weighted-round-robin"
    LEAST_CONNECTIONS = "least-connections"
    WEIGHTED_LEAST_CONNECTIONS = "weighted-least-connections"
    SOURCE_IP_HASH = "source-ip-hash"
    CONSISTENT_HASH = "consistent-hash"
    LEAST_RESPONSE_TIME = "least-response-time"
    RANDOM = "random"
    POWER_OF_TWO = "power-of-two"
    # health
    HTTP_CHECK = "http-check"
    TCP_CHECK = "tcp-check"
    HTTPS_CHECK = "https-check"
    GRPC_CHECK = "grpc-check"
    SUCCESS_CODES = "success-codes"
    INITIAL_STATE = "initial-state"  # the state before the first result as declared; needed by that claim alone
    PASSIVE_HEALTH = "passive-health"
    SLOW_START = "slow-start"
    SLOW_START_OF_NEW = "slow-start-of-new"  # of a backend that is registered; needed by that claim alone
    SLOW_START_LEAST = "slow-start-least"  # a twentieth of the weight from the first moment; needed by that claim alone
    FAIL_OPEN = "fail-open"
    BACKUP = "backup"
    # stickiness
    LB_COOKIE = "lb-cookie"
    APP_COOKIE = "app-cookie"
    SOURCE_IP_STICKINESS = "source-ip-stickiness"
    # forwarding
    RETRIES = "retries"
    RETRIES_NO_CONNECTION = "retries-no-connection"  # `connect` is a late connection too; needed by that claim alone
    UPSTREAM_IDLE = "upstream-idle"  # a kept connection to a backend ends after `idle`; needed by that claim alone
    MAX_CONNECTIONS = "max-connections"
    BACKPRESSURE = "backpressure"  # an answer that its client does not read stays with its backend
    DRAIN = "drain"
    DRAIN_ENDS = "drain-ends"  # what a draining backend is still at is ended at its delay; needed by that claim alone
    RELOAD = "reload"
    REGISTER = "register"
    REWEIGH = "reweigh"
    RESOLVE = "resolve"
    PROXY_PROTOCOL = "proxy-protocol"
    # routing
    PATH_RULES = "path-rules"
    PATH_REGEX = "path-regex"
    HOST_RULES = "host-rules"
    HEADER_RULES = "header-rules"
    METHOD_RULES = "method-rules"
    QUERY_RULES = "query-rules"
    QUERY_DECODING = "query-decoding"  # values are compared as what they mean: %61 is an a, and + a space
    COOKIE_RULES = "cookie-rules"
    SOURCE_RULES = "source-rules"
    WEIGHTED_FORWARD = "weighted-forward"
    REDIRECT = "redirect"
    RESPOND = "respond"
    REWRITE = "rewrite"
    # HTTP
    X_FORWARDED = "x-forwarded"
    TRUSTED_FORWARDED = "trusted-forwarded"
    # protocols
    HTTP = "http"
    HTTPS = "https"
    TCP = "tcp"
    TLS = "tls"
    UDP = "udp"
    HTTP2 = "http2"
    H2C = "h2c"
    WEBSOCKET = "websocket"
