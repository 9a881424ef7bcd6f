"""A run whose every text is hostile: markup, scripts, control characters, reordering, surrogates, links that run."""

from __future__ import annotations

import dataclasses
from typing import Any

from lbcheck.report.model import CheckRecord, Coverage, Difference, Directive, Environment, Judgement, Part, Run

HOSTILE = (
    "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)></title></style></script>"
    "'\"><svg onload=alert(3)><iframe src='javascript:alert(4)'></iframe><a href=javascript:alert(5)>go</a>"
    "{{ 7 * 7 }}{% raw %}&lt;b&gt;<style>@import 'http://evil.example/s.css';</style><meta http-equiv=refresh content='0;url=http://evil.example'>"
    "\x00\x07\x1b[2J\x1b]0;owned\x07\r\x7f\x85\u2028\u202etxt.exe\u2066\u200b\ufeff\ud800\udfff]]>--><!--"
    "Z" + "\u0301" * 40
)
HOSTILE_LINKS = (
    "javascript:alert(6)",
    'http://evil.example/"onmouseover=alert(7)',
    "data:text/html,<script>alert(8)</script>",
    "//evil.example",
)


def hostile(text: str = HOSTILE) -> Run:
    """Every text of the record is `text`, and every name of a figure, a lane and an outcome."""
    drawn = {
        "lanes": [text, text + "2"],
        "until_s": 4.0,
        "requests": [[0.1, 0, text], [0.2, 0, "answered"], [1.0, -1, "lost"]],
        "probes": [[0.5, 1, text], [0.6, 1, "failed"]],
        "acts": [[0.3, 0, text, text, text]],
        "faults": [[1.0, None, 1, text, text, False]],
        "expected_out": [[1.0, 2.0, 0]],
        "promise": {"unhealthy_threshold": text, "healthy_threshold": text},
        "left_out": {text: 3},
    }
    judgement = Judgement(
        text,
        text,
        text,
        text,
        {text: text, "nested": {text: [text, {text: text}]}, "counts": {text: 3, "b": 4}, "share": {text: 0.5}},
        [text] * 40,
    )
    same: dict[str, Any] = {f.name: text for f in dataclasses.fields(CheckRecord) if f.type == "str"}
    values: dict[str, Any] = {
        "judgements": [judgement],
        "evidence": [text, *HOSTILE_LINKS],
        "timeline": drawn,
        "features": [text],
        "differs": [text],
        "through": [text],
    }
    checks = [
        CheckRecord(**(same | values | {"outcome": outcome, "spec_link": link, "node": f"{text}{n}"}))
        for n, (outcome, link) in enumerate(
            [("broken", text), *(("unsupported", link) for link in HOSTILE_LINKS), (text, text)]
        )
    ]
    told: dict[str, Any] = {f.name: text for f in dataclasses.fields(Environment) if f.type == "str"}
    environment = Environment(
        **told,
        config=[text],
        filled=[text],
        findings=[text],
    )
    states = ("exercised", "not exercised", "no effect")
    directives = [Directive(text, text, state, text, [text] * (state == "exercised")) for state in states]
    coverage = Coverage([Part(text, text, text, [text], []), Part(text, text, text, [], [text])], directives, text)
    different = [Difference(text, text, text, text, text, said) for said in (True, False)]
    return Run(text, text, 1, environment, checks, [text], text, 1.0, coverage=coverage, differences=different)
