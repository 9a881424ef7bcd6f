"""FLO: what the balancer itself answers, where the spec says it."""

from __future__ import annotations

from lbcheck.backends.script import HANG, Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.delivery import honest_error
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect

POST = {"method": "POST", "body": b"x"}  # so that no retry stands between the failure and the error
LONGEST_S = 5.0


def declares(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    said = (pool.statuses.refused, pool.statuses.broken, pool.statuses.timeout)
    return plain and any(said) and pool.timeouts.response <= LONGEST_S and pool.passive_health is None


@check(
    "FLO-13",
    "A refused connection, a broken answer and a timeout each have the status that is declared for them.",
    level=Level.EXTENDED,
    subject=pools(declares, reads=lambda p: (p.statuses.refused, p.statuses.broken, p.statuses.timeout)),
    catches={"timeout-told-as-broken": "honest_error"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-15.6.3",
)
def test_statuses_as_declared(stage: Stage, pool: StagedPool) -> None:
    """Every backend closes without an answer, then hangs, then is dead; one POST each: no retry hides the cause."""
    said = pool.spec.statuses
    within = 2 * (pool.spec.timeouts.response + pool.spec.timeouts.connect) + 5.0
    for status, answer in ((said.broken, Answer(fault="close")), (said.timeout, HANG)):
        if status is not None:
            for backend in pool.backends:
                backend.answer(answer)
            expect(honest_error(stage.one(pool, within=within, **POST), {status}))
    if said.refused is not None:
        for backend in pool.backends:
            backend.kill()  # no kept connection is left either
        expect(honest_error(stage.one(pool, within=within, **POST), {said.refused}))
