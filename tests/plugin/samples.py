"""A user's project: a spec, and checks of its own that end in every way a check can end."""

from __future__ import annotations

SPEC = """\
version: 1
listeners:
  - name: public
    address: 127.0.0.1
    port: 18080
    default: {forward: api}
pools:
  api:
    algorithm: round_robin
    deregistration_delay: 30s
    backends: [{name: a, address: "127.0.0.1:18081"}, {name: b, address: "127.0.0.1:18082"}]
"""

HEAD = """\
import pytest
from lbcheck.checks import check, pools
from lbcheck.errors import HarnessFault, TargetDied, Unsupported
from lbcheck.features import Feature, Level
from lbcheck.judges.balance import takes_turns
from lbcheck.verdict import decided, expect, inconclusive


def claim(id, sentence, **more):
    where = more.pop("where", lambda pool: pool.algorithm == "round_robin")
    return check(id, sentence, subject=pools(where), catches={}, spec_link="RFC 9110", **more)
"""

CHECKS = {
    "holds": """
@claim("OWN-01", "Backends take turns.")
def test_holds(stage, pool):
    expect(takes_turns(stage.send(pool, rounds=3), ["a", "b"]))
""",
    "broken": """
@claim("OWN-02", "A draining backend takes nothing new.", where=lambda pool: pool.deregistration_delay > 0)
def test_broken(stage, pool):
    answered = len(stage.send(pool, rounds=2))
    expect(decided(answered == 0, "takes_nothing", "0 requests answered", f"{answered} answered"))
""",
    "inconclusive": """
@claim("OWN-03", "The share is right.")
def test_inconclusive(stage, pool):
    stage.one(pool)
    expect(inconclusive("share", "the share within its bound", "1 request where 500 are needed"))
""",
    "unsupported": """
@claim("OWN-04", "Names are resolved again.", needs={Feature.RESOLVE})
def test_unsupported(stage, pool):
    raise RuntimeError("it must not run")
""",
    "unsupported in the midst": """
@claim("OWN-05", "Something that this lab cannot do.")
def test_unsupported_in_the_midst(stage, pool):
    raise Unsupported("this lab has no kernel to ask")
""",
    "harness fault": """
@claim("OWN-06", "Backends live.")
def test_harness_fault(stage, pool):
    raise HarnessFault("backend api/a went without having been told")
""",
    "crash": """
@claim("OWN-07", "A check with a mistake.")
def test_crash(stage, pool):
    stage.one(pool)
    1 / 0
""",
    "judge crash": """
@claim("OWN-08", "A judge with a mistake.")
def test_judge_crash(stage, pool):
    expect(takes_turns(None, None))
""",
    "died": """
@claim("OWN-09", "The balancer stays.")
def test_died(stage, pool):
    raise TargetDied("it exited with code 139", log="segmentation fault")
""",
    "hangs": """
@claim("OWN-10", "An end is reached.", cost_s=0)
def test_hangs(stage, pool):
    while True:
        pass
""",
}


def suite(*names: str) -> str:
    """A module with these checks, in this order."""
    return HEAD + "".join(CHECKS[name] for name in names)
