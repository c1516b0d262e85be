// A guided estimate, left alone, clipped, and held by a percentile; below each, where it saturates.
import { box, h, int16, live, message, paint, put, readings, short, slider } from "./kit.js";

// u + g (c - u), number by number.
export function guided(c, u, g) {
  return u.map((value, k) => value + g * (c[k] - value));
}

// The p-quantile of the sizes, between two of them on a straight line, and 1 at least.
export function bound(x, p) {
  const sizes = x.map(Math.abs).sort((a, b) => a - b), at = p * (sizes.length - 1), low = Math.floor(at);
  const high = Math.min(low + 1, sizes.length - 1);
  return Math.max(1, sizes[low] + (at - low) * (sizes[high] - sizes[low]));
}

const clipped = (value, s) => Math.max(-s, Math.min(s, value));

// What each way makes of an estimate.
export const WAYS = {
  "held in no way": (x) => x,
  "static": (x) => x.map((value) => clipped(value, 1)),
  "dynamic": (x, p) => {
    const s = bound(x, p);
    return x.map((value) => clipped(value, s) / s);
  },
};

// The share of numbers that a screen shows as full or as none.
export function edge(x) {
  return x.filter((value) => Math.abs(value) >= 0.9999).length / x.length;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function render({ model, el }) {
  const side = model.get("side"), times = model.get("times"), size = 3 * side * side;
  const told = int16(model.get("told")), free = int16(model.get("free"));
  const { root, close } = box(el, "threshold", "Guidance and what holds it");
  if (!size || told.length < size) {
    message(root, "The numbers of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const part = (all, at) => Array.from(all.subarray(at * size, (at + 1) * size), (value) => value / 32767);
  const scale = slider({
    label: "guidance", min: 1, max: model.get("most"), step: 0.5, value: model.get("scale"), text: (g) => g.toFixed(1), change: (g) => put(model, "scale", g),
  });
  const held = slider({
    label: "percentile", min: 0.8, max: 1, step: 0.005, value: model.get("percentile"), text: (p) => `${(100 * p).toFixed(1)} %`, change: (p) => put(model, "percentile", p),
  });
  const dial = slider({
    label: "t", min: 0, max: times.length - 1, value: model.get("index"), text: (k) => String(times[k]), change: (k) => put(model, "index", k),
  });
  const views = Object.keys(WAYS).map((name) => {
    const picture = h("canvas", { role: "img" }), heat = h("canvas", { role: "img" });
    return { name, picture, heat, node: h("figure", {}, h("figcaption", {}, name), picture, heat) };
  });
  const numbers = readings();

  const draw = () => {
    const at = model.get("index"), g = model.get("scale"), p = model.get("percentile");
    const x = guided(part(told, at), part(free, at), g);
    const shares = views.map(({ name, picture, heat }) => {
      const made = WAYS[name](x, p);
      const bytes = Uint8Array.from(made, (value) => Math.round(127.5 * (clipped(value, 1) + 1)));
      const hot = new Uint8Array(side * side);
      made.forEach((value, k) => { if (Math.abs(value) >= 0.9999) hot[Math.floor(k / 3)] += 85; });
      paint(picture, bytes, side, side, 3);
      paint(heat, hot, side, side, 1);
      const share = edge(made);
      picture.setAttribute("aria-label", `the estimate, ${name}`);
      heat.setAttribute("aria-label", `where it saturates, ${name}: ${percent(share)} of its numbers`);
      return share;
    });
    numbers.show([
      ["largest number", short(Math.max(...x.map(Math.abs))), ""],
      ["s", short(bound(x, p)), ""],
      ...views.map(({ name }, k) => [`at the edge, ${name}`, percent(shares[k]), ""]),
    ]);
    scale.set(g);
    held.set(p);
    dial.set(at);
  };
  root.append(
    h("div", { class: "cw-row" }, scale.node, held.node, dial.node),
    h("div", { class: "cw-threshold-views" }, ...views.map((view) => view.node)),
    h("p", { class: "cw-caption" }, "Above: the estimate, cut to what a screen can show. Below: pixels at the edge of the range, the brighter the more of their three colours."),
    numbers.node,
  );
  return live(model, ["index", "scale", "percentile"], root, draw, close);
}

export default { render };
