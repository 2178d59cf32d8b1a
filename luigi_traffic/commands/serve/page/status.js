/** How new what is shown is, and how much of it there is. */

import { on, state } from "./state.js";
import { make, number, t } from "./text.js";
import { clock, later, millis, now } from "./time.js";

const MINUTE = 60_000;
const LATE = 3; // intervals after which data counts as old

/** Write the line whenever what is shown changes, and each minute. */
export function begin() {
  on(["shown", "dataset", "language"], draw);
  setInterval(draw, MINUTE);
}

function draw() {
  const { dataset, network, shown, mode } = state;
  const line = document.getElementById("status");
  if (dataset === null || network === null || shown === null) {
    line.replaceChildren(t("loading"));
    return;
  }
  const isForecast = Number(mode) > 0 && shown.issued_at !== undefined;
  const seconds = dataset.interval_seconds ?? 300;
  const said = [make("span", {}, isForecast ? forecast(shown, seconds) : observed(shown, seconds))];
  // Of a forecast, its issue is what ages; otherwise the newest interval of the dataset.
  const newest = isForecast ? shown.issued_at : dataset.last && later(dataset.last, seconds);
  said.push(...age(dataset, newest, seconds, isForecast));
  const known = shown.speeds.reduce((sum, speed) => sum + (Number.isNaN(speed) ? 0 : 1), 0);
  const places = { count: number(known), all: number(network.links.length) };
  said.push(make("span", {}, t("coverage", places)));
  const fallback = shown.fallback.reduce((sum, one) => sum + one, 0);
  if (fallback) said.push(flag(t("fallback_count", { count: number(fallback) })));
  if (shown.strangers) said.push(flag(t("strangers", { count: number(shown.strangers) })));
  line.replaceChildren(...said);
}

function observed({ at }, seconds) {
  return t("observed_at", { day: at.slice(0, 10), from: clock(at), to: clock(later(at, seconds)) });
}

function forecast({ at, issued_at: issued, model, kind }, seconds) {
  const day = (at ?? issued).slice(0, 10);
  const [from, to] = at ? [clock(at), clock(later(at, seconds))] : ["?", "?"];
  return t("forecast_at", { day, from, to, issued: clock(issued), model, kind });
}

/** How old the newest data is: plain while it is on time, flagged when it is late. */
function age(dataset, newest, seconds, isForecast) {
  if (!dataset.timezone || !newest) return [];
  const past = Math.max(0, millis(now(dataset.timezone)) - millis(newest));
  if (past <= LATE * seconds * 1000) return [make("span", {}, t("age", { age: span(past) }))];
  return [flag(t(isForecast ? "forecast_old" : "feed_old", { age: span(past) }))];
}

function span(past) {
  const minutes = Math.round(past / MINUTE);
  if (minutes < 120) return t("age_minutes", { count: number(minutes) });
  const hours = Math.round(minutes / 60);
  if (hours < 48) return t("age_hours", { count: number(hours) });
  return t("age_days", { count: number(Math.round(hours / 24)) });
}

function flag(text) {
  return make("strong", { class: "flag" }, `⚠ ${text}`);
}
