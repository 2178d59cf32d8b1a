/** Dataset, mode, view, language and theme: what is chosen by buttons and lists. */

import { on, set, state } from "./state.js";
import { make } from "./text.js";

const MODES = ["speed", "share", "15", "30", "60"];
const KEPT = "luigi_traffic."; // in localStorage: language and theme, which are no secret

const system = matchMedia("(prefers-color-scheme: dark)");

/** Make the controls. `choose` is called with the name of a dataset and all of them. */
export function begin(choose) {
  language();
  theme();
  modes();
  for (const input of document.querySelectorAll("#views input")) {
    input.addEventListener("change", () => set({ view: input.value }));
  }
  on(["view"], () => {
    document.querySelector(`#views input[value=${state.view}]`).checked = true;
    document.getElementById("map-view").hidden = state.view !== "map";
    document.getElementById("tables").hidden = state.view !== "table";
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    set({ view: "table" });
    document.getElementById("tables").focus();
  });
  const select = document.querySelector("#dataset select");
  select.addEventListener("change", () => choose(select.value, select.all));
}

/** Offer these datasets; one alone is no choice. */
export function offer(all) {
  const label = document.getElementById("dataset");
  const select = label.querySelector("select");
  select.all = all;
  label.hidden = all.length < 2;
  const names = all.map((one) => one.dataset);
  if (names.join("\n") !== Array.from(select.options, (o) => o.value).join("\n")) {
    select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  }
  if (state.dataset !== null) select.value = state.dataset.dataset;
}

function modes() {
  const group = document.getElementById("modes");
  for (const mode of MODES) {
    const input = make("input", { type: "radio", name: "mode", value: mode });
    const words = Number(mode)
      ? make("span", { "data-t": "mode_ahead", "data-minutes": mode })
      : make("span", { "data-t": `mode_${mode}` });
    input.addEventListener("change", () => set({ mode }));
    group.append(make("label", {}, input, words));
  }
  const show = () => {
    for (const input of group.querySelectorAll("input")) {
      input.checked = input.value === state.mode;
      input.disabled = Number(input.value) > 0 && !possible(Number(input.value));
    }
  };
  on(["mode", "dataset"], show);
  show();
}

/** Whether there may be a forecast so many minutes ahead: at the end of an interval. */
function possible(minutes) {
  const { forecasts, interval_seconds: seconds } = state.dataset ?? {};
  return Boolean(forecasts) && (seconds === null || (minutes * 60) % seconds === 0);
}

function language() {
  const kept = localStorage.getItem(`${KEPT}language`);
  const first = navigator.languages?.[0] ?? navigator.language;
  set({ language: kept ?? (first.startsWith("ko") ? "ko" : "en") });
  document.getElementById("language").addEventListener("click", () => {
    const language = state.language === "ko" ? "en" : "ko";
    localStorage.setItem(`${KEPT}language`, language);
    set({ language });
  });
}

function theme() {
  const select = document.getElementById("theme");
  const show = () => {
    document.documentElement.dataset.theme = select.value;
    const dark = select.value === "auto" ? system.matches : select.value === "dark";
    document.documentElement.classList.toggle("dark", dark);
    set({ dark });
  };
  select.value = localStorage.getItem(`${KEPT}theme`) ?? "auto";
  select.addEventListener("change", () => {
    localStorage.setItem(`${KEPT}theme`, select.value);
    show();
  });
  system.addEventListener("change", show);
  show();
}
