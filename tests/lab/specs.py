"""Small specs for the labs' own tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbcheck.spec.model import Backend, Conditions, Forward, HealthCheck, Listener, Pool, Respond, Rule, Spec
from lbcheck.spec.subject import Subject

CHECK = HealthCheck(path="/health", interval=0.2, timeout=0.1, initial="unknown")


def one_pool(*, names: str = "abc", check: HealthCheck | None = None, **pool: Any) -> Spec:
    """A listener `web` that forwards to the pool `api`; /fixed is answered by the balancer itself."""
    fixed = Rule(10, Conditions(path_exact=("/fixed",)), Respond(404, "not here"))
    return Spec(
        listeners=(Listener("web", Forward((("api", 1),)), rules=(fixed,)),),
        pools=(Pool("api", tuple(Backend(name) for name in names), health_check=check, **pool),),
    )


def checked(**changes: Any) -> Spec:
    return one_pool(check=replace(CHECK, **changes))


def api(spec: Spec) -> Subject:
    return Subject("pool", "api", "pools.api", spec.pool("api"))


def fixed(spec: Spec) -> Subject:
    return Subject("rule", "web/10", "listeners.web.rules.10", spec.listener("web").rules[0], "web")
