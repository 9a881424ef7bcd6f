"""The page: one self-contained HTML file that asks nobody for anything and runs nothing but its own script.

Every text is made visible and bounded (`lbcheck.report.text`), then escaped by the template engine; the policy in the
page's head allows this style and this script by their hashes and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from lbcheck.report import summary
from lbcheck.report.certificate import Certificate, Row
from lbcheck.report.charts.distribution import distribution
from lbcheck.report.charts.outcomes import proportions
from lbcheck.report.charts.timeline import timeline
from lbcheck.report.model import CheckRecord, Judgement, Run
from lbcheck.report.outcomes import AREAS, FAILURES, LOOKS, look, weight
from lbcheck.report.text import clipped, line, shown
from lbcheck.verdict import Outcome

_DRAWN = frozenset({"counts", "share"})  # figures that a chart shows
_FIGURES = 24
_IDS = 12
_CELL = 300  # characters
_SLUG = 80
_HELD, _JUDGEMENTS = 6, 40  # judgements on the page: those that hold, and the others


def page(run: Run) -> str:
    """The whole page; the same run gives the same text."""
    style, script = _part("style.css"), _part("script.js")
    text = (
        _templates()
        .get_template("page.html")
        .render(
            run=run,
            headline=summary.headline(run),
            tone=summary.tone(run),
            counts=summary.counts(run.checks),
            anchors=_anchors(run.checks),
            failures=sorted((c for c in run.checks if c.outcome in FAILURES), key=lambda c: weight(c.outcome)),
            areas=_areas(run.checks),
            left_out=summary.left_out(run.checks),
            undecided=[(look(o.value), summary.by_reason(run.checks, o)) for o in _UNDECIDED],
            looks=LOOKS,
            style=Markup(style),
            script=Markup(script),
            policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; "
            "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        )
    )
    return text.rstrip() + "\n"


def certificate_page(certificate: Certificate) -> str:
    """Checks against balancers on one page: no script, and links to the runs' own reports beside it."""
    style = _part("style.css") + _part("certificate.css")
    areas: dict[str, list[Row]] = {}
    for row in certificate.rows:
        areas.setdefault(row.area, []).append(row)
    text = (
        _templates()
        .get_template("certificate.html")
        .render(
            certificate=certificate,
            areas=[(code, AREAS.get(code, code), areas[code]) for code in sorted(areas, key=_place)],
            words=[o.value for o in (Outcome.HOLDS, Outcome.BROKEN, Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED)],
            style=Markup(style),
            policy=f"default-src 'none'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'",
        )
    )
    return text.rstrip() + "\n"


_UNDECIDED = (
    Outcome.INCONCLUSIVE,
    Outcome.HARNESS_FAULT,
    Outcome.NOT_RUN,
    Outcome.UNSUPPORTED,
    Outcome.KNOWN,
)


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lbcheck.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "look": look,
        "seconds": seconds,
        "why": summary.why,
        "figures": figures,
        "plural": summary.plural,
        "coded": coded,
        "subject": subject,
        "part_name": summary.part_name,
        "brief": brief,
    }
    environment.globals |= {
        "distribution": distribution,
        "proportions": proportions,
        "timeline": timeline,
        "web_link": web_link,
        "file_link": file_link,
        "counts_of": summary.counts,
        "judgements_of": judgements,
        "ids_shown": _IDS,
        "sent_to": summary.sent_to,
        "states": summary.STATES,
    }
    return environment


def _finalized(value: Any) -> Any:
    """What stands in `{{ }}`: text is made visible and bounded, drawings pass (they did it themselves)."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _part(name: str) -> str:
    return files("lbcheck.report").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _areas(checks: Iterable[CheckRecord]) -> list[tuple[str, str, list[CheckRecord]]]:
    """(code, title, checks) in the catalogue's order; a code that is not ours is its own title and goes last."""
    found: dict[str, list[CheckRecord]] = {}
    for record in checks:
        found.setdefault(record.area, []).append(record)
    return [
        (code, AREAS.get(code, code), sorted(found[code], key=lambda c: (c.id, c.node)))
        for code in sorted(found, key=_place)
    ]


def _place(code: str) -> tuple[int, str]:
    """Where an area stands: in the catalogue's order, others after it."""
    order = list(AREAS)
    return (order.index(code) if code in AREAS else len(order), code)


def _anchors(checks: Iterable[CheckRecord]) -> dict[str, str]:
    """Node to deep link: `ALG-01-round-robin-web`, a number after it where two nodes would share one."""
    taken: dict[str, int] = {}
    anchors: dict[str, str] = {}
    for node in dict.fromkeys(record.node for record in checks):
        slug = _slug(node)
        taken[slug] = taken.get(slug, 0) + 1
        anchors[node] = slug if taken[slug] == 1 else f"{slug}..{taken[slug]}"
    return anchors


def _slug(node: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", node[:_SLUG]).strip("-.")
    return slug if re.match(r"[A-Z][A-Z0-9]*-\d", slug) else f"check-{slug}"  # never an id of the page itself


def judgements(record: CheckRecord) -> tuple[list[Judgement], int]:
    """What the page tells of a check: those against it and the first that hold, and how many are left out."""
    told: list[Judgement] = []
    room = {True: _HELD, False: _JUDGEMENTS}
    for judgement in record.judgements:
        holds = judgement.outcome == Outcome.HOLDS.value
        if room[holds]:
            room[holds] -= 1
            told.append(judgement)
    return told, len(record.judgements) - len(told)


def brief(text: str) -> str:
    """For a cell of a table."""
    return line(text, _CELL)


def subject(record: CheckRecord) -> str:
    """`pool api`, and where that says less than the node: `pool web in failover-health`."""
    _, _, place = record.node.partition("[")
    document, _, _ = place.removesuffix("]").partition("/")
    return f"{record.subject} in {document}" if "/" in place and document not in record.subject else record.subject


# --- values as text --------------------------------------------------------------------------------------------------


def seconds(duration_s: float) -> str:
    """`340 ms`, `12.3 s`, `2 min 05 s`."""
    if not math.isfinite(duration_s) or duration_s < 0:
        return "-"
    if duration_s < 1:
        return f"{duration_s * 1000:.0f} ms"
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    return f"{int(duration_s // 60):,} min {int(duration_s % 60):02} s"


def figures(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value as text) of what no chart shows, in the judge's order."""
    shown_figures = [(str(name), _figure(value)) for name, value in values.items() if name not in _DRAWN]
    return shown_figures[:_FIGURES]


def _figure(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else clipped(str(value), 40)
    if isinstance(value, float):
        return re.sub(r"e([+-])0*", r"e\1", f"{value:.4g}").replace("e+", "e")
    if isinstance(value, Mapping):
        return clipped(", ".join(f"{line(str(k), 60)}: {_figure(v)}" for k, v in list(value.items())[:20]), 400)
    if isinstance(value, list | tuple):
        return clipped(", ".join(_figure(v) for v in value[:20]), 400)
    return line(str(value), 400)


def coded(text: str) -> Markup:
    """The text with what stands between backticks as code."""
    parts = shown(text).split("`")
    if len(parts) % 2 == 0:  # one is open: leave all as they are
        return escape("`".join(parts))
    marked = (Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts))
    return Markup("").join(marked)


# --- links -----------------------------------------------------------------------------------------------------------


def web_link(text: str) -> str | None:
    """The text where it is an http(s) address in RFC 3986's characters, else None: nothing else becomes a link."""
    return text if re.fullmatch(r"https?://[A-Za-z0-9._~:/?#@!$&()*+,;=%\[\]-]{1,1000}", text) else None


def file_link(path: str) -> str | None:
    """A relative link to a file below the report's folder, else None."""
    parts = path.split("/")
    if len(path) > 500 or ".." in parts or path.startswith("/") or line(path) != path:
        return None
    return "./" + "/".join(quote(part, safe="") for part in parts)
