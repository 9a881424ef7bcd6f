"""HTT: messages whose end can be read in two ways, judged by what a strict backend saw."""

from __future__ import annotations

from lbcheck.checks import check, listeners, serves
from lbcheck.client.attacks import attacks
from lbcheck.judges.answers import all_answered
from lbcheck.judges.heads import Lawful, no_smuggling
from lbcheck.lab.stage import Stage
from lbcheck.spec.model import Listener
from lbcheck.verdict import expect

HOST = "lb.test"


@check(
    "HTT-11",
    "A message whose end can be read in two ways is refused or forwarded harmlessly: never two requests for one.",
    subject=listeners(within=serves),
    catches={
        "two-lengths-accepted": "no_smuggling",
        "length-and-chunked-accepted": "no_smuggling",
        "odd-coding-is-chunked": "no_smuggling",
    },
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-11.2",
    cost_s=2,
)
def test_framing_attacks_do_not_smuggle(stage: Stage, listener: Listener) -> None:
    for number, attack in enumerate(attacks()):
        outer, inner = f"attack-{number}", f"attack-{number}-inner"
        answers = stage.raw(listener, attack.raw(id=outer, inner=inner, host=HOST), within=0.4 + stage.slack)
        lawful = Lawful(attack.name, attack.requests, attack.body_length(inner=inner, host=HOST))
        expect(no_smuggling(stage.sync(), (outer, inner), answers, lawful))
        # Whatever a backend's connection still held would come out here, as somebody else's answer.
        expect(all_answered(stage.history, stage.send(listener, n=2)))
