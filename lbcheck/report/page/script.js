"use strict";
// The page is whole without this; it adds the filter, copying and the theme button. Text is only read, never made markup.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const get = (id) => document.getElementById(id);
  const checks = all(".check").map((node) => ({
    node, outcome: node.dataset.outcome, area: node.closest(".area").id,
    text: (node.querySelector("summary").textContent + " " + node.querySelector(".inside").id).toLowerCase(),
  }));
  const chips = all(".chip");
  const search = get("search"), area = get("area"), expand = get("expand");

  const filter = () => {
    const outcomes = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.outcome));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const check of checks) {
      const fits = (!outcomes.size || outcomes.has(check.outcome)) && (!area.value || area.value === check.area)
        && words.every((word) => check.text.includes(word));
      check.node.hidden = !fits;
      shown += fits;
    }
    for (const part of all(".area")) part.hidden = !part.querySelector(".check:not([hidden])");
    get("nothing").hidden = shown > 0 || !checks.length;
    get("shown").textContent = shown === checks.length ? `${shown} checks` : `${shown} of ${checks.length} checks`;
  };

  const choose = (outcome) => {
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.outcome === outcome));
    filter();
  };

  const reveal = () => {
    let target = null;
    try { target = get(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    const check = target && target.closest(".check");
    if (!check) return;
    if (check.hidden) { search.value = ""; area.value = ""; choose(null); }
    check.open = true;
    target.scrollIntoView();
  };

  const copy = async (button) => {
    const code = button.previousElementSibling;
    let done = "Copied";
    try { await navigator.clipboard.writeText(code.textContent); } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = "Selected";
    }
    button.textContent = done;
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  };

  for (const chip of chips) chip.addEventListener("click", () => {
    chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
    filter();
  });
  for (const link of all(".counts a")) link.addEventListener("click", () => choose(link.dataset.outcome));
  for (const button of all("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  search.addEventListener("input", filter);
  area.addEventListener("change", filter);
  get("filter").addEventListener("submit", (event) => event.preventDefault());
  expand.addEventListener("click", () => {
    const open = expand.textContent === "Expand all";
    for (const check of checks) if (!check.node.hidden) check.node.open = open;
    expand.textContent = open ? "Collapse all" : "Expand all";
  });
  addEventListener("hashchange", reveal);
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select, textarea")) { event.preventDefault(); search.focus(); }
  });
  get("theme").hidden = false;
  get("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  get("filter").hidden = !checks.length;
  filter();
  reveal();
})();
