/** A link's day: what was observed, and what was forecast for each interval. */

import { Refusal } from "./api.js";
import { forecastOf, observedDay } from "./network.js";
import { later, midnight, millis } from "./time.js";

const HOUR = 3600;

/**
 * The rows of a day by time: {at, speed, forecast, low, high, fallback, issued}, null for what is
 * not known. An interval has the forecast that was issued at the full hour before it; those of the
 * hours to come have the newest one.
 */
export async function day(network, link, dataset) {
  const first = midnight(dataset.last);
  const [rows, issues] = await Promise.all([
    observedDay(network, link, first, dataset.last),
    dataset.forecasts ? forecasts(network, link, first) : [],
  ]);
  const by = new Map();
  const at = (time) => {
    const empty = { speed: null, forecast: null, low: null, high: null, fallback: false };
    if (!by.has(time)) by.set(time, { at: time, issued: null, ...empty });
    return by.get(time);
  };
  for (const row of rows) at(row.at).speed = row.speed;
  for (const { issued_at: issued, rows: steps } of issues) {
    for (const { target_at: target, speed, low, high, fallback } of steps) {
      const known = { forecast: speed, low, high, fallback: fallback === true, issued };
      if (target >= first) Object.assign(at(target), known);
    }
  }
  return [...by.values()].sort((a, b) => millis(a.at) - millis(b.at));
}

/** Those issued at the full hours of the day, then the newest: what is later counts. */
async function forecasts(network, link, first) {
  const newest = await orNone(forecastOf(network, link, null));
  if (newest === null || newest.issued_at < first) return newest === null ? [] : [newest];
  const hours = [];
  for (let at = first; at < newest.issued_at; at = later(at, HOUR)) hours.push(at);
  const found = await Promise.all(hours.map((at) => orNone(forecastOf(network, link, at))));
  return [...found.filter((one) => one !== null), newest];
}

/** Nothing was issued then: that is an answer, too. */
async function orNone(asked) {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}
