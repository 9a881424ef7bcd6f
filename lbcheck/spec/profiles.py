"""Named defaults: `plain` is the model's own; `alb`, `nlb` and `clb` are those services' documented ones.

Sources: the guides of Application, Network and Classic Load Balancers, pages on target group health checks, target
group attributes and listeners (docs.aws.amazon.com/elasticloadbalancing). A profile fills only what is left out.
"""

from __future__ import annotations

from typing import Any

from lbcheck.spec.model import (
    Algorithm,
    Forwarded,
    HealthCheck,
    Listener,
    Pool,
    Protocol,
    Statuses,
    Stickiness,
    Timeouts,
)

Defaults = dict[type, dict[str, Any]]

_ALB_CHECK: dict[str, Any] = {
    "interval": 30.0,
    "timeout": 5.0,
    "healthy_threshold": 5,
    "unhealthy_threshold": 2,
    "success_codes": "200",
    "initial": "unknown",  # one passed check makes a new target healthy
}
_NLB_CHECK: dict[str, Any] = {
    "protocol": Protocol.TCP,
    "interval": 30.0,
    "timeout": 10.0,
    "healthy_threshold": 5,
    "unhealthy_threshold": 2,
    "success_codes": "200-399",
    "initial": "unknown",
}
_CLB_CHECK: dict[str, Any] = {
    "interval": 30.0,
    "timeout": 5.0,
    "healthy_threshold": 10,
    "unhealthy_threshold": 2,
    "success_codes": "200",
    "initial": "unhealthy",  # an instance is OutOfService until it has passed
}
_ALB_TIMEOUTS = {"connect": 10.0, "response": 60.0, "idle": 60.0}
_ALB_STATUSES = {"none_usable": 503, "refused": 502, "broken": 502, "timeout": 504}

PROFILES: dict[str, Defaults] = {
    "plain": {},
    "alb": {
        Listener: {"idle_timeout": 60.0, "forwarded": Forwarded()},
        Pool: {
            "algorithm": Algorithm.ROUND_ROBIN,
            "health_check": HealthCheck(**_ALB_CHECK),
            "timeouts": Timeouts(**_ALB_TIMEOUTS),
            "statuses": Statuses(**_ALB_STATUSES),
            "deregistration_delay": 300.0,
            "all_unhealthy": "fail_open",
        },
        HealthCheck: _ALB_CHECK,
        Stickiness: {"cookie": "AWSALB", "duration": 86400.0},
        Timeouts: _ALB_TIMEOUTS,
        Statuses: _ALB_STATUSES,
    },
    "nlb": {  # a flow hash over ports and sequence numbers spreads connections as random picks do
        Listener: {"protocol": Protocol.TCP, "idle_timeout": 350.0},
        Pool: {
            "protocol": Protocol.TCP,
            "algorithm": Algorithm.RANDOM,
            "health_check": HealthCheck(**_NLB_CHECK),
            "timeouts": Timeouts(idle=350.0),
            "deregistration_delay": 300.0,
            "all_unhealthy": "fail_open",
        },
        HealthCheck: _NLB_CHECK,
        Stickiness: {"type": "source_ip"},
        Timeouts: {"idle": 350.0},
    },
    "clb": {  # HTTP listeners choose the instance with the fewest outstanding requests
        Listener: {"idle_timeout": 60.0, "forwarded": Forwarded()},
        Pool: {
            "algorithm": Algorithm.LEAST_CONNECTIONS,
            "health_check": HealthCheck(path="/index.html", **_CLB_CHECK),
            "statuses": Statuses(none_usable=503, timeout=504),
            "deregistration_delay": 300.0,
            "all_unhealthy": "refuse",
        },
        HealthCheck: {"path": "/index.html", **_CLB_CHECK},
        Stickiness: {"cookie": "AWSELB", "duration": None},
        Statuses: {"none_usable": 503, "timeout": 504},
    },
}
