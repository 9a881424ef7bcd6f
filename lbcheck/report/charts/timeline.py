"""A check on the time axis: a lane for each backend with requests, probes and faults; see `lbcheck.report.timeline`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from lbcheck.history import Fate
from lbcheck.report.charts.svg import element, layer, percent, ticks
from lbcheck.report.timeline import BALANCER, FAILED, PASSED, RETRIED, STRAY, TCP

_HEIGHT = 40  # px of a lane: requests above, probes below
_PROBES_Y = 33
_NOTES = 24  # acts and faults that are numbered and told in words
_LONGEST = 1e8  # seconds
_GRAIN = 400  # probes nearer than this part of the width are one mark

# fate -> (class of its ticks, words for the legend)
FATES = {
    Fate.ANSWERED.value: ("tick-answered", "answered"),
    Fate.LOCAL.value: ("tick-local", "answered by the balancer itself"),
    RETRIED: ("tick-retried", "sent on to another backend"),
    Fate.LOST.value: ("tick-bad", "lost: no arrival, no answer"),
    Fate.REFUSED.value: ("tick-bad", "refused by the balancer (5xx, no arrival)"),
    Fate.FAILED.value: ("tick-bad", "failed: arrived, answered by the balancer"),
    Fate.UNKNOWN.value: ("tick-bad", "unknown: arrived, no answer"),
    Fate.CUT.value: ("tick-bad", "cut: the answer is incomplete"),
    Fate.CROSS_WIRED.value: ("tick-bad", "cross-wired: another request's answer"),
    STRAY: ("tick-stray", "stray: belongs to no request that was sent"),
}
PROBES = {PASSED: "probe answered well", FAILED: "probe failed", TCP: "TCP check (connected without a byte)"}


def timeline(events: Mapping[str, Any]) -> Markup:
    """The drawing with its legend and its notes; "" where nothing was recorded."""
    try:
        return _drawn(events) if events.get("lanes") or events.get("requests") else Markup("")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):  # a record from elsewhere may hold anything
        return element("p", "The timeline of this check cannot be read.", class_="muted")


def _drawn(events: Mapping[str, Any]) -> Markup:
    until = max(float(events["until_s"]), 1e-3)
    if not until < _LONGEST:
        raise ValueError(f"expected a length in seconds, got {until}")
    notes = _notes(events)
    rows = [_harness_lane(notes, until)] if notes else []
    if any(row[1] == BALANCER for row in events["requests"]):
        rows.append(_lane("no backend", BALANCER, events, until))
    rows += [_lane(str(name), n, events, until) for n, name in enumerate(events["lanes"])]
    rows.append(element("div", element("span", class_="lane-name"), _axis(until), class_="lane"))
    return element(
        "div", element("div", *rows, class_="lanes"), _legend(events), _told(notes, events), class_="timeline"
    )


# --- lanes -----------------------------------------------------------------------------------------------------------


def _lane(name: str, lane: int, events: Mapping[str, Any], until: float) -> Markup:
    by_fate: dict[str, list[float]] = {}
    for at, where, fate in events["requests"]:
        if where == lane:
            by_fate.setdefault(str(fate), []).append(at / until)
    probes = [(at / until, result) for at, where, result in events["probes"] if where == lane]
    drawing = element(
        "svg",
        *_bands(events, lane, until),
        element("line", x1=0, x2="100%", y1=22, y2=22, class_="ground"),
        layer(_HEIGHT, *(_request_ticks(fate, xs) for fate, xs in sorted(by_fate.items(), key=_fine_first))),
        *_probe_marks(probes),
        width="100%",
        height=_HEIGHT,
        role="img",
        aria_label=_in_words(name, by_fate, probes),
    )
    label = element("span", name, class_="lane-name lane-none" if lane == BALANCER else "lane-name")
    return element("div", label, drawing, class_="lane")


def _fine_first(item: tuple[str, list[float]]) -> tuple[bool, str]:
    """What is wrong is drawn last, on top."""
    return item[0] in FATES and FATES[item[0]][0] == "tick-bad", item[0]


def _request_ticks(fate: str, xs: list[float]) -> Markup:
    class_ = FATES.get(fate, FATES[STRAY])[0]
    return ticks(xs, 2 if class_ == "tick-bad" else 8, 22, f"tick {class_}")


def _probe_marks(probes: list[tuple[float, str]]) -> list[Markup]:
    """A ring for a good probe, a filled square for a failed one: shape tells as well as colour."""
    places = sorted({(round(x * _GRAIN) / _GRAIN, result) for x, result in probes})
    return [_square(x) if result == FAILED else _ring(x) for x, result in places]


def _ring(x: float) -> Markup:
    return element("circle", cx=percent(x), cy=_PROBES_Y, r=2.5, class_="probe")


def _square(x: float) -> Markup:
    centred = "translate(-3.5 -3.5)"  # a percentage knows no offset
    return element("rect", x=percent(x), y=_PROBES_Y, width=7, height=7, transform=centred, class_="probe-failed")


def _bands(events: Mapping[str, Any], lane: int, until: float) -> list[Markup]:
    out = [(row[0], row[1], "band-out") for row in events["expected_out"] if row[2] == lane]
    faults = [(row[0], row[1], "band-fault") for row in events["faults"] if row[2] == lane]
    return [
        _band(began / until, 1.0 if ended is None else ended / until, class_) for began, ended, class_ in faults + out
    ]


def _band(began: float, ended: float, class_: str) -> Markup:
    return element("rect", x=percent(began), width=percent(ended - began), y=0, height=_HEIGHT, class_=class_)


def _in_words(name: str, by_fate: Mapping[str, list[float]], probes: list[tuple[float, str]]) -> str:
    parts = [f"{len(xs):,} {'requests' if len(xs) != 1 else 'request'} {fate}" for fate, xs in sorted(by_fate.items())]
    results = Counter(result for _, result in probes)
    parts += [f"{PROBES.get(result, result)}: {n:,}" for result, n in sorted(results.items())]
    return f"{name}: {', '.join(parts) or 'nothing arrived'}"


# --- what the harness did --------------------------------------------------------------------------------------------


def _notes(events: Mapping[str, Any]) -> list[tuple[float, str]]:
    """(at, words) of acts and faults by time."""
    notes = [(row[0], " ".join(str(part) for part in row[2:5] if part)) for row in events["acts"]]
    for began, ended, _, fault, on, witnessed in events["faults"]:
        end = "until the end" if ended is None else f"until {ended:.2f} s"
        notes.append((began, f"{fault} on {on}, {end}{'' if witnessed else ', not witnessed'}"))
    return sorted(notes)


def _harness_lane(notes: list[tuple[float, str]], until: float) -> Markup:
    marks: list[Markup] = []
    last = -1.0
    for number, (at, words) in enumerate(notes, 1):
        x = at / until
        marks.append(
            element("line", element("title", words), x1=percent(x), x2=percent(x), y1=16, y2=24, class_="note")
        )
        if number <= _NOTES and x - last > 0.025:  # numbers never run into each other; the list below has them all
            anchor = "start" if x < 0.01 else "end" if x > 0.99 else "middle"
            marks.append(element("text", str(number), x=percent(x), y=11, text_anchor=anchor, class_="note-number"))
            last = x
    words = f"{len(notes)} acts of the harness, told below"
    drawing = element("svg", *marks, width="100%", height=24, role="img", aria_label=words)
    return element("div", element("span", "harness", class_="lane-name lane-none"), drawing, class_="lane")


def _told(notes: list[tuple[float, str]], events: Mapping[str, Any]) -> Markup:
    items = [
        element("li", element("span", f"{at:.2f} s", class_="num"), element("span", words))
        for at, words in notes[:_NOTES]
    ]
    parts = [element("ol", *items, class_="notes")] if items else []
    if len(notes) > _NOTES:
        parts.append(element("p", f"and {len(notes) - _NOTES} more", class_="muted"))
    if left := {k: n for k, n in events["left_out"].items() if n}:
        words = ", ".join(f"{n:,} {kind}" for kind, n in left.items())
        parts.append(element("p", f"Left out of the drawing: {words}. The history has them all.", class_="muted"))
    return Markup("").join(parts)


# --- axis and legend -------------------------------------------------------------------------------------------------


def _axis(until: float) -> Markup:
    step = _step(until)
    marks = []
    n = 0
    while n * step <= until * 0.86:  # the last mark says the length
        x = n * step / until
        marks.append(element("line", x1=percent(x), x2=percent(x), y1=0, y2=4, class_="ground"))
        words = f"{n * step:g}" if n else "0 s"
        marks.append(element("text", words, x=percent(x), y=16, text_anchor="middle" if n else "start", class_="axis"))
        n += 1
    marks.append(element("text", f"{until:.3g} s", x="100%", y=16, text_anchor="end", class_="axis"))
    return element("svg", *marks, width="100%", height=20, aria_hidden="true")


def _step(until: float) -> float:
    """The roundest step that gives at most six marks."""
    unit = 1e-4
    while True:
        for factor in (1, 2, 5):
            if until / (unit * factor) <= 6:
                return unit * factor
        unit *= 10


def _legend(events: Mapping[str, Any]) -> Markup:
    fates = Counter(str(row[2]) for row in events["requests"])
    results = Counter(str(row[2]) for row in events["probes"])
    parts = [
        _key(f"key-tick {FATES.get(fate, FATES[STRAY])[0]}", FATES.get(fate, ("", fate))[1], fates[fate])
        for fate in [*FATES, *sorted(set(fates) - set(FATES))]
        if fate in fates
    ]
    parts += [
        _key("key-square" if result == FAILED else "key-ring", words, results[result])
        for result, words in PROBES.items()
        if result in results
    ]
    if any(row[2] != BALANCER for row in events["faults"]):
        parts.append(_key("key-band band-fault", "fault"))
    if events["expected_out"]:
        parts.append(_key("key-band key-out", f"out, by its probes and the promise{_promise(events['promise'])}"))
    return element("p", *parts, class_="legend")


def _promise(promise: Mapping[str, Any]) -> str:
    if not promise:
        return ""
    return " ({unhealthy_threshold} failed in a row, {healthy_threshold} good to return)".format(**promise)


def _key(class_: str, words: str, count: int | None = None) -> Markup:
    parts = [element("span", class_=class_, aria_hidden="true"), element("span", words)]
    if count is not None:
        parts.append(element("span", f"{count:,}", class_="num"))
    return element("span", *parts, class_="key")
