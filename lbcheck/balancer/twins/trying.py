"""What is tried again, over which connection and how soon, where the spec leaves that open."""

# ruff: noqa: ARG002  (another way looks at less)

from __future__ import annotations

from typing import ClassVar, Literal

from lbcheck.balancer.decisions import Attempt, BackendState, Decisions, PoolState
from lbcheck.balancer.request import Request
from lbcheck.balancer.twins.catalogue import twin
from lbcheck.spec.model import Listener


@twin(
    "unsent-tried-again",
    "FLO HLT",
    "A request of any method that met a refused connection, so that nobody has read it, is tried elsewhere undeclared.",
    "nginx's default `proxy_next_upstream error timeout`, a POST among them as long as nothing was sent",
)
class UnsentTriedAgain(Decisions):
    def may_retry(self, pool: PoolState, attempt: Attempt) -> bool:
        unsent = attempt.what == "connect" and not attempt.sent and attempt.repeats == 0
        return (unsent and attempt.replayable) or super().may_retry(pool, attempt)


@twin(
    "connection-each-time",
    "FLO HTT HLT",
    "Each request has a connection to its backend, which is told so and closed after it.",
    "nginx before 1.29.7 without `keepalive`: https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header",
)
class ConnectionEachTime(Decisions):
    def upstream_headers(
        self, listener: Listener, pool: PoolState, backend: BackendState, request: Request
    ) -> list[tuple[str, str]]:
        return [*super().upstream_headers(listener, pool, backend, request), ("Connection", "close")]

    def reusable(self, method: str, status: int, keep_alive: bool, clean: bool) -> bool:
        return False


@twin(
    "oldest-connection-first",
    "HTT FLO",
    "Of several kept connections to a backend the one that has rested longest is used.",
    "Spring Cloud Gateway: reactor-netty's `ConnectionProvider` leases first in, first out",
)
class OldestConnectionFirst(Decisions):
    oldest_first: ClassVar[bool] = True


@twin(
    "always-503",
    "FLO HLT ALG",
    "Whatever goes wrong with a backend is told as 503 where no status is declared.",
    "Envoy's `UF`, `UC` and `UH`: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/"
    "usage#response-flags",
)
class Always503(Decisions):
    def own_status(self, pool: PoolState, why: Literal["none_usable", "refused", "broken", "timeout"]) -> int:
        declared: int | None = getattr(pool.spec.statuses, why)
        return 503 if declared is None else declared


@twin(
    "slower",
    "ALG HLT FLO STK HTT",
    "Three milliseconds pass before a request goes on.",
    "any product with a filter that asks another service, as Envoy's `ext_authz` does",
)
class Slower(Decisions):
    pause_s: ClassVar[float] = 0.003
