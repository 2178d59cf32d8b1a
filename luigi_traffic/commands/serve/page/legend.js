/** What the colours of the map mean, and how many links each of them has. */

import { values } from "./network.js";
import { breaks, classes, CLASSES, colours, WIDTHS } from "./scale.js";
import { on, state } from "./state.js";
import { make, number, t, units } from "./text.js";

/** Draw the legend whenever what is shown changes. */
export function begin() {
  on(["shown", "mode", "network", "dark", "language", "dataset"], draw);
}

/** The words for a class: "15 to 30", "jammed: below 40 %". */
export function words(cls, limits, mode) {
  if (cls === 0) return t("unknown");
  const share = mode === "share";
  const text = (limit) => number(share ? limit * 100 : limit);
  const unit = share ? " %" : "";
  const [low, high] = [limits[cls - 2], limits[cls - 1]];
  let range;
  if (low === undefined) range = t("below", { high: text(high) + unit });
  else if (high === undefined) range = t("above", { low: text(low) + unit });
  else range = t("between", { low: text(low), high: text(high) + unit });
  return share ? `${t(`share_${cls}`)}: ${range}` : range;
}

function draw() {
  const { network, shown, mode, dataset } = state;
  const box = document.getElementById("legend");
  if (network === null || shown === null) {
    box.replaceChildren(make("p", {}, t("loading")));
    return;
  }
  const limits = breaks(mode, dataset.units);
  const { counts } = classes(values(network, shown, mode), limits);
  const list = make("ul", {});
  for (let cls = CLASSES - 1; cls >= 0; cls -= 1) {
    const line = make("span", { class: "swatch", "aria-hidden": "true" });
    line.style.background = colours(state.dark)[cls];
    line.style.height = `${WIDTHS[cls] * 1.7}px`;
    const count = make("span", { class: "count" }, number(counts[cls]));
    list.append(make("li", {}, line, make("span", {}, words(cls, limits, mode)), count));
  }
  box.replaceChildren(make("h2", {}, title(network, mode)), list, ...notes(network, shown, mode));
}

function title(network, mode) {
  if (mode !== "share") return t("legend_speed", { units: units() });
  return t(network.reference === "free_flow" ? "legend_share" : "legend_limit");
}

function notes(network, shown, mode) {
  const { links, mapped, reference } = network;
  const said = [t("legend_note")];
  const fallback = shown.fallback.reduce((sum, one) => sum + one, 0);
  if (fallback) said.push(t("legend_paler", { count: number(fallback) }));
  if (mode === "share" && reference !== "free_flow") said.push(t("limit_note"));
  const places = { count: number(links.length - mapped), all: number(links.length) };
  if (mapped < links.length) said.push(t("unmapped", places));
  return said.map((text) => make("p", {}, text));
}
