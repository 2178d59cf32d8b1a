/** All links as a table: the same as the map, sorted and filtered, a hundred rows at a time. */

import { words } from "./legend.js";
import { values } from "./network.js";
import { breaks, classOf } from "./scale.js";
import { matching } from "./search.js";
import { on, set, state } from "./state.js";
import { make, number, t, units } from "./text.js";

const ROWS = 100;
let sorted = { by: "value", down: false };
let wanted = "";
let page = 0;

/** Draw the table whenever it is seen and what it shows changes. */
export function begin() {
  const keys = ["view", "network", "shown", "mode", "language", "chosen"];
  on(["network"], () => (page = 0));
  on(keys, draw);
}

/** The columns: title, the value to sort by, and what a cell says. */
function columns() {
  const { links, reference } = state.network;
  const { mode, shown, dataset } = state;
  const limits = breaks(mode, dataset.units);
  const all = values(state.network, shown, mode);
  const share = mode === "share";
  const text = (value) => (share && !Number.isNaN(value) ? `${number(value * 100)} %` : number(value, 1));
  return {
    link_id: { title: t("link"), of: (n) => links[n].link_id },
    name: { title: t("name"), of: (n) => links[n].name ?? "", say: (n) => links[n].name ?? "–" },
    value: { title: share ? t("mode_share") : valueTitle(mode), of: (n) => all[n],
      say: (n) => text(all[n]) + (shown.fallback[n] ? ` (${t("fallback")})` : "") },
    class: { title: t("class"), of: (n) => classOf(all[n], limits),
      say: (n) => words(classOf(all[n], limits), limits, mode) },
    reference: { title: `${t(reference === "free_flow" ? "free_flow" : "limit")}, ${units()}`,
      of: (n) => links[n][reference] ?? NaN, say: (n) => number(links[n][reference], 0) },
    length: { title: `${t("length")}, m`, of: (n) => links[n].length_m ?? NaN,
      say: (n) => number(links[n].length_m) },
    mapped: { title: t("on_map"), of: (n) => (links[n].geometry ? 1 : 0),
      say: (n) => t(links[n].geometry ? "yes" : "no") },
  };
}

function valueTitle(mode) {
  // Until the forecast has come, or if it does not, what is shown is what was observed.
  const isForecast = Number(mode) > 0 && state.shown.issued_at !== undefined;
  const what = isForecast ? t("mode_ahead", { minutes: mode }) : t("mode_speed");
  return `${what}, ${units()}`;
}

/** Numbers of the links in the order of the table. What is not known comes last, either way. */
function order(of) {
  const numbers = matching(state.network, wanted);
  const sign = sorted.down ? -1 : 1;
  const unknown = (value) => Number.isNaN(value) || value === "";
  return numbers.sort((a, b) => {
    const [x, y] = [of(a), of(b)];
    if (unknown(x) || unknown(y)) return unknown(x) - unknown(y);
    return sign * (x < y ? -1 : x > y ? 1 : 0) || a - b;
  });
}

function draw() {
  const box = document.getElementById("tables");
  if (state.view !== "table" || state.network === null || state.shown === null) return;
  if (state.shown.speeds.length !== state.network.links.length) return;
  const focus = box.contains(document.activeElement) ? document.activeElement.id : null;
  const shape = columns();
  const numbers = order(shape[sorted.by].of);
  const last = Math.max(0, Math.ceil(numbers.length / ROWS) - 1);
  page = Math.min(page, last);
  const rows = numbers.slice(page * ROWS, (page + 1) * ROWS);
  const table = make("table", { class: "links", "aria-rowcount": numbers.length + 1 });
  table.append(make("caption", { class: "unseen" }, t("caption")), head(shape), body(shape, rows));
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "region" }, table);
  scroll.setAttribute("aria-label", t("caption"));
  // The filter stays where it is: somebody may be typing into it.
  const bar = box.querySelector(".bar") ?? box.appendChild(filter());
  while (bar.nextSibling) bar.nextSibling.remove();
  box.append(scroll, pager(numbers.length, rows.length, last));
  bar.querySelector("input").setAttribute("aria-label", t("filter"));
  bar.querySelector("input").placeholder = t("filter");
  if (focus && focus !== "filter") document.getElementById(focus)?.focus();
}

function filter() {
  const input = make("input", { type: "search", id: "filter", spellcheck: "false" });
  input.addEventListener("input", () => {
    wanted = input.value;
    page = 0;
    draw();
  });
  return make("div", { class: "bar" }, input);
}

function head(shape) {
  const row = make("tr", { "aria-rowindex": 1 });
  for (const [key, { title }] of Object.entries(shape)) {
    const mine = key === sorted.by;
    const arrow = mine ? (sorted.down ? " ▼" : " ▲") : "";
    const button = make("button", { type: "button", id: `sort-${key}` }, title + arrow);
    button.addEventListener("click", () => {
      sorted = { by: key, down: mine && !sorted.down };
      page = 0;
      draw();
    });
    const cell = make("th", { scope: "col" }, button);
    if (mine) cell.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    row.append(cell);
  }
  return make("thead", {}, row);
}

function body(shape, rows) {
  const filled = make("tbody", {});
  rows.forEach((link, at) => {
    const [first, ...others] = Object.values(shape);
    const button = make("button", { type: "button", id: `row-${link}` }, first.of(link));
    if (link === state.chosen) button.setAttribute("aria-current", "true");
    const cells = others.map(({ say }) => make("td", {}, say(link)));
    const row = make("tr", { "aria-rowindex": page * ROWS + at + 2 });
    row.append(make("th", { scope: "row" }, button), ...cells);
    row.addEventListener("click", () => set({ chosen: link }));
    filled.append(row);
  });
  return filled;
}

function pager(all, count, last) {
  const turn = (key, to) => {
    const button = make("button", { type: "button", id: `page-${key}` }, t(key));
    button.disabled = to < 0 || to > last;
    button.addEventListener("click", () => {
      page = to;
      draw();
    });
    return button;
  };
  const places = { first: number(count && page * ROWS + 1), last: number(page * ROWS + count) };
  const said = make("span", { role: "status" }, t("rows", { ...places, all: number(all) }));
  return make("div", { class: "pager" }, turn("previous", page - 1), said, turn("next", page + 1));
}
