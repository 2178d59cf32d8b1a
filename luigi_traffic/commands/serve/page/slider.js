/** The time slider over the newest day, and its play button. */

import { on, set, state } from "./state.js";
import { t } from "./text.js";
import { clock, later, midnight, millis } from "./time.js";

const STEP = 700; // milliseconds that an interval stays, once it is there
let timer = null;

/** Make the slider work. */
export function begin() {
  const slider = element("slider");
  slider.addEventListener("input", () => {
    stop();
    go(Number(slider.value));
  });
  element("play").addEventListener("click", () => (timer === null ? play() : stop()));
  element("newest").addEventListener("click", () => {
    stop();
    set({ at: state.dataset.last, follows: true });
  });
  on(["dataset", "at", "mode", "language"], draw);
  on(["mode", "dataset"], () => isForecast() && stop());
  on(["shown"], () => timer !== null && wait());
}

function element(id) {
  return document.getElementById(id);
}

function isForecast() {
  return Number(state.mode) > 0;
}

function seconds() {
  return state.dataset.interval_seconds ?? 300;
}

/** Number of an interval since midnight of the newest day. */
function numberOf(at) {
  const first = midnight(state.dataset.last);
  return Math.max(0, Math.round((millis(at) - millis(first)) / 1000 / seconds()));
}

function go(number) {
  const { last } = state.dataset;
  const at = later(midnight(last), number * seconds());
  set({ at: at > last ? last : at, follows: at >= last });
}

function draw() {
  const { dataset, at } = state;
  const off = dataset === null || dataset.last === null || at === null || isForecast();
  for (const id of ["slider", "play", "newest"]) element(id).disabled = off;
  element("no-slider").hidden = !isForecast();
  if (dataset === null || dataset.last === null || at === null) return;
  const slider = element("slider");
  slider.max = numberOf(dataset.last);
  slider.value = numberOf(at);
  const said = `${clock(at)}–${clock(later(at, seconds()))}`;
  slider.setAttribute("aria-valuetext", `${at.slice(0, 10)} ${said}`);
  element("clock").textContent = said;
  words();
}

function words() {
  const play = element("play");
  play.dataset.t = timer === null ? "play" : "pause";
  play.textContent = t(play.dataset.t);
}

/** From the beginning of the day if the slider is at its end. */
function play() {
  timer = 0;
  const number = numberOf(state.at);
  go(number >= numberOf(state.dataset.last) ? 0 : number + 1);
  words();
}

/** The next interval when this one has been on the page for a while. */
function wait() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const number = numberOf(state.at);
    if (number >= numberOf(state.dataset.last)) stop();
    else go(number + 1);
  }, STEP);
}

function stop() {
  clearTimeout(timer);
  timer = null;
  words();
}
