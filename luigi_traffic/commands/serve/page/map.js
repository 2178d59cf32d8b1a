/** The map: links as lines, sensors as circles, coloured by the class of what is shown. */

import * as maplibre from "./vendor/maplibre-gl.mjs";
import { values } from "./network.js";
import { breaks, classes, colours, WIDTHS } from "./scale.js";
import { on, set, state } from "./state.js";
import { number, t, units } from "./text.js";

const GROUND = { light: "#f4f6f8", dark: "#12161b" };
const INK = { light: "#11161c", dark: "#ffffff" };
const REACH = 7; // pixels around the pointer in which a link is found
const EDGE = 24;
const LEGEND = 310; // pixels on the left of a wide map
const LAYERS = ["links", "points"];

// Its worker starts while the links are still on their way.
maplibre.prewarm();

let map = null;
let painted = null; // the look of each link on the map
let drawn = null; // the network that is on the map

/**
 * Make the map of the network in that element, and draw it anew whenever it changes. Throws if the
 * browser has no WebGL 2.
 */
export async function begin(container) {
  const { features, bounds } = drawing();
  map = new maplibre.Map({
    container,
    style: style(collection(features)),
    ...(bounds.isEmpty() ? {} : { bounds, fitBoundsOptions: fit(container) }),
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    fadeDuration: 0,
    locale: {
      "Map.Title": t("map"),
      "NavigationControl.ZoomIn": t("zoom_in"),
      "NavigationControl.ZoomOut": t("zoom_out"),
    },
  });
  container.map = map; // for whoever looks at the page in the browser's console
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.ScaleControl(), "bottom-right");
  map.touchZoomRotate.disableRotation();
  const tip = new maplibre.Popup({ closeButton: false, closeOnClick: false, maxWidth: "260px" });
  map.on("click", (event) => choose(near(event.point)));
  map.on("mousemove", (event) => hint(tip, event));
  map.on("mouseout", () => tip.remove());
  await map.once("style.load");
  paint(); // what came while the style was loaded
  if (state.chosen !== null) mark();
  on(["network"], draw);
  on(["shown", "mode", "network", "dataset"], paint);
  on(["chosen"], mark);
  on(["dark"], recolour);
}

/** Resolves when everything that was asked of the map is on the screen. */
export function idle() {
  return new Promise((resolve) => map.once("idle", resolve));
}

/** Names of the buttons and of the map, in the language of the page. */
export function rename(container) {
  container.querySelector(".maplibregl-canvas")?.setAttribute("aria-label", t("map"));
  for (const [name, key] of [["zoom-in", "zoom_in"], ["zoom-out", "zoom_out"]]) {
    const button = container.querySelector(`.maplibregl-ctrl-${name}`);
    button?.setAttribute("aria-label", t(key));
    button?.setAttribute("title", t(key));
  }
}

/** The whole network beside the legend, or above it if the page is narrow. */
function fit(container) {
  const left = container.clientWidth > 2.5 * LEGEND ? LEGEND : EDGE;
  return { padding: { top: EDGE, right: EDGE, bottom: EDGE, left }, maxZoom: 15 };
}

function theme() {
  return state.dark ? "dark" : "light";
}

/**
 * A value by the look of a link (its class, twice, and one more if it is by fallback), for an
 * expression of MapLibre. A link that has changed since it was drawn has a state.
 */
function byLook(of) {
  const pairs = of.flatMap((value, cls) => [[2 * cls, 2 * cls + 1], value]);
  return ["match", ["coalesce", ["feature-state", "look"], ["get", "look"]], ...pairs, of[0]];
}

/** Colours by look; those of fallback are paler. */
function byColour(of) {
  const pairs = of.flatMap((value, cls) => [2 * cls, value, 2 * cls + 1, `${value}73`]);
  return ["match", ["coalesce", ["feature-state", "look"], ["get", "look"]], ...pairs, of[0]];
}

function byZoom(...stops) {
  const pairs = stops.flatMap(([zoom, share]) => [zoom, byLook(WIDTHS.map((w) => w * share))]);
  return ["interpolate", ["linear"], ["zoom"], ...pairs];
}

function style(data) {
  const source = "links";
  const colour = byColour(colours(state.dark));
  const lines = ["==", ["geometry-type"], "LineString"];
  const points = ["==", ["geometry-type"], "Point"];
  return {
    version: 8,
    sources: {
      // Tolerance 0: a short link is drawn too, at every zoom.
      links: { type: "geojson", data, tolerance: 0, buffer: 16 },
      chosen: { type: "geojson", data: collection([]) },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": GROUND[theme()] } },
      {
        id: "links", type: "line", source, filter: lines, layout: { "line-cap": "round" },
        paint: {
          "line-color": colour,
          "line-width": byZoom([9, 0.35], [12, 0.9], [16, 2.6]),
        },
      },
      {
        id: "points", type: "circle", source, filter: points,
        paint: {
          "circle-color": colour,
          "circle-radius": byZoom([9, 1.2], [12, 2.2], [16, 4]),
          "circle-stroke-color": GROUND[theme()], "circle-stroke-width": 1,
        },
      },
      {
        id: "chosen-line", type: "line", source: "chosen", filter: lines,
        layout: { "line-cap": "round" },
        paint: { "line-color": INK[theme()], "line-width": 2.5, "line-gap-width": 7 },
      },
      {
        id: "chosen-point", type: "circle", source: "chosen", filter: points,
        paint: {
          "circle-opacity": 0, "circle-radius": 11,
          "circle-stroke-color": INK[theme()], "circle-stroke-width": 2.5,
        },
      },
    ],
  };
}

function collection(features) {
  return { type: "FeatureCollection", features };
}

/** The links that have a geometry as features, each with its number in the network as id. */
function drawing() {
  drawn = state.network;
  painted = looks();
  const features = [];
  const bounds = new maplibre.LngLatBounds();
  drawn.links.forEach(({ geometry }, id) => {
    if (geometry === null) return;
    features.push({ type: "Feature", id, properties: { look: painted[id] }, geometry });
    const corners = geometry.type === "Point" ? [geometry.coordinates] : geometry.coordinates;
    for (const corner of corners) bounds.extend(corner);
  });
  return { features, bounds };
}

function draw() {
  if (state.network === null || state.network === drawn) return;
  const { features, bounds } = drawing();
  map.removeFeatureState({ source: "links" });
  map.getSource("links").setData(collection(features));
  if (!bounds.isEmpty()) map.fitBounds(bounds, { ...fit(map.getContainer()), animate: false });
}

/** The look of each link, see byLook. */
function looks() {
  const { network, shown, mode, dataset } = state;
  if (shown === null) return new Uint8Array(network.links.length);
  const { of } = classes(values(network, shown, mode), breaks(mode, dataset.units));
  return of.map((cls, id) => 2 * cls + shown.fallback[id]);
}

function paint() {
  const { network, shown } = state;
  if (network === null || network !== drawn || shown === null) return;
  const fresh = looks();
  fresh.forEach((look, id) => {
    // Only what changed: a step of the slider changes a few thousand of 14,000 links.
    if (painted[id] !== look) map.setFeatureState({ source: "links", id }, { look });
  });
  painted = fresh;
}

function mark() {
  const geometry = state.network?.links[state.chosen]?.geometry;
  const features = geometry ? [{ type: "Feature", properties: {}, geometry }] : [];
  map.getSource("chosen").setData(collection(features));
  if (!geometry) return;
  const corners = geometry.type === "Point" ? [geometry.coordinates] : geometry.coordinates;
  const middle = corners[Math.floor(corners.length / 2)];
  if (!map.getBounds().contains(middle)) map.easeTo({ center: middle });
}

function recolour() {
  const fresh = style(collection([]));
  for (const layer of fresh.layers) {
    for (const [name, value] of Object.entries(layer.paint)) {
      map.setPaintProperty(layer.id, name, value);
    }
  }
}

function near({ x, y }) {
  const box = [[x - REACH, y - REACH], [x + REACH, y + REACH]];
  return map.queryRenderedFeatures(box, { layers: LAYERS })[0]?.id ?? null;
}

function choose(id) {
  if (id !== null) set({ chosen: id });
}

function hint(tip, event) {
  const id = near(event.point);
  map.getCanvas().style.cursor = id === null ? "" : "pointer";
  if (id === null || state.shown === null) {
    tip.remove();
    return;
  }
  const { link_id: link, name } = state.network.links[id];
  const speed = state.shown.speeds[id];
  const said = Number.isNaN(speed) ? t("unknown") : `${number(speed, 1)} ${units()}`;
  tip.setLngLat(event.lngLat).setText(`${name ?? link} · ${said}`).addTo(map);
}
