/** The chosen link: what is known of it, and its day as a picture and as a table. */

import { Refusal } from "./api.js";
import { chart } from "./chart.js";
import { day as dayOf } from "./day.js";
import { on, set, state } from "./state.js";
import { make, number, t, units } from "./text.js";
import { clock, midnight } from "./time.js";

let rows = null; // of the chosen link's day; null: they are on their way
let problem = null; // why there are none
let question = 0;

/** Draw the panel whenever another link is chosen or something new is shown. */
export function begin() {
  on(["chosen", "network", "dataset"], look);
  on(["language", "at", "mode"], draw);
  draw();
}

async function look() {
  const { network, chosen, dataset } = state;
  question += 1;
  const mine = question;
  problem = null;
  if (network === null || chosen === null) {
    rows = null;
    draw();
    return;
  }
  const link = network.links[chosen].link_id;
  if (panel().dataset.link !== link) {
    rows = null; // a look for something new leaves the picture until there is another one
    draw();
  }
  let found = null;
  try {
    found = dataset.last === null ? [] : await dayOf(network, link, dataset);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    problem = error.detail || t("error_0");
  }
  if (mine !== question) return;
  rows = found;
  draw();
}

function panel() {
  return document.getElementById("link");
}

function draw() {
  const { network, chosen, dataset } = state;
  const box = panel();
  box.classList.toggle("empty", chosen === null);
  if (network === null || chosen === null) {
    delete box.dataset.link;
    box.replaceChildren(make("p", { class: "quiet" }, t("link_none")));
    return;
  }
  const link = network.links[chosen];
  const open = box.querySelector("details")?.open ?? false;
  box.dataset.link = link.link_id;
  const close = make("button", { type: "button", "aria-label": t("close") }, "✕");
  close.addEventListener("click", () => {
    set({ chosen: null });
    document.getElementById("search").focus();
  });
  const title = make("h2", {}, link.name ?? `${t("link")} ${link.link_id}`);
  box.replaceChildren(make("div", { class: "bar" }, title, close), facts(link));
  if (problem !== null) box.append(make("p", { class: "flag" }, problem));
  else if (rows === null) box.append(make("p", {}, t("loading")));
  else if (dataset.last !== null) box.append(...picture(link, dataset, open));
}

function facts(link) {
  const list = make("dl", {});
  const speed = (value) => (value === null ? null : `${number(value)} ${units()}`);
  const nodes = link.start_node && link.end_node ? `${link.start_node} → ${link.end_node}` : null;
  const known = {
    link: link.link_id,
    length: link.length_m === null ? null : `${number(link.length_m)} m`,
    limit: link.speed_limit === null ? null : `${number(link.speed_limit)} km/h`,
    free_flow: speed(link.free_flow),
    road_class: link.road_class,
    lanes: link.lanes,
    nodes,
    on_map: link.geometry === null ? t("no") : null,
  };
  for (const [key, value] of Object.entries(known)) {
    if (value !== null) list.append(make("div", {}, make("dt", {}, t(key)), make("dd", {}, value)));
  }
  return list;
}

function picture(link, dataset, open) {
  const day = midnight(dataset.last);
  const date = day.slice(0, 10);
  const key = make("ul", { class: "key" });
  for (const name of ["observed", "forecast", "interval"]) {
    const swatch = make("span", { class: `swatch ${name}`, "aria-hidden": "true" });
    key.append(make("li", {}, swatch, t(name)));
  }
  const forecasts = rows.some((row) => row.forecast !== null);
  const note = forecasts ? t("hourly") : t("no_forecast");
  const at = Number(state.mode) ? null : state.at;
  return [
    make("h3", {}, t("day_of", { day: date, units: units() })),
    key,
    chart(rows, day, at, summary(link, date)),
    make("p", { class: "quiet" }, note),
    alternative(open),
  ];
}

function summary(link, day) {
  const speeds = rows.map((row) => row.speed).filter((speed) => speed !== null);
  const places = { link: link.link_id, day, units: units() };
  if (!speeds.length) return t("chart_empty", places);
  const [low, high] = [Math.min(...speeds), Math.max(...speeds)];
  return t("chart_summary", { ...places, low: number(low, 1), high: number(high, 1) });
}

function alternative(open) {
  const details = make("details", {}, make("summary", {}, t("as_table")));
  // 288 rows: only for whoever wants them.
  const fill = () => details.open && details.children.length === 1 && details.append(table());
  details.addEventListener("toggle", fill);
  details.open = open;
  return details;
}

function table() {
  const heads = ["time", "observed", "forecast", "low", "high"].map((key) =>
    make("th", { scope: "col" }, t(key)),
  );
  const body = make("tbody", {});
  const text = (value) => (value === null ? "–" : number(value, 1));
  for (const row of rows) {
    const forecast = text(row.forecast) + (row.fallback ? ` (${t("fallback")})` : "");
    const cells = [text(row.speed), forecast, text(row.low), text(row.high)];
    const time = make("th", { scope: "row" }, clock(row.at));
    body.append(make("tr", {}, time, ...cells.map((cell) => make("td", {}, cell))));
  }
  const made = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
  const box = make("div", { class: "scroll", tabindex: "0", role: "region" }, made);
  box.setAttribute("aria-label", t("as_table"));
  return box;
}
