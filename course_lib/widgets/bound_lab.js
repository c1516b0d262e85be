// What T steps lose: to a first step that is not learned, and to haste.
import { box, h, live, message, minus, put, readings, s, slider } from "./kit.js";

const HEIGHT = 230, LEFT = 46, RIGHT = 92, TOP = 24, BOTTOM = 34, LOWEST = 1e-3;

// The best bound at each T, in bits.
export function bounds(data, first, haste) {
  return first.map((price, i) => data - price - haste[i]);
}

function render({ model, el }) {
  const steps = model.get("steps"), first = model.get("first"), haste = model.get("haste");
  const data = model.get("data"), empty = model.get("null");
  const { root, close } = box(el, "slow", "What T steps of destruction lose, in bits");
  if (!steps.length) {
    message(root, "The numbers of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const best = bounds(data, first, haste);
  const chart = h("div", { class: "cw-charts" }), numbers = readings();
  const draw = () => {
    const i = model.get("index"), width = Math.max(280, Math.min(640, root.clientWidth - 30));
    const right = width - RIGHT, low = Math.log10(LOWEST), high = Math.log10(20);
    const x = (T) => LEFT + ((right - LEFT) * Math.log(T / steps[0])) / Math.log(steps[steps.length - 1] / steps[0]);
    const y = (bits) => TOP + ((HEIGHT - TOP - BOTTOM) * (high - Math.log10(Math.max(bits, LOWEST)))) / (high - low);
    const svg = s("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": "Two prices in bits, falling as T grows" });
    svg.append(s("text", { class: "cw-title", x: LEFT, y: 14 }, "bits lost against log₂(1/5)"));
    for (const bits of [10, 1, 0.1, 0.01, 0.001]) {
      svg.append(s("line", { class: "cw-grid", x1: LEFT, x2: right, y1: y(bits), y2: y(bits) }));
      svg.append(s("text", { x: LEFT - 6, y: y(bits) + 4, "text-anchor": "end" }, String(bits)));
    }
    for (const T of [1, 10, 100, 1000].filter((T) => T >= steps[0] && T <= steps[steps.length - 1]))
      svg.append(s("text", { x: x(T), y: HEIGHT - 14, "text-anchor": "middle" }, String(T)));
    svg.append(s("text", { x: right + 8, y: HEIGHT - 14 }, "T"));
    svg.append(s("line", { class: "cw-mark", x1: x(steps[i]), x2: x(steps[i]), y1: TOP, y2: HEIGHT - BOTTOM }));
    const curve = (values, name, label, shift) => {
      const seen = steps.map((T, k) => [T, values[k]]).filter(([, bits]) => bits >= LOWEST);
      const stroke = `var(--cw-${name})`;
      svg.append(s("path", { class: "cw-line", style: `stroke:${stroke}`, d: seen.map(([T, bits], k) => `${k ? "L" : "M"}${x(T)},${y(bits)}`).join("") }));
      const [, last] = seen[seen.length - 1];
      svg.append(s("text", { x: right + 6, y: y(last) + shift, style: `fill:${stroke}` }, label));
      if (values[i] >= LOWEST) svg.append(s("circle", { cx: x(steps[i]), cy: y(values[i]), r: 5, style: `fill:${stroke}` }));
    };
    curve(first, "model", "first step", 4);
    curve(haste, "data", "haste", 4);
    for (const [T, K] of model.get("marks")) {
      svg.append(s("circle", { cx: x(T), cy: y(data - K), r: 5, style: "fill:none;stroke:var(--cw-text);stroke-width:2" }));
      svg.append(s("text", { x: right + 10, y: y(data - K) + 1 }, "the paper"));
    }
    chart.replaceChildren(svg);
    numbers.show([
      ["the data, log₂(1/5)", data], ["first step", -first[i]], ["haste", -haste[i]],
      ["best K", best[i]], ["best K − L_null", best[i] - empty],
    ].map(([name, bits]) => [name, minus(bits.toFixed(3))]));
    control.set(i);
  };
  const control = slider({
    label: "T", min: 0, max: steps.length - 1, value: model.get("index"), text: (i) => String(steps[i]),
    change: (i) => put(model, "index", i),
  });
  root.append(chart, numbers.node, h("div", { class: "cw-row" }, control.node));
  return live(model, ["index"], root, draw, close);
}

export default { render };
