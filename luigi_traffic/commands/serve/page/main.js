/** The page: its parts, what is loaded when, and what is said if that fails. */

import { Refusal, whenTokenIsNeeded } from "./api.js";
import * as controls from "./controls.js";
import * as legend from "./legend.js";
import * as link from "./link.js";
import { datasets, forecast, load, observed } from "./network.js";
import * as search from "./search.js";
import * as slider from "./slider.js";
import { on, set, state } from "./state.js";
import * as status from "./status.js";
import * as table from "./table.js";
import { t, translate } from "./text.js";
import { ask } from "./token.js";

const EVERY = 60_000; // milliseconds between two looks for something new
const chosenDataset = new URLSearchParams(location.search).get("dataset");
let question = 0; // number of the newest question for speeds; answers to older ones are dropped

/** Say what failed, or nothing if `error` is null; what is on the page stays. */
function tell(error) {
  const box = document.getElementById("error");
  box.hidden = error === null;
  if (error === null) return;
  if (!(error instanceof Refusal)) throw error;
  const known = { 0: "error_0", 401: "error_401", 503: "error_503" }[error.status];
  const said = [t(known ?? "error", { status: error.status }), error.detail];
  if (state.shown !== null) said.push(t("stale"));
  box.querySelector("p").textContent = said.filter(Boolean).join(" ");
}

/** Do something that asks the server, and say so if it fails. Gives whether it worked. */
async function attempt(what) {
  try {
    await what();
    tell(null);
    return true;
  } catch (error) {
    tell(error);
    return false;
  }
}

/** The speeds of the chosen time and mode. */
async function speeds() {
  const { dataset, network, mode, at } = state;
  if (network === null) return;
  question += 1;
  const mine = question;
  const ahead = Number(mode);
  const name = dataset.dataset;
  const shown = await (ahead ? forecast(name, network, ahead) : observed(name, network, at));
  if (mine === question && network === state.network) set({ shown });
}

/** Look which datasets there are, how new they are, and show the newest of the chosen one. */
async function refresh() {
  const all = await datasets();
  controls.offer(all);
  const wanted = state.dataset?.dataset ?? chosenDataset;
  const dataset = all.find((one) => one.dataset === wanted) ?? all[0];
  if (dataset === undefined) throw new Refusal(404, t("no_datasets"));
  await open(dataset);
}

async function open(dataset) {
  const other = dataset.dataset !== state.dataset?.dataset;
  if (other) set({ dataset, network: null, shown: null, chosen: null, mode: "speed", follows: true });
  set({ dataset, at: state.follows ? dataset.last : state.at });
  if (dataset.last === null && !dataset.forecasts) throw new Refusal(404, t("no_speeds"));
  const network = load(dataset.dataset);
  // Both at once: the speeds wait for the links in network.js.
  const { at } = state;
  const first = other && dataset.last !== null && observed(dataset.dataset, network, at);
  const links = (await network).links;
  // A look for something new that found the same links leaves the map alone.
  if (state.network === null || links !== state.network.links) {
    set({ network: await network, shown: first ? await first : null });
  }
  // Meanwhile, somebody may have chosen a forecast or another time.
  if (!first || Number(state.mode) || state.at !== at) await speeds();
}

/** Make the map when there are links; MapLibre is the largest file, and comes beside the data. */
async function showMap(library) {
  const container = document.getElementById("map");
  try {
    const map = await library;
    await map.begin(container);
    on(["language"], () => map.rename(container));
    await map.idle();
    performance.mark("links-shown"); // for benchmarks/page.py
    container.dataset.shown = "";
  } catch (error) {
    console.error(error);
    document.getElementById("map-failed").hidden = false;
    set({ view: "table" });
  }
}

function begin() {
  const library = import("./map.js");
  controls.begin((name, all) => attempt(() => open(all.find((one) => one.dataset === name))));
  whenTokenIsNeeded(ask);
  for (const part of [status, legend, slider, search, table, link]) part.begin();
  on(["language"], () => translate());
  translate();
  let asked = false;
  on(["network"], () => {
    if (asked || state.network === null) return;
    asked = true;
    showMap(library);
  });
  on(["mode", "at"], () => attempt(speeds));
  document.querySelector("#error button").addEventListener("click", () => attempt(refresh));
  setInterval(() => document.hidden || attempt(refresh), EVERY);
  document.addEventListener("visibilitychange", () => document.hidden || attempt(refresh));
  attempt(refresh);
}

begin();
