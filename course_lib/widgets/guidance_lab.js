// Classifier-free guidance on a line: where the walk goes, and where the tilted law lies, at every noise level.
import { box, chooser, h, live, player, put, readings, s, short, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion (tests/test_widgets.py compares them) ----

export const STD = 0.5; // of both classes; their means are apart and -apart
const HIGH = 80, LOW = 0.02, STEPS = 56, RHO = 7, WALKERS = 121;

// Noise levels from HIGH to LOW, denser near data, then 0.
export const LEVELS = [...Array.from({ length: STEPS }, (_, i) => (HIGH ** (1 / RHO) + (i / (STEPS - 1)) * (LOW ** (1 / RHO) - HIGH ** (1 / RHO))) ** RHO), 0];

// Density, up to a factor common to both, and score of the class and of all data, at noise level n.
function laws(x, apart, n) {
  const v = STD * STD + n * n, right = Math.exp(-((x - apart) ** 2) / (2 * v)), left = Math.exp(-((x + apart) ** 2) / (2 * v));
  const share = 1 / (1 + Math.exp((-2 * x * apart) / v)); // of the class in all data, p(c | x)
  return { one: right, all: (right + left) / 2, score: (apart - x) / v, scoreAll: (share * (apart - x) + (1 - share) * (-apart - x)) / v };
}

// The quantiles of a standard normal at (k + 1/2) / WALKERS, by bisection of its distribution function.
function normalQuantiles() {
  const cdf = (x) => { // Zelen and Severo's series, good to 7 digits
    const t = 1 / (1 + 0.2316419 * Math.abs(x));
    const tail = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
    return x > 0 ? 1 - tail : tail;
  };
  return Array.from({ length: WALKERS }, (_, k) => {
    let low = -6, high = 6;
    for (let i = 0; i < 50; i++) {
      const middle = (low + high) / 2;
      if (cdf(middle) < (k + 0.5) / WALKERS) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  });
}

// All states of the walkers, level by level: Heun's steps for dz/dn = -n score, guided at levels up to `below`.
export function walk(scale, apart, below) {
  const slope = (z, n) => {
    const { score, scoreAll } = laws(z, apart, n);
    return -n * (n <= below ? scale * score + (1 - scale) * scoreAll : score);
  };
  const states = [normalQuantiles().map((q) => q * Math.hypot(HIGH, STD, apart))];
  for (let i = 0; i < STEPS; i++) {
    const n = LEVELS[i], m = LEVELS[i + 1];
    states.push(states[i].map((z) => {
      const first = slope(z, n), end = z + (m - n) * first;
      return m === 0 ? end : z + ((m - n) * (first + slope(end, m))) / 2;
    }));
  }
  return states;
}

// The tilted law p(x | c)^scale p(x)^(1 - scale) on a grid, its weights adding up to 1.
const FAR = 9, CELLS = 720;
const GRID = Array.from({ length: CELLS + 1 }, (_, i) => -FAR + (2 * FAR * i) / CELLS);
export function tilted(scale, apart) {
  const logs = GRID.map((x) => {
    const { one, all } = laws(x, apart, 0);
    return scale * Math.log(Math.max(one, 1e-300)) + (1 - scale) * Math.log(Math.max(all, 1e-300));
  });
  const top = Math.max(...logs), weights = logs.map((l) => Math.exp(l - top)), sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

export function moments(values, weights) {
  const w = (i) => (weights ? weights[i] : 1 / values.length);
  const mean = values.reduce((sum, x, i) => sum + w(i) * x, 0);
  return [mean, Math.sqrt(values.reduce((sum, x, i) => sum + w(i) * (x - mean) ** 2, 0))];
}

// Mean distance of the walkers from the tilted law's quantiles: Wasserstein's, on a line.
export function apartness(walkers, weights) {
  let i = 0, total = weights[0];
  return walkers.reduce((sum, x, k) => {
    while (total < (k + 0.5) / WALKERS && i < CELLS) total += weights[++i];
    return sum + Math.abs(x - GRID[i]) / WALKERS;
  }, 0);
}

// ---- the picture of it ------------------------------------------------------------------------

const BELOW = { "at all levels": 1000, "only below 1": 1, "only below 0.5": 0.5, "nowhere": 0 };
const HEIGHT = 260, TOP = 12, BOTTOM = 26, REACH = 4, POINTS = 300;

function render({ model, el }) {
  const { root, close } = box(el, "guided", "Guidance on a line");
  const scale = slider({ label: "scale", min: 0, max: 10, step: 0.25, value: model.get("scale"), text: (v) => v.toFixed(2), change: (v) => put(model, "scale", v) });
  const apart = slider({ label: "means at ±", min: 0.25, max: 2.5, step: 0.05, value: model.get("apart"), text: (v) => v.toFixed(2), change: (v) => put(model, "apart", Number(v.toFixed(2))) });
  const level = slider({ label: "noise level", min: 0, max: STEPS, value: model.get("level"), text: (i) => (i === STEPS ? "0, data" : short(LEVELS[i])), change: (i) => put(model, "level", i) });
  const below = chooser({ label: "where guided", options: Object.keys(BELOW), value: model.get("where"), change: (name) => put(model, "where", name) });
  const play = player(level, 10);
  const svg = s("svg", { role: "img", "aria-label": "densities", height: HEIGHT });
  const areas = Object.fromEntries(["class", "tilted", "walk"].map((name) => [name, s("path", { class: `cw-area cw-area-${name}` })]));
  const ticks = s("g", { class: "cw-ticks" });
  svg.append(ticks, ...Object.values(areas));
  const numbers = readings(), says = h("p", { class: "cw-caption", "aria-live": "polite" });
  root.append(
    h("p", { class: "cw-key" }, [["noise", "the class, p(x | c)"], ["data", "the tilted law, as it should be"], ["model", "the guided walk, as it is"]].map(([name, text]) => h("span", {}, h("i", { style: `background:var(--cw-${name})` }), text))),
    svg,
    h("div", { class: "cw-row" }, scale.node, apart.node),
    h("div", { class: "cw-row" }, play.node, level.node),
    h("div", { class: "cw-row" }, h("span", { class: "cw-label" }, "guided"), below.node),
    numbers.node, says,
  );

  const draw = () => {
    const [w, a, i, where] = ["scale", "apart", "level", "where"].map((key) => model.get(key));
    scale.set(w);
    apart.set(a);
    level.set(i);
    below.set(where);
    const n = LEVELS[i], states = walk(w, a, BELOW[where]), here = states[i], weights = tilted(w, a), v = STD * STD + n * n;
    const unit = Math.hypot(1, n), width = Math.max(220, root.clientWidth - 30), x = (k) => -REACH + (2 * REACH * k) / POINTS;
    const px = (u) => ((u + REACH) / (2 * REACH)) * width;
    // Everything is drawn over x / sqrt(1 + n²), so that noise stays in the picture.
    const bell = (d, spread) => Math.exp((-d * d) / (2 * spread * spread)) / (Math.sqrt(2 * Math.PI) * spread);
    const used = GRID.map((g, k) => [g, weights[k]]).filter(([, p]) => p > 1e-7), blur = Math.hypot(n, (2 * FAR) / CELLS);
    const curves = {
      class: Array.from({ length: POINTS + 1 }, (_, k) => [x(k), unit * bell(x(k) * unit - a, Math.sqrt(v))]),
      tilted: Array.from({ length: POINTS + 1 }, (_, k) => [x(k), unit * used.reduce((sum, [g, p]) => sum + p * bell(x(k) * unit - g, blur), 0)]),
      // A walk without noise keeps the order of the walkers: between two of them lies 1 / WALKERS.
      walk: here.slice(1).map((z, k) => [(z + here[k]) / (2 * unit), unit / (WALKERS * Math.max(1e-9, z - here[k]))]),
    };
    const tallest = Math.min(2.4, Math.max(...Object.values(curves).flat().map(([, p]) => p)));
    const py = (p) => HEIGHT - BOTTOM - (Math.min(p, 1.03 * tallest) / tallest) * (HEIGHT - TOP - BOTTOM);
    svg.setAttribute("width", width);
    for (const [name, points] of Object.entries(curves)) {
      const line = points.map(([u, p]) => `L${px(u).toFixed(1)},${py(p).toFixed(1)}`).join("");
      areas[name].setAttribute("d", `M${px(points[0][0]).toFixed(1)},${py(0)}${line}L${px(points.at(-1)[0]).toFixed(1)},${py(0)}Z`);
    }
    ticks.replaceChildren(s("line", { x1: 0, x2: width, y1: py(0), y2: py(0) }),
      ...[-3, -2, -1, 0, 1, 2, 3].map((u) => s("text", { x: px(u), y: HEIGHT - 8, "text-anchor": "middle" }, short(Number((u * unit).toPrecision(2))))));
    const [mean, spread] = moments(here), [should, width0] = moments(GRID, weights);
    numbers.show([
      ["mean of the walk", short(Number(mean.toFixed(3))), "cw-walk"], ["it should be", short(Number(should.toFixed(3))), "cw-should"],
      ["spread of the walk", short(Number(spread.toFixed(3))), "cw-walk"], ["it should be", short(Number(Math.hypot(width0, n).toFixed(3))), "cw-should"],
      ["Wasserstein distance at data", short(Number(apartness(states.at(-1), weights).toFixed(3))), ""],
    ]);
    says.textContent = w === 1 || where === "nowhere" ? "No guidance: the walk draws the class itself."
      : w === 0 ? "Scale 0 leaves the label out: the walk draws all data."
      : i < STEPS ? "Play on: at this level noise hides the data, and walk and tilted law still look alike, or already part."
      : where !== "at all levels" ? "Guided late only: the large noise levels, where the walk learns to overshoot, are left in peace."
      : "The walk lands beyond the tilted law and is narrower. No step went wrong: the scores of the levels do not belong together.";
  };
  return live(model, ["scale", "apart", "level", "where"], root, draw, play.stop, close);
}

export default { render };
