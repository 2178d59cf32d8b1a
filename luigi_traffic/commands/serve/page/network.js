/** The links of a dataset, and their speeds at one time, as arrays by the number of the link. */

import { get, pages } from "./api.js";

/** The datasets that the server has. */
export function datasets() {
  return get("datasets", {}, (body) => body);
}

/**
 * All links: `links` (properties and `geometry`, which may be null), `numbers` (id → number) and
 * `reference`, what a speed is a share of: free flow of Insight, or the limit if there is none.
 */
export async function load(dataset) {
  const parts = await pages("links", { dataset, format: "geojson" }, (body) => body.features);
  const links = parts.flat().map(({ properties, geometry }) => ({ ...properties, geometry }));
  const reference = links.some((link) => link.free_flow !== null) ? "free_flow" : "speed_limit";
  return {
    dataset,
    links,
    reference,
    numbers: new Map(links.map((link, number) => [link.link_id, number])),
    mapped: links.filter((link) => link.geometry !== null).length,
  };
}

/** What was observed in an interval; null: the newest. `network` may be a promise of it. */
export async function observed(dataset, network, at) {
  return all("speeds", { dataset, ...(at === null ? {} : { at }) }, network);
}

/** The newest forecast for the interval that ends so many minutes after its issue. */
export async function forecast(dataset, network, minutes) {
  return all("forecast", { dataset, minutes }, network);
}

/** A link's observed rows of a day, up to a time. */
export function observedDay(network, link, at, until) {
  const asked = { dataset: network.dataset, link, at, until };
  return get("speeds", asked, (body) => body.rows);
}

/** A link's rows of one forecast; null issued: the newest. */
export function forecastOf(network, link, issued) {
  const asked = { dataset: network.dataset, link, ...(issued === null ? {} : { issued }) };
  return get("forecast", asked, (body) => body);
}

/** The values that links are coloured by: speeds, or shares of free flow; NaN if not known. */
export function values(network, shown, mode) {
  if (mode !== "share") return shown.speeds;
  return shown.speeds.map((speed, number) => {
    const free = network.links[number][network.reference];
    return free > 0 ? speed / free : NaN;
  });
}

async function all(path, asked, network) {
  return joined(await pages(path, asked, async (body) => packed(await network, body)));
}

// A page in numbers: 14,000 rows of JSON are megabytes, and a day has 288 of them.
function packed(network, body) {
  const { rows, next, ...head } = body;
  const speeds = new Float32Array(network.links.length).fill(NaN);
  const fallback = new Uint8Array(network.links.length);
  let strangers = 0;
  for (const row of rows) {
    const number = network.numbers.get(row.link_id);
    if (number === undefined) strangers += 1;
    else {
      speeds[number] = row.speed ?? NaN;
      fallback[number] = row.fallback ? 1 : 0;
    }
  }
  return { ...head, at: rows[0]?.target_at ?? body.at ?? null, speeds, fallback, strangers };
}

function joined(parts) {
  if (parts.length === 1) return parts[0];
  const speeds = parts[0].speeds.slice();
  const fallback = parts[0].fallback.slice();
  let strangers = 0;
  for (const part of parts) {
    strangers += part.strangers;
    part.speeds.forEach((speed, number) => {
      if (!Number.isNaN(speed)) speeds[number] = speed;
      fallback[number] |= part.fallback[number];
    });
  }
  return { ...parts[0], speeds, fallback, strangers };
}
