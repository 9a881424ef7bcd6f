"""The page in a real browser, with the network off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lbcheck.report import write

from .browser import Page, browser
from .hostile_run import HOSTILE_LINKS, hostile
from .sample_run import gate, sample

WHATEVER_HANDLERS_WAIT_FOR = """
for (const details of document.querySelectorAll("details")) details.open = true;
for (const node of document.querySelectorAll("*"))
  for (const kind of ["load", "error", "mouseover", "mouseenter", "focus", "begin", "toggle", "input"])
    node.dispatchEvent(new Event(kind, {bubbles: true}));
"""
FOREIGN = "iframe, frame, object, embed, img, image, video, audio, link, base, animate, set, form[action]"
LOW_CONTRAST = r"""
(() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const rgb = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || node.closest("script, style, title, [hidden]")) continue;
    const style = getComputedStyle(node);
    const a = light(rgb(node instanceof SVGElement ? style.fill : style.color)), b = light(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5 || style.opacity !== "1") poor.add(`${node.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
  }
  return [...poor];
})()
"""
SHOWN = """
[...document.querySelectorAll(".check")].filter((check) => check.offsetParent)
  .map((check) => check.querySelector(".check-id").textContent)
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(gate(), tmp_path_factory.mktemp("sample"))["html"]


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(hostile(), tmp_path_factory.mktemp("hostile"))["html"]


def test_hostile_text_runs_nothing_and_asks_nobody(page: Page, hostile_report: Path) -> None:
    page.set_up()
    page.open(hostile_report)
    scripts = page.events("Debugger.scriptParsed")
    page.evaluate(WHATEVER_HANDLERS_WAIT_FOR)
    assert page.evaluate("document.querySelectorAll('.check[open]').length") == len(hostile().checks)

    asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert asked == [hostile_report.resolve().as_uri()]
    assert [event["message"] for event in page.events("Page.javascriptDialogOpening")] == []
    assert [event["url"] for event in scripts] == [hostile_report.resolve().as_uri()]
    assert page.events("Log.entryAdded") == []
    assert page.events("Runtime.exceptionThrown") == []


def test_hostile_text_stays_text(page: Page, hostile_report: Path) -> None:
    page.set_up()
    page.open(hostile_report)
    assert page.evaluate(f"[...document.querySelectorAll('{FOREIGN}')].map((n) => n.tagName)") == []
    for ours in ("script", "style", "meta[http-equiv]", "head > title"):
        assert page.evaluate(f"document.querySelectorAll('{ours}').length") == 1
    names = page.evaluate("[...document.querySelectorAll('*')].flatMap((n) => n.getAttributeNames())")
    assert [name for name in names if name.startswith("on") or name == "style"] == []
    links = page.evaluate("[...document.querySelectorAll('[href]')].map((n) => n.getAttribute('href'))")
    assert [link for link in links if not link.startswith(("#", "./"))] == []
    assert not set(links) & set(HOSTILE_LINKS)
    assert "<script>alert(1)</script>" in page.evaluate("document.querySelector('h1').textContent")


def test_hostile_text_does_not_break_the_layout(page: Page, hostile_report: Path) -> None:
    for width in (400, 1600):
        page.set_up(width=width)
        page.open(hostile_report)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_search_and_outcomes_filter_the_checks(page: Page, report: Path) -> None:
    page.set_up()
    page.open(report)
    everything = page.evaluate(SHOWN)
    assert everything == [
        record.id
        for area in ("ALG", "HLT", "FLO", "STK", "RTE", "HTT")
        for record in sample().checks
        if record.area == area
    ]

    page.type("/")
    page.type("apiary")
    assert page.evaluate(SHOWN) == ["RTE-03"]
    assert page.evaluate("document.getElementById('shown').textContent") == f"1 of {len(everything)} checks"
    page.evaluate(
        "const s = document.getElementById('search'); s.value = 'nowhere'; s.dispatchEvent(new Event('input'))"
    )
    assert page.evaluate(SHOWN) == []
    assert page.evaluate("document.getElementById('nothing').offsetHeight") > 0

    page.evaluate(
        "s.value = ''; s.dispatchEvent(new Event('input'));document.querySelector('.chip[data-outcome=broken]').click()"
    )
    assert page.evaluate(SHOWN) == [record.id for record in sample().checks if record.outcome == "broken"]
    page.evaluate("const a = document.getElementById('area'); a.value = 'area-2'; a.dispatchEvent(new Event('change'))")
    assert page.evaluate(SHOWN) == ["HLT-04"]


def test_a_deep_link_opens_its_check_although_it_was_filtered_away(page: Page, report: Path) -> None:
    page.set_up()
    page.open(report)
    page.evaluate("document.querySelector('.chip[data-outcome=known]').click()")
    page.evaluate("location.hash = 'HLT-04-thresholds-api'")
    top, bottom = page.evaluate(
        "(r => [r.top, r.bottom])(document.getElementById('HLT-04-thresholds-api').getBoundingClientRect())"
    )
    assert top < 900
    assert bottom > 0
    assert page.evaluate("document.querySelector('#HLT-04-thresholds-api svg').getBoundingClientRect().width") > 300


def test_the_command_is_copied(page: Page, report: Path) -> None:
    page.set_up()
    page.open(report)
    page.evaluate("window.kept = []; navigator.clipboard.writeText = async (text) => { window.kept.push(text); }")
    page.evaluate("document.querySelector('.card [data-copy]').click()")
    assert page.evaluate("window.kept") == ["pytest --lb-target=examplelb --lb-only=ALG-02 --lb-seed=7"]


def test_all_of_it_is_there_without_scripts(page: Page, report: Path) -> None:
    page.set_up(scripts=False)
    page.open(report, fragment="#HLT-04-thresholds-api")
    text = page.evaluate("document.body.innerText")
    for words in (
        sample().headline,
        "Expected",
        "Claim sheet",
        "Environment",
        *(record.id for record in sample().checks),
    ):
        assert words in text
    assert "api-2" in page.evaluate(
        "document.querySelector('.check[open]').innerText"
    )  # the fragment alone has opened it
    assert page.evaluate("[...document.querySelectorAll('form, button')].filter((n) => n.offsetParent).length") == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_contrast(page: Page, report: Path, dark: bool) -> None:
    page.set_up(dark=dark)
    page.open(report)
    page.evaluate(
        "for (const d of document.querySelectorAll('details')) d.open = true; document.querySelector('.chip').click()"
    )
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(15, 17, 21)" if dark else "rgb(247, 247, 248)")
    assert page.evaluate(LOW_CONTRAST) == []


def test_the_theme_button_overrules_the_system(page: Page, report: Path) -> None:
    page.set_up(dark=True)
    page.open(report)
    page.evaluate("document.getElementById('theme').click()")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(247, 247, 248)"
    assert page.evaluate(LOW_CONTRAST) == []


@pytest.mark.parametrize("width", [400, 1600])
def test_nothing_is_wider_than_the_window(page: Page, report: Path, width: int) -> None:
    page.set_up(width=width)
    page.open(report)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_print_shows_what_is_closed(page: Page, report: Path) -> None:
    page.set_up(media="print")
    page.open(report)
    assert page.evaluate("[...document.querySelectorAll('.inside')].filter((n) => n.offsetHeight < 40).length") == 0
    assert page.evaluate("document.querySelector('.top').offsetHeight") == 0
