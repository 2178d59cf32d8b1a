/** The field that finds a link by its id or name: a combobox that works by the keyboard alone. */

import { on, set, state } from "./state.js";
import { make, number, t } from "./text.js";

const MOST = 8; // links in the list
let found = []; // numbers of the links in the list
let active = -1;

/** Make the field work. */
export function begin() {
  const input = field();
  input.addEventListener("input", look);
  input.addEventListener("keydown", key);
  input.addEventListener("blur", () => setTimeout(close, 150));
  on(["network"], close);
}

/** The numbers of the links whose id or name has a text. */
export function matching(network, text) {
  const wanted = text.trim().toLowerCase();
  const numbers = [];
  network.links.forEach(({ link_id: link, name }, at) => {
    if (`${link}\n${name ?? ""}`.toLowerCase().includes(wanted)) numbers.push(at);
  });
  return numbers;
}

function field() {
  return document.getElementById("search");
}

function look() {
  if (state.network === null || field().value.trim() === "") {
    close();
    return;
  }
  const all = matching(state.network, field().value);
  found = all.slice(0, MOST);
  active = found.length ? 0 : -1;
  const said = all.length ? t("search_count", { count: number(all.length) }) : t("search_none");
  document.getElementById("matches").textContent = said;
  draw(said);
}

function draw(said) {
  const list = document.getElementById("found");
  const options = found.map((link, at) => {
    const { link_id: id, name } = state.network.links[link];
    const option = make(
      "li", { role: "option", id: `found-${at}`, "aria-selected": String(at === active) },
      make("strong", {}, id), name ? ` ${name}` : "",
    );
    option.addEventListener("pointerdown", () => choose(at));
    return option;
  });
  if (!options.length) {
    const none = { role: "option", "aria-disabled": "true", "aria-selected": "false" };
    options.push(make("li", none, said));
  }
  list.replaceChildren(...options);
  list.hidden = false;
  field().setAttribute("aria-expanded", "true");
  if (active < 0) field().removeAttribute("aria-activedescendant");
  else field().setAttribute("aria-activedescendant", `found-${active}`);
}

function key(event) {
  if (event.key === "Escape") close();
  else if (event.key === "Enter" && active >= 0) choose(active);
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (!found.length) return;
    const step = event.key === "ArrowDown" ? 1 : found.length - 1;
    active = (active + step) % found.length;
    draw();
  }
}

function choose(at) {
  set({ chosen: found[at] });
  field().value = state.network.links[found[at]].link_id;
  close();
}

function close() {
  found = [];
  active = -1;
  document.getElementById("found").hidden = true;
  field().setAttribute("aria-expanded", "false");
  field().removeAttribute("aria-activedescendant");
}
