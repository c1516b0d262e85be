// A perfect classifier pulls points on the plane to one class of a Gaussian mixture, at any scale.
import { box, chooser, colour, h, live, normals, player, put, readings, sharp, short, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion (tests/test_widgets.py compares them) --------

export const HIGH = 15, LOW = 0.02, STEPS = 40; // noise levels of the walk, evenly in log; then 0

// The chance of each class at z = x_0 + n eps.
export function shares(law, z, n) {
  const logs = law.means.map(([a, b], k) => {
    const v = law.spreads[k] ** 2 + n * n;
    return -((z[0] - a) ** 2 + (z[1] - b) ** 2) / (2 * v) - Math.log(v);
  });
  const top = Math.max(...logs), raw = logs.map((l) => Math.exp(l - top)), sum = raw.reduce((a, b) => a + b);
  return raw.map((r) => r / sum);
}

// E[x_0 | z] of one class.
export function ofClass(law, k, z, n) {
  const gain = law.spreads[k] ** 2 / (law.spreads[k] ** 2 + n * n);
  return [0, 1].map((d) => law.means[k][d] + gain * (z[d] - law.means[k][d]));
}

// What the denoiser says, and what the classifier adds: n² times the gradient of log p(wanted | z).
export function parts(law, wanted, z, n) {
  const chance = shares(law, z, n), every = law.means.map((_, k) => ofClass(law, k, z, n));
  const plain = [0, 1].map((d) => every.reduce((sum, x, k) => sum + chance[k] * x[d], 0));
  return { plain, push: [0, 1].map((d) => every[wanted][d] - plain[d]) };
}

export function guided(law, wanted, scale, z, n) {
  const { plain, push } = parts(law, wanted, z, n);
  return [0, 1].map((d) => plain[d] + scale * push[d]);
}

export function levels() {
  return [...Array.from({ length: STEPS }, (_, i) => HIGH * (LOW / HIGH) ** (i / (STEPS - 1))), 0];
}

// All states of one walk without fresh noise.
export function walk(law, wanted, scale, start) {
  const grid = levels(), states = [start];
  let z = start;
  for (let i = 0; i + 1 < grid.length; i++) {
    const x = guided(law, wanted, scale, z, grid[i]), keep = grid[i + 1] / grid[i];
    z = [0, 1].map((d) => x[d] + keep * (z[d] - x[d]));
    states.push(z);
  }
  return states;
}

// Of the points a walk ends in: the share the classifier gives to the class, the spread in units of
// the class's own, and how far their mean lies beyond the class's.
export function judged(law, wanted, ends) {
  const right = ends.filter((z) => {
    const chance = shares(law, z, 0);
    return chance.every((c, k) => k === wanted || c < chance[wanted]);
  }).length;
  const mean = [0, 1].map((d) => ends.reduce((sum, z) => sum + z[d], 0) / ends.length);
  const squares = ends.reduce((sum, z) => sum + (z[0] - mean[0]) ** 2 + (z[1] - mean[1]) ** 2, 0);
  const away = Math.hypot(...mean.map((v, d) => v - law.means[wanted][d]));
  return { right: right / ends.length, spread: Math.sqrt(squares / (2 * ends.length)) / law.spreads[wanted], away };
}

export function noises(count, seed) {
  const normal = normals(seed);
  return Array.from({ length: count }, () => [HIGH * normal(), HIGH * normal()]);
}

// ---- the picture of it ------------------------------------------------------------------------

const EXTENT = 2.6, WIDEST = 440, ARROWS = 13;

function render({ model, el }) {
  const law = { means: model.get("means"), spreads: model.get("spreads") }, names = law.means.map((_, k) => String.fromCharCode(65 + k));
  const starts = noises(model.get("points"), model.get("seed")), grid = levels();
  const { root, close } = box(el, "guide", "Guidance on the plane");
  const canvas = h("canvas", { role: "img" }), stage = h("div", { class: "cw-stage" }, canvas), numbers = readings();
  let frame = STEPS, kept, runs;
  const scale = slider({ label: "scale s", min: 0, max: 10, step: 0.5, value: model.get("scale"), change: (v) => put(model, "scale", v) });
  const time = slider({ label: "step", min: 0, max: STEPS, value: frame, text: (i) => `σ = ${short(grid[i])}`, change: (i) => { frame = i; draw(); } });
  const play = player(time, 12);
  const pick = chooser({ label: "the class wanted", options: names, value: names[model.get("wanted")], change: (name) => put(model, "wanted", names.indexOf(name)) });
  const walks = () => {
    const now = `${model.get("scale")} ${model.get("wanted")}`;
    if (now !== kept) runs = starts.map((z) => walk(law, model.get("wanted"), model.get("scale"), z));
    kept = now;
    return runs;
  };
  const draw = () => {
    const s = model.get("scale"), wanted = model.get("wanted"), n = grid[frame], size = Math.min(WIDEST, Math.max(240, root.clientWidth - 30));
    scale.set(s);
    pick.set(names[wanted]);
    stage.style.width = `${size}px`;
    stage.style.height = `${size}px`;
    const context = sharp(canvas, size, size), one = size / (2 * EXTENT), shrink = 1 / Math.sqrt(1 + n * n);
    // Data plus noise drawn at the size of data: z / sqrt(1 + n²), in which nothing flies off.
    const px = (z) => [size / 2 + z[0] * one * shrink, size / 2 - z[1] * one * shrink];
    const stroke = (name, width, path) => {
      context.strokeStyle = colour(root, name);
      context.lineWidth = width;
      context.beginPath();
      path();
      context.stroke();
    };
    law.means.forEach((mean, k) => {
      const [x, y] = px(mean), radius = 2 * Math.sqrt(law.spreads[k] ** 2 + n * n) * one * shrink;
      context.globalAlpha = k === wanted ? 0.22 : 0.08;
      context.fillStyle = colour(root, "data");
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
      context.globalAlpha = 1;
      context.fillStyle = colour(root, "text");
      context.font = "600 15px system-ui, sans-serif";
      context.fillText(names[k], x - 5, y + 5);
    });
    const half = (0.8 * EXTENT) / ARROWS, cells = [];
    for (let i = 0; i < ARROWS; i++) for (let j = 0; j < ARROWS; j++) cells.push([i, j].map((v) => (((2 * v + 1) / ARROWS - 1) * EXTENT) / shrink));
    const fields = cells.map((z) => ({ z, ...parts(law, wanted, z, n || LOW) }));
    const drift = fields.map(({ z, plain }) => plain.map((v, d) => v - z[d])), push = fields.map((f) => f.push.map((v) => s * v));
    const longest = Math.max(...[...drift, ...push].map((v) => Math.hypot(...v)), 1e-9), least = 0.04;
    [["noise", drift], ["model", push]].forEach(([name, arrows]) => stroke(name, 1.3, () => cells.forEach((z, k) => {
      const size_ = Math.hypot(...arrows[k]) / longest;
      if (size_ < least) return;
      const far = (half * 1.9 * Math.sqrt(size_)) / Math.hypot(...arrows[k]) / shrink; // roots: small arrows stay to be seen
      const [x, y] = px(z), [u, v] = px(z.map((c, d) => c + far * arrows[k][d])), turn = Math.atan2(v - y, u - x);
      context.moveTo(x, y);
      context.lineTo(u, v);
      for (const side of [2.6, -2.6]) {
        context.moveTo(u, v);
        context.lineTo(u + 4 * Math.cos(turn + side), v + 4 * Math.sin(turn + side));
      }
    })));
    context.fillStyle = colour(root, "good");
    const states = walks();
    for (const run of states) {
      const [x, y] = px(run[frame]);
      context.beginPath();
      context.arc(x, y, 2.6, 0, 2 * Math.PI);
      context.fill();
    }
    const found = judged(law, wanted, states.map((run) => run.at(-1)));
    const rows = [["end in the class", `${Math.round(100 * found.right)} %`], ["their spread, class = 1", found.spread.toFixed(2)], ["their mean, off by", found.away.toFixed(2)]];
    numbers.show(rows);
    canvas.setAttribute("aria-label", `Noise level ${short(n)}, scale ${s}, class ${names[wanted]} wanted: ${rows.map(([name, value]) => `${name} ${value}`).join(", ")}`);
  };
  const key = h("div", { class: "cw-key" }, ...[["noise", "denoiser"], ["model", "s × classifier"], ["good", "samples"]].map(([name, text]) => h("span", {}, h("i", { style: `background: var(--cw-${name})` }), text)));
  root.append(h("div", { class: "cw-row" }, h("span", {}, "class"), pick.node, scale.node), stage, key, h("div", { class: "cw-row" }, time.node, play.node), numbers.node);
  return live(model, ["scale", "wanted"], root, draw, play.stop, close);
}

export default { render };
