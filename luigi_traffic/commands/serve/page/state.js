/** What the page shows now. A part of the page listens to the keys that it draws. */

const listeners = [];

/**
 * dataset   an entry of /datasets, or null
 * network   the links (network.js), or null
 * mode      what links are coloured by: "speed", "share" (of free flow), or minutes ahead
 * at        the interval of the slider, as text; null: there is none
 * follows   whether `at` moves to a newer interval as it comes
 * shown     speeds of all links at one time (network.js), or null
 * chosen    number of a link in the network, or null
 */
export const state = {
  dataset: null,
  network: null,
  mode: "speed",
  at: null,
  follows: true,
  shown: null,
  chosen: null,
  view: "map",
  language: "en",
  dark: false,
};

/** Call `draw` after each change of one of these keys. */
export function on(keys, draw) {
  listeners.push([keys, draw]);
}

/** Change some keys, then draw what depends on them. */
export function set(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  Object.assign(state, changes);
  for (const [keys, draw] of listeners) {
    if (keys.some((key) => changed.includes(key))) draw();
  }
}
