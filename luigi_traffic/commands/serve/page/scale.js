/**
 * Classes of speed or of congestion, and their colours.
 *
 * The colours go from red over ochre to blue, which red-green blind people tell apart, and each has
 * a contrast of 3:1 with the ground of the map. Slow links are drawn wider as well, so that colour
 * is never the only sign.
 */

const BREAKS = { "km/h": [15, 30, 50, 80], mph: [10, 20, 30, 50], "m/s": [4, 8, 14, 22] };
const SHARES = [0.4, 0.6, 0.8, 0.95];
const LIGHT = ["#818b96", "#7a0c3e", "#d6402b", "#b57600", "#1f8796", "#1d4f9e"];
const DARK = ["#6b7682", "#ff4d80", "#ff8a50", "#f0c450", "#58c3cf", "#6c9dff"];

/** Number of classes; class 0 is "not known". */
export const CLASSES = 6;
/** Width of a line of each class, in pixels at zoom 12. */
export const WIDTHS = [1.2, 4.2, 3.5, 2.8, 2.2, 1.8];

/** Colour of each class. */
export function colours(dark) {
  return dark ? DARK : LIGHT;
}

/** The limits between classes 1 to 5, in the unit of the dataset or as shares of free flow. */
export function breaks(mode, units) {
  return mode === "share" ? SHARES : (BREAKS[units] ?? BREAKS["km/h"]);
}

/** The class of a value. */
export function classOf(value, limits) {
  if (Number.isNaN(value)) return 0;
  let found = 1;
  for (const limit of limits) found += value >= limit ? 1 : 0;
  return found;
}

/** The class of each value, and how many links each class has. */
export function classes(values, limits) {
  const of = new Uint8Array(values.length);
  const counts = new Array(CLASSES).fill(0);
  values.forEach((value, number) => {
    of[number] = classOf(value, limits);
    counts[of[number]] += 1;
  });
  return { of, counts };
}
