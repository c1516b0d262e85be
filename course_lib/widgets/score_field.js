// The score of a few points blurred by noise, computed here; arrows, density, and walkers.
import { box, colour, h, live, plane, put, s, sharp, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion.exact (tests/test_widgets.py compares) ----

// log p_sigma at x, and its gradient, for equal weights on the points `data`.
export function score(x, sigma, data) {
  const squares = data.map((p) => (x[0] - p[0]) ** 2 + (x[1] - p[1]) ** 2);
  const logs = squares.map((r) => -r / (2 * sigma ** 2));
  const top = Math.max(...logs), raw = logs.map((l) => Math.exp(l - top)), sum = raw.reduce((a, b) => a + b);
  const mean = [0, 1].map((d) => data.reduce((total, p, k) => total + (raw[k] / sum) * p[d], 0)); // E[x_0 | x]
  return {
    logDensity: top + Math.log(sum) - Math.log(2 * Math.PI * sigma ** 2 * data.length),
    score: [0, 1].map((d) => (mean[d] - x[d]) / sigma ** 2), // Tweedie
  };
}

// Steps of size sigma² / 4 along the score: each goes a quarter of the way to E[x_0 | x].
export function walk(x, sigma, data, steps = 60) {
  const states = [x];
  for (let i = 0; i < steps; i++) {
    const { score: g } = score(x, sigma, data);
    x = [0, 1].map((d) => x[d] + (sigma ** 2 / 4) * g[d]);
    states.push(x);
  }
  return states;
}

// Centres of a grid over the square, `across` on a side, row by row from the top.
export function grid(extent, across) {
  const at = (i) => ((2 * i + 1) / across - 1) * extent;
  return Array.from({ length: across * across }, (_, k) => [at(k % across), -at(Math.floor(k / across))]);
}

// The share of the square where p_sigma is at least 1 % of its largest value there.
export function covered(sigma, data, extent, across = 60) {
  const logs = grid(extent, across).map((x) => score(x, sigma, data).logDensity);
  const top = logs.reduce((a, b) => Math.max(a, b));
  return logs.filter((l) => l > top + Math.log(0.01)).length / logs.length;
}

// ---- the picture of it ------------------------------------------------------------------------

const WIDEST = 440, SHADE = 60, ARROWS = 15;
const STARTS = Array.from({ length: 12 }, (_, k) => [0.93 * Math.cos((k * Math.PI) / 6), 0.93 * Math.sin((k * Math.PI) / 6)]);

function render({ model, el }) {
  const { root, close } = box(el, "score", "Score field");
  const extent = model.get("extent"), data = () => model.get("data");

  const shade = h("canvas", { "aria-hidden": "true" }), small = h("canvas", {}), svg = s("svg", { role: "group", "aria-label": "the plane" });
  const stage = h("div", { class: "cw-stage" }, shade, svg);
  const { px, knob } = plane(svg, extent);
  const knobs = data().map((_, k) => knob(`data point ${k + 1}`, { r: 7, class: "cw-point" }, 0.1, () => data()[k],
    (p) => put(model, "data", data().map((q, j) => (j === k ? p : q)))));
  const faint = s("path", { class: "cw-arrow cw-faint-arrow" }), solid = s("path", { class: "cw-arrow" }), trails = s("g", { class: "cw-trails" });
  svg.append(faint, solid, trails, ...knobs.map(({ node }) => node));

  // The slider runs over log10 sigma, in steps that a key press can feel.
  const low = -1, high = Math.log10(4);
  const noise = slider({ label: "sigma", min: low, max: high, step: (high - low) / 40, value: Math.log10(model.get("sigma")),
    text: (l) => (10 ** l).toFixed(2), change: (l) => put(model, "sigma", Math.min(4, Math.max(0.1, 10 ** l))) });
  const go = h("button", { type: "button", "aria-pressed": "false", click: () => put(model, "walkers", !model.get("walkers")) }, "Walkers");
  const readout = h("p", { class: "cw-caption", "aria-live": "polite" });
  const key = h("p", { class: "cw-key" }, ...[["data", "data points; shading: p_sigma"], ["text", "its score: solid where p_sigma ≥ 1 % of its maximum"], ["model", "walkers that follow it"]]
    .map(([c, text]) => h("span", {}, h("i", { style: `background:var(--cw-${c})` }), text.replaceAll("p_sigma", "p_σ"))));
  root.append(key, stage, h("div", { class: "cw-row" }, noise.node, go), readout);

  const draw = () => {
    const size = Math.max(160, Math.min(WIDEST, root.clientWidth - 30));
    svg.setAttribute("width", size);
    svg.setAttribute("height", size);
    stage.style.width = `${size}px`;
    const sigma = model.get("sigma"), points = data();
    noise.set(Math.log10(sigma));

    const logs = grid(extent, SHADE).map((x) => score(x, sigma, points).logDensity);
    const top = logs.reduce((a, b) => Math.max(a, b));
    small.width = small.height = SHADE;
    const context = small.getContext("2d"), image = context.createImageData(SHADE, SHADE);
    const rgb = colour(root, "data").match(/[0-9a-f]{2}/gi).map((v) => parseInt(v, 16));
    logs.forEach((l, p) => image.data.set([...rgb, 130 * Math.exp((l - top) / 2)], 4 * p)); // the root of the density
    context.putImageData(image, 0, 0);
    const wide = sharp(shade, size, size);
    wide.imageSmoothingQuality = "high";
    wide.drawImage(small, 0, 0, size, size);

    // Length: the square root of the score's, so that near and far arrows can both be seen.
    const where = grid(extent, ARROWS).map((x) => ({ x, ...score(x, sigma, points) }));
    const longest = Math.max(...where.map((w) => Math.hypot(...w.score)), 1e-12), room = (0.9 * size) / ARROWS;
    const drawn = { faint: [], solid: [] };
    for (const w of where) {
      const length = Math.hypot(...w.score), long = room * Math.sqrt(length / longest);
      if (long < 1) continue;
      const [x, y] = px(w.x), ux = w.score[0] / length, uy = -w.score[1] / length, head = Math.min(5, 0.5 * long);
      const tx = x + ux * long, ty = y + uy * long;
      const side = (turn) => `L${(tx - head * (ux - turn * uy * 0.6)).toFixed(1)},${(ty - head * (uy + turn * ux * 0.6)).toFixed(1)}`;
      drawn[w.logDensity > top + Math.log(0.01) ? "solid" : "faint"].push(
        `M${x.toFixed(1)},${y.toFixed(1)}L${tx.toFixed(1)},${ty.toFixed(1)}${side(1)}M${tx.toFixed(1)},${ty.toFixed(1)}${side(-1)}`);
    }
    faint.setAttribute("d", drawn.faint.join(""));
    solid.setAttribute("d", drawn.solid.join(""));

    knobs.forEach(({ show }) => show());
    go.setAttribute("aria-pressed", String(model.get("walkers")));
    trails.replaceChildren(...(model.get("walkers") ? STARTS : []).flatMap((start) => {
      const path = walk(start.map((v) => v * extent), sigma, points).map(px), [cx, cy] = path.at(-1);
      return [s("polyline", { points: path.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ") }), s("circle", { cx, cy, r: 4 })];
    }));
    const share = (100 * covered(sigma, points, extent, SHADE)).toFixed(0);
    readout.textContent = `σ = ${sigma.toFixed(2)}: ${share} % of the square has arrows that noisy data could teach.`;
  };
  return live(model, ["data", "sigma", "walkers"], root, draw, close);
}

export default { render };
