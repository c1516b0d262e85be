// The bound of a chain on Gaussian data: what each reverse step costs, and the gap as T grows.
import { box, chooser, h, live, put, readings, s, short, slider, tenTo } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion (tests/test_widgets.py compares them) ----

// Divergence of N(0, q) from N(0, p), in nats; written with the ratio's excess, so that q near p keeps its digits.
function divergence(q, p) {
  const excess = (q - p) / p;
  return 0.5 * (excess - Math.log1p(excess));
}

// costs[t - 1]: divergence of the true reverse step t -> t - 1 from the model's. bound: all of them and the end,
// which is how far the bound lies above the entropy. model: how far the model's own exact NLL lies above it.
export function gap(T, std, variance, high, low) {
  const square = std * std, alphaBar = [1];
  for (let t = 1; t <= T; t++) alphaBar.push(1 / (1 + Math.exp(-(T === 1 ? low : high + ((low - high) * (t - 1)) / (T - 1)))));
  const total = alphaBar.map((a) => a * square + (1 - a)); // Var[x_t]
  const costs = [], gains = [], spreads = [];
  for (let t = 1; t <= T; t++) {
    const beta = 1 - alphaBar[t] / alphaBar[t - 1], exact = (beta * total[t - 1]) / total[t];
    const tilde = (beta * (1 - alphaBar[t - 1])) / (1 - alphaBar[t]);
    const spread = t === 1 || variance === "exact" ? exact : variance === "small" ? tilde : beta;
    gains.push((Math.sqrt(1 - beta) * total[t - 1]) / total[t]);
    spreads.push(spread);
    costs.push(divergence(exact, spread));
  }
  let made = 1; // variance of what the model draws, followed down from x_T ~ N(0, 1)
  for (let t = T; t >= 1; t--) made = gains[t - 1] ** 2 * made + spreads[t - 1];
  const bound = costs.reduce((a, b) => a + b, divergence(total[T], 1));
  return { costs, bound, model: divergence(square, made) };
}

// ---- the picture of it ------------------------------------------------------------------------

const NAMES = { small: "β̃, the posterior's", exact: "exact", large: "β, the forward step's" };
const SHOWN = Object.values(NAMES);
const LEFT = 46, RIGHT = 14, TOP = 26, BOTTOM = 26;

// Axes of one chart: decades on the left, given marks below; returns where values stand.
function axes(svg, { title, width, height, low, high, marks, x }) {
  const y = (v) => TOP + ((height - TOP - BOTTOM) * (high - Math.min(high, Math.max(low, v)))) / (high - low);
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((v) => (v - low) % 2 === 0);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.replaceChildren(
    s("text", { x: LEFT, y: 15, class: "cw-title" }, title),
    ...ticks.flatMap((v) => [
      s("line", { x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v), class: "cw-grid" }),
      s("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, v === 0 ? "1" : tenTo(v)),
    ]),
    ...marks.map(([v, text, anchor]) => s("text", { x: x(v), y: height - 7, "text-anchor": anchor }, text)),
  );
  return y;
}

function render({ model, el }) {
  const { root, close } = box(el, "gap", "The gap of the bound");
  const choices = model.get("choices");
  const steps = slider({
    label: "T", min: 0, max: choices.length - 1, value: choices.indexOf(model.get("steps")),
    text: (i) => String(choices[i]), change: (i) => put(model, "steps", choices[i]),
  });
  const std = slider({
    label: "spread", min: 0.05, max: 2, step: 0.05, value: model.get("std"),
    text: (v) => v.toFixed(2), change: (v) => put(model, "std", Number(v.toFixed(2))),
  });
  const variance = chooser({
    label: "reverse variance", options: SHOWN, value: NAMES[model.get("variance")],
    change: (name) => put(model, "variance", Object.keys(NAMES).find((key) => NAMES[key] === name)),
  });
  const [bars, curve] = ["cost of each reverse step", "gap of the bound over T"].map((name) => s("svg", { role: "img", "aria-label": name }));
  const numbers = readings();
  const says = h("p", { class: "cw-caption", "aria-live": "polite" });
  root.append(
    h("div", { class: "cw-row" }, steps.node, std.node),
    h("div", { class: "cw-row" }, h("span", { class: "cw-label" }, "reverse variance"), variance.node),
    h("div", { class: "cw-charts" }, bars, curve), numbers.node, says,
  );

  const draw = () => {
    const T = model.get("steps"), [square, kind, high, low] = ["std", "variance", "high", "low"].map((key) => model.get(key));
    const at = (n) => gap(n, square, kind, high, low), here = at(T);
    steps.set(choices.indexOf(T));
    std.set(square);
    variance.set(NAMES[kind]);
    const columns = root.clientWidth < 560 ? 1 : 2;
    root.querySelector(".cw-charts").style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    const width = (root.clientWidth - 30 - 14 * (columns - 1)) / columns, height = 190, inner = width - LEFT - RIGHT;

    // One bar for each step to a finer latent, the noisiest at the left: the order of sampling.
    const slot = inner / T, thick = Math.max(1, slot - Math.min(2, slot / 4));
    const place = (k) => LEFT + slot * k;
    const y = axes(bars, { title: "cost of each reverse step, nats", width, height, low: -8, high: 1, x: (k) => place(k), marks: [[0, "noise", "start"], [T, "data", "end"]] });
    const floor = height - BOTTOM;
    here.costs.toReversed().forEach((cost, k) => {
      if (cost <= 1e-8) return;
      const top = y(Math.log10(cost));
      bars.append(s("rect", { x: place(k), y: top, width: thick, height: floor - top, class: "cw-bar" }));
    });

    const last = choices.at(-1), x = (n) => LEFT + (inner * Math.log(n / choices[0])) / Math.log(last / choices[0]);
    const yGap = axes(curve, { title: "gap to the entropy, nats, over T", width, height, low: -6, high: 4, x, marks: [2, 16, 128, 1024].map((n) => [n, String(n), n === 1024 ? "end" : "middle"]) });
    const path = (key) => choices.map((n) => [n, at(n)[key]]).filter(([, v]) => v > 1e-6).map(([n, v]) => `${x(n).toFixed(1)},${yGap(Math.log10(v)).toFixed(1)}`).join(" ");
    for (const [key, name] of [["bound", "cw-bound"], ["model", "cw-own"]]) {
      curve.append(s("polyline", { points: path(key), class: `cw-line ${name}` }));
      if (here[key] > 1e-6) curve.append(s("circle", { cx: x(T), cy: yGap(Math.log10(here[key])), r: 5, class: `cw-dot ${name}` }));
    }
    numbers.show([
      ["the bound lies above the entropy by", here.bound, "cw-bound"],
      ["the model's exact NLL lies above it by", here.model, "cw-own"],
      ["gap of the bound × T", here.bound < 1e-8 ? 0 : here.bound * T, ""],
    ].map(([name, value, line]) => [name, value < 1e-8 ? "less than 10⁻⁸" : short(value), line]));
    says.textContent = here.bound < 1e-6
      ? "Every reverse step is exact: nothing is lost, at any T. Only Gaussian data is so kind."
      : "Where T is large, double it: each bar falls to about a quarter, there are twice as many, and the gap halves.";
  };
  return live(model, ["steps", "std", "variance", "high", "low"], root, draw, close);
}

export default { render };
