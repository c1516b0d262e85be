// Three solvers with the same number of evaluations, from the same noises, on an exact denoiser.
import { box, colour, h, live, normals, readings, s, sharp, short, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion (tests/test_widgets.py compares them) --------

export const HIGH = 20, LOW = 0.02; // noise levels between which the grid lies; then comes 0

// E[x_0 | x_0 + n eps = z] for round clumps of one spread and one weight, on a ring or anywhere.
export function denoise(law, z, n) {
  const variance = law.spread ** 2 + n * n, gain = law.spread ** 2 / variance;
  const logs = law.means.map(([a, b]) => -((z[0] - a) ** 2 + (z[1] - b) ** 2) / (2 * variance));
  const top = Math.max(...logs);
  let all = 0, x = 0, y = 0;
  law.means.forEach(([a, b], k) => {
    const share = Math.exp(logs[k] - top);
    all += share;
    x += share * (a + gain * (z[0] - a));
    y += share * (b + gain * (z[1] - b));
  });
  return [x / all, y / all];
}

// Noise levels, high to low, and 0: the grid of Karras et al. 2022.
export function grid(steps, rho) {
  const levels = Array.from({ length: steps }, (_, i) => {
    const u = steps > 1 ? i / (steps - 1) : 0;
    return (HIGH ** (1 / rho) + u * (LOW ** (1 / rho) - HIGH ** (1 / rho))) ** rho;
  });
  return [...levels, 0];
}

const mix = (a, b, w) => [a[0] + w * (b[0] - a[0]), a[1] + w * (b[1] - a[1])];

export const SOLVERS = ["DDIM", "Heun", "2M"];

// How many steps a number of evaluations buys. Heun asks twice, but once in the step that ends at 0.
export function stepsFor(solver, evaluations) {
  return solver === "Heun" ? Math.max(1, Math.floor((evaluations + 1) / 2)) : evaluations;
}

// The states of one walk, each [z, n]. A step from n to m with x_0 all the way keeps the share m / n.
export function walk(law, start, solver, evaluations, rho) {
  const levels = grid(stepsFor(solver, evaluations), rho), states = [[start, levels[0]]];
  let z = start, before;
  for (let i = 0; i + 1 < levels.length; i++) {
    const [n, m] = [levels[i], levels[i + 1]], x_0 = denoise(law, z, n);
    let aim = x_0;
    if (solver === "2M" && before && m > 0) {
      // x_0 half a step ahead, in steps of the logarithm of the level
      const ahead = Math.log(n / m) / (2 * Math.log(before.n / n));
      aim = mix(before.x_0, x_0, 1 + ahead);
    }
    before = { n, x_0 };
    let next = mix(aim, z, m / n);
    if (solver === "Heun" && m > 0) {
      const again = denoise(law, next, m);
      const slope = [0, 1].map((k) => ((z[k] - x_0[k]) / n + (next[k] - again[k]) / m) / 2);
      next = [z[0] + (m - n) * slope[0], z[1] + (m - n) * slope[1]];
    }
    z = next;
    states.push([z, m]);
  }
  return states;
}

export function error(law, starts, truth, solver, evaluations, rho) {
  const squares = starts.map((z, i) => {
    const end = walk(law, z, solver, evaluations, rho).at(-1)[0];
    return (end[0] - truth[i][0]) ** 2 + (end[1] - truth[i][1]) ** 2;
  });
  return Math.sqrt(squares.reduce((a, b) => a + b, 0) / squares.length);
}

// Where the curves really end: Heun with so many steps that more change nothing that can be seen.
export function truths(law, starts) {
  return starts.map((z) => walk(law, z, "Heun", 399, 7).at(-1)[0]);
}

export function noises(count, seed) {
  const normal = normals(seed);
  return Array.from({ length: count }, () => [HIGH * normal(), HIGH * normal()]);
}

// ---- the picture of it ------------------------------------------------------------------------

const EXTENT = 2.2, BUDGETS = [2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28, 40], LINES = { DDIM: "muted", Heun: "data", "2M": "model" };

function render({ model, el }) {
  const law = { means: model.get("means"), spread: model.get("spread") };
  const starts = noises(model.get("points"), model.get("seed")), truth = truths(law, starts);
  const { root, close } = box(el, "race", "Three solvers under one budget");
  const panels = SOLVERS.map((name) => {
    const canvas = h("canvas", { role: "img" }), said = h("span", {});
    return { name, canvas, said, node: h("figure", { class: "cw-race-panel" }, h("figcaption", {}, h("b", {}, name), said), canvas) };
  });
  const change = (key) => (value) => {
    model.set(key, value);
    draw();
  };
  const budget = slider({ label: "evaluations", min: 2, max: 40, value: model.get("evaluations"), change: change("evaluations") });
  const rho = slider({ label: "grid ρ", min: 1, max: 10, value: model.get("rho"), change: change("rho") });
  const chart = s("svg", { role: "img" }), numbers = readings();
  const paths = (panel, width) => {
    const context = sharp(panel.canvas, width, width), scale = width / (2 * EXTENT);
    // Drawn at the size of data plus noise of size 1: z / sqrt(1 + n²), in which nothing flies off.
    const at = ([z, n]) => z.map((v, k) => width / 2 + ((k ? -1 : 1) * v * scale) / Math.sqrt(1 + n * n));
    context.fillStyle = colour(root, "data");
    for (const mean of law.means) {
      context.globalAlpha = 0.16;
      context.beginPath();
      context.arc(...at([mean, 0]), 2 * law.spread * scale, 0, 2 * Math.PI);
      context.fill();
    }
    starts.forEach((z, i) => {
      const states = walk(law, z, panel.name, budget.read(), rho.read()), end = states.at(-1);
      context.globalAlpha = 0.55;
      context.strokeStyle = colour(root, "muted");
      context.lineWidth = 0.9;
      context.beginPath();
      states.forEach((state) => context.lineTo(...at(state)));
      context.stroke();
      context.globalAlpha = 1;
      context.strokeStyle = colour(root, "good");
      context.lineWidth = 1.6;
      context.beginPath();
      context.arc(...at([truth[i], 0]), 4.5, 0, 2 * Math.PI);
      context.stroke();
      context.fillStyle = colour(root, "model");
      context.beginPath();
      context.arc(...at(end), 2.8, 0, 2 * Math.PI);
      context.fill();
    });
  };
  const curves = (width) => {
    const high = 170, left = 44, right = 52, floor = 1e-4, top = 3;
    const x = (n) => left + ((width - left - right) * Math.log(n / 2)) / Math.log(20);
    const y = (e) => 8 + ((high - 34) * Math.log(top / Math.min(top, Math.max(floor, e)))) / Math.log(top / floor);
    chart.setAttribute("viewBox", `0 0 ${width} ${high}`);
    chart.setAttribute("width", width);
    chart.setAttribute("height", high);
    const parts = [];
    for (const e of [1, 0.01, 0.0001]) parts.push(s("line", { class: "cw-grid", x1: left, x2: width - right, y1: y(e), y2: y(e) }), s("text", { x: left - 6, y: y(e) + 4, "text-anchor": "end" }, String(e)));
    for (const n of [2, 5, 10, 20, 40]) parts.push(s("text", { x: x(n), y: high - 12, "text-anchor": "middle" }, String(n)));
    parts.push(s("line", { class: "cw-mark", x1: x(budget.read()), x2: x(budget.read()), y1: 4, y2: high - 26 }));
    const ends = SOLVERS.map((name) => {
      const line = BUDGETS.map((n) => [n, error(law, starts, truth, name, n, rho.read())]);
      parts.push(s("path", { d: `M${line.map(([n, e]) => `${x(n)},${y(e)}`).join("L")}`, fill: "none", stroke: `var(--cw-${LINES[name]})`, "stroke-width": 2 }));
      return [y(line.at(-1)[1]), name];
    }).sort((a, b) => a[0] - b[0]);
    let last = -20;
    for (const [where, name] of ends) {
      last = Math.max(where, last + 14);
      parts.push(s("text", { x: width - right + 6, y: last + 4, style: `fill: var(--cw-${LINES[name]})` }, name));
    }
    parts.push(s("text", { x: (left + width - right) / 2, y: high, "text-anchor": "middle" }, "evaluations"), s("text", { x: 2, y: 10 }, "error"));
    chart.replaceChildren(...parts);
  };
  const draw = () => {
    const width = Math.max(240, root.clientWidth - 30), narrow = width < 520;
    const side = Math.floor(narrow ? Math.min(width, 250) : (width - 34) / 3);
    const found = panels.map((panel) => {
      paths(panel, side);
      const off = error(law, starts, truth, panel.name, budget.read(), rho.read()), steps = stepsFor(panel.name, budget.read());
      panel.said.textContent = ` ${steps} ${steps === 1 ? "step" : "steps"}`;
      panel.canvas.setAttribute("aria-label", `${panel.name}: ${steps} steps, the ends are off by ${short(off)}`);
      return [`error, ${panel.name}`, short(off), ""];
    });
    curves(Math.min(width, 640));
    numbers.show(found);
    chart.setAttribute("aria-label", `Error against evaluations on logarithmic axes; at ${budget.read()}: ${found.map(([name, value]) => `${name.slice(7)} ${value}`).join(", ")}`);
  };
  const key = h("div", { class: "cw-key" }, h("span", {}, h("i", { class: "cw-race-end" }), "where the walk ends"), h("span", {}, h("i", { class: "cw-race-truth" }), "where the curve ends"));
  root.append(h("div", { class: "cw-race-panels" }, panels.map((panel) => panel.node)), key, h("div", { class: "cw-row" }, budget.node, rho.node), numbers.node, h("div", { class: "cw-charts" }, chart));
  return live(model, [], root, draw, close);
}

export default { render };
