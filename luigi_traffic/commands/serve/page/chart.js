/** A day as a picture: the observed line, the forecast line, its interval as a band. */

import { number, t, units } from "./text.js";
import { clock, minutes } from "./time.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [380, 220];
const EDGE = { left: 30, right: 8, top: 10, bottom: 24 };
const TICKS = [1, 2, 5, 10, 20, 25, 50, 100, 200];

/** The picture of the rows of day.js; `at` is the time of the slider, or null. */
export function chart(rows, day, at, about) {
  const highest = Math.max(10, ...rows.flatMap((row) => [row.speed, row.forecast, row.high]));
  const tick = TICKS.find((one) => highest / one <= 5) ?? 500;
  const top = Math.ceil(highest / tick) * tick;
  const span = Math.max(1440, ...rows.map((row) => minutes(row.at, day)));
  const x = (time) => EDGE.left + (minutes(time, day) / span) * (WIDTH - EDGE.left - EDGE.right);
  const y = (v) => HEIGHT - EDGE.bottom - (v / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "chart" });
  svg.setAttribute("aria-label", about);
  for (let value = 0; value <= top; value += tick) {
    svg.append(node("path", { class: "grid", d: `M${EDGE.left} ${y(value)}H${WIDTH - EDGE.right}` }));
    svg.append(label(number(value), EDGE.left - 6, y(value) + 4, "end"));
  }
  for (let hour = 0; hour <= span / 60; hour += 6) {
    const left = EDGE.left + ((hour * 60) / span) * (WIDTH - EDGE.left - EDGE.right);
    svg.append(label(`${hour}:00`, left, HEIGHT - 7, hour ? (hour === 24 ? "end" : "middle") : "start"));
  }
  const issues = [...new Set(rows.map((row) => row.issued).filter((one) => one !== null))];
  const parts = issues.map((issued) => rows.filter((row) => row.issued === issued));
  for (const mine of parts) svg.append(band(mine, x, y));
  svg.append(line("observed", rows, "speed", x, y));
  for (const mine of parts) svg.append(line("forecast", mine, "forecast", x, y));
  if (at !== null && at.slice(0, 10) === day.slice(0, 10)) {
    svg.append(node("path", { class: "now", d: `M${x(at)} ${EDGE.top}V${HEIGHT - EDGE.bottom}` }));
  }
  svg.append(pointer(svg, rows, x));
  return svg;
}

function node(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function label(text, x, y, anchor) {
  const element = node("text", { x, y, "text-anchor": anchor });
  element.textContent = text;
  return element;
}

/** A line with a gap where nothing is known; one value alone is a dot. */
function line(cls, rows, key, x, y) {
  let path = "";
  rows.forEach((row, at) => {
    if (row[key] === null) return;
    const point = `${x(row.at).toFixed(1)} ${y(row[key]).toFixed(1)}`;
    const begins = at === 0 || rows[at - 1][key] === null;
    const alone = begins && (at === rows.length - 1 || rows[at + 1][key] === null);
    path += begins ? `M${point}${alone ? "h.1" : ""}` : `L${point}`;
  });
  return node("path", { class: cls, d: path });
}

function band(rows, x, y) {
  const known = rows.filter((row) => row.low !== null && row.high !== null);
  const at = (key) => (row) => `${x(row.at).toFixed(1)} ${y(row[key]).toFixed(1)}`;
  const points = [...known.map(at("high")), ...known.reverse().map(at("low"))];
  return node("path", { class: "band", d: points.length ? `M${points.join("L")}Z` : "" });
}

/** What the chart says where the pointer is. The table below says the same of each interval. */
function pointer(svg, rows, x) {
  const group = node("g", { class: "pointer", visibility: "hidden" });
  const rule = group.appendChild(node("path", {}));
  const said = group.appendChild(node("text", { y: EDGE.top + 10 }));
  svg.addEventListener("pointerleave", () => group.setAttribute("visibility", "hidden"));
  svg.addEventListener("pointermove", (event) => {
    if (!rows.length) return;
    const box = svg.getBoundingClientRect();
    const left = ((event.clientX - box.left) / box.width) * WIDTH;
    const distance = (row) => Math.abs(x(row.at) - left);
    const row = rows.reduce((best, one) => (distance(one) < distance(best) ? one : best));
    rule.setAttribute("d", `M${x(row.at)} ${EDGE.top}V${HEIGHT - EDGE.bottom}`);
    said.textContent = words(row);
    const right = x(row.at) > WIDTH / 2;
    said.setAttribute("x", x(row.at) + (right ? -6 : 6));
    said.setAttribute("text-anchor", right ? "end" : "start");
    group.setAttribute("visibility", "visible");
  });
  return group;
}

function words(row) {
  const parts = [clock(row.at)];
  if (row.speed !== null) parts.push(`${t("observed")} ${number(row.speed, 1)} ${units()}`);
  if (row.forecast !== null) parts.push(`${t("forecast")} ${number(row.forecast, 1)}`);
  if (row.low !== null) parts.push(`${number(row.low, 1)}–${number(row.high, 1)}`);
  return parts.join(" · ");
}
