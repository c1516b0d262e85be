// From one noise at t = 1 back to data on a line: many random paths, and the one curve of the ODE.
import { arrow, box, colour, drag, h, live, minus, normals, onKey, place, readings, s, sharp, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion.sde (tests/test_widgets.py compares them) ----

const SLOWEST = 0.1, FASTEST = 20; // beta at t = 0 and t = 1, of sde.vp()

export function beta(t) {
  return SLOWEST + (FASTEST - SLOWEST) * t;
}

export function alpha(t) {
  return Math.exp(-(SLOWEST * t + ((FASTEST - SLOWEST) * t * t) / 2) / 2);
}

// The clumps under noise: [weight, mean, variance] of each.
export function noised(law, t) {
  const a = alpha(t);
  return law.means.map((mean, k) => [law.weights[k], a * mean, (a * law.spreads[k]) ** 2 + 1 - a * a]);
}

export function density(law, x, t) {
  return noised(law, t).reduce((sum, [w, mean, v]) => sum + (w * Math.exp(-((x - mean) ** 2) / (2 * v))) / Math.sqrt(2 * Math.PI * v), 0);
}

// The gradient of log p_t. Differences of exponents, so that it stands far out too.
export function score(law, x, t) {
  const clumps = noised(law, t), logs = clumps.map(([w, mean, v]) => Math.log(w) - ((x - mean) ** 2) / (2 * v) - Math.log(v) / 2);
  const top = Math.max(...logs);
  let all = 0, pull = 0;
  clumps.forEach(([, mean, v], k) => {
    const share = Math.exp(logs[k] - top);
    all += share;
    pull += (share * (mean - x)) / v;
  });
  return pull / all;
}

// One Euler-Maruyama step from t to s, with noise strength `noise` and the draw z.
export function step(law, x, t, s, noise, z) {
  const b = beta(t), width = t - s;
  const drift = (-b / 2) * x - ((1 + noise * noise) / 2) * b * score(law, x, t);
  return x - width * drift + (s > 0 ? noise * Math.sqrt(b * width) * z : 0);
}

// Positions at t = 1, ..., 0 in `steps` equal steps.
export function path(law, start, steps, noise, normal) {
  const xs = [start];
  for (let i = 0; i < steps; i++) xs.push(step(law, xs[i], 1 - i / steps, 1 - (i + 1) / steps, noise, normal()));
  return xs;
}

export function bundle(law, start, steps, noise, count, seed) {
  const normal = normals(seed);
  return Array.from({ length: count }, () => path(law, start, steps, noise, normal));
}

// The share of ends nearest to each clump.
export function shares(law, ends) {
  const found = law.means.map(() => 0);
  ends.forEach((x) => {
    const away = law.means.map((mean) => Math.abs(x - mean));
    found[away.indexOf(Math.min(...away))] += 1 / ends.length;
  });
  return found;
}

// ---- the picture of it ------------------------------------------------------------------------

const EXTENT = 3, FINE = 400, COLUMNS = 120, ROWS = 90, BINS = 30; // x from -3 to 3

function render({ model, el }) {
  const law = { means: model.get("means"), spreads: model.get("spreads"), weights: model.get("weights") };
  const { root, close } = box(el, "bundle", "Paths from noise back to data");
  const canvas = h("canvas", { role: "img" }), svg = s("svg", { width: "100%", height: "100%" });
  const knob = s("circle", { r: 5.5, class: "cw-bundle-start", tabindex: 0, role: "slider", "aria-label": "start of the paths", "aria-orientation": "vertical", "aria-valuemin": -EXTENT, "aria-valuemax": EXTENT });
  const stage = h("div", { class: "cw-bundle-stage" }, canvas, svg);
  svg.append(knob);
  let seed = model.get("seed");
  const note = (key) => (value) => {
    model.set(key, value);
    draw();
  };
  const noise = slider({ label: "noise strength", min: 0, max: 2, step: 0.1, value: model.get("noise"), text: (v) => v.toFixed(1), change: note("noise") });
  const steps = slider({ label: "steps", min: 5, max: 200, step: 5, value: model.get("steps"), change: (v) => note("steps")(Math.round(v)) });
  const start = slider({ label: "start", min: -EXTENT, max: EXTENT, step: 0.1, value: model.get("start"), text: (v) => minus(v.toFixed(1)), change: note("start") });
  const again = h("button", { type: "button", click: () => { seed += 1; draw(); } }, "New noise");
  const numbers = readings(), said = h("p", { class: "cw-caption", role: "status" });
  // The heat map does not depend on the sliders: its numbers are computed once.
  const heat = Array.from({ length: COLUMNS }, (_, c) => {
    const t = 1 - (c + 0.5) / COLUMNS;
    const column = Array.from({ length: ROWS }, (_, r) => density(law, EXTENT - ((r + 0.5) * 2 * EXTENT) / ROWS, t));
    const top = Math.max(...column);
    return column.map((p) => p / top);
  });
  let left = 0, wide = 0, high = 0;
  const draw = () => {
    const width = Math.max(240, root.clientWidth - 30), margin = 26;
    const side = Math.min(110, width * 0.18);
    high = Math.min(330, Math.max(220, width * 0.5));
    wide = width - side - margin;
    left = margin;
    const context = sharp(canvas, width, high + 24);
    const atX = (x) => ((EXTENT - Math.max(-EXTENT * 1.2, Math.min(EXTENT * 1.2, x))) / (2 * EXTENT)) * high;
    const atT = (t) => left + (1 - t) * wide;
    context.fillStyle = colour(root, "data");
    heat.forEach((column, c) => column.forEach((p, r) => {
      context.globalAlpha = 0.5 * p;
      // Whole pixels: cells that overlap, or leave a gap, would show as a grid.
      const [u, y] = [(k) => Math.round(left + (k * wide) / COLUMNS), (k) => Math.round((k * high) / ROWS)];
      context.fillRect(u(c), y(r), u(c + 1) - u(c), y(r + 1) - y(r));
    }));
    context.save();
    context.beginPath();
    context.rect(left - 8, 0, wide + 16, high);
    context.clip();
    const paths = bundle(law, start.read(), steps.read(), noise.read(), model.get("paths"), seed);
    const line = (xs, ink, thick, strong) => {
      context.globalAlpha = strong;
      context.strokeStyle = ink;
      context.lineWidth = thick;
      context.beginPath();
      xs.forEach((x, i) => context.lineTo(atT(1 - i / (xs.length - 1)), Number.isFinite(x) ? atX(x) : 0));
      context.stroke();
    };
    paths.forEach((xs) => line(xs, colour(root, "model"), 0.8, 0.45));
    const ode = path(law, start.read(), FINE, 0, () => 0);
    line(ode, colour(root, "ground"), 5, 0.9);
    line(ode, colour(root, "good"), 2.6, 1);
    context.restore();
    context.globalAlpha = 1;
    place(knob, atT(1), atX(start.read()));
    knob.setAttribute("aria-valuenow", start.read());
    knob.setAttribute("aria-valuetext", minus(start.read().toFixed(1)));
    const ends = paths.map((xs) => xs.at(-1));
    const counts = Array(BINS).fill(0);
    ends.forEach((x) => {
      const bin = Math.floor(((EXTENT - x) / (2 * EXTENT)) * BINS);
      if (bin >= 0 && bin < BINS) counts[bin] += BINS / (2 * EXTENT * ends.length);
    });
    const peak = Math.max(...Array.from({ length: 200 }, (_, i) => density(law, EXTENT - (i * EXTENT) / 100, 0)));
    const tall = Math.max(peak, Math.min(2.5 * peak, ...[Math.max(...counts)])), edge = left + wide + 6;
    context.fillStyle = colour(root, "model");
    context.globalAlpha = 0.45;
    counts.forEach((p, i) => context.fillRect(edge, (i * high) / BINS, (Math.min(p, tall) / tall) * (side - 10), high / BINS - 1));
    context.globalAlpha = 1;
    context.strokeStyle = colour(root, "data");
    context.lineWidth = 1.8;
    context.beginPath();
    for (let i = 0; i <= 200; i++) {
      const x = EXTENT - (i * EXTENT) / 100;
      context.lineTo(edge + (density(law, x, 0) / tall) * (side - 10), atX(x));
    }
    context.stroke();
    context.fillStyle = colour(root, "muted");
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "left";
    context.fillText("t = 1, noise", left, high + 17);
    context.textAlign = "right";
    context.fillText("t = 0, data", left + wide, high + 17);
    context.textAlign = "left";
    context.fillText("ends", edge, high + 17);
    context.textAlign = "right";
    for (const x of [-2, 0, 2]) context.fillText(minus(x), left - 9, atX(x) + 4);
    const found = shares(law, ends), wild = ends.filter((x) => !(Math.abs(x) < EXTENT)).length;
    const percent = (p) => `${Math.round(100 * p)} %`;
    numbers.show([
      ["ends in the lower clump", percent(found[0]), ""],
      ["data there", percent(law.weights[0]), ""],
      ["the ODE ends at", minus(ode.at(-1).toFixed(2)), ""],
      ["paths off the picture", String(wild), ""],
    ]);
    const kind = noise.read() === 0 ? "Noise strength 0: all paths are one, Euler's on the ODE." : noise.read() === 1 ? "Noise strength 1: the reverse SDE." : "In between and beyond: another process with the same law.";
    said.textContent = kind;
    canvas.setAttribute("aria-label", minus(`${ends.length} paths from ${start.read().toFixed(1)}; ${percent(found[0])} end in the lower clump. The ODE curve ends at ${ode.at(-1).toFixed(2)}.`));
  };
  const begin = (y) => start.move(Math.round(10 * Math.max(-EXTENT, Math.min(EXTENT, EXTENT - (y / high) * 2 * EXTENT))) / 10);
  svg.addEventListener("click", (event) => event.target === svg && begin(event.clientY - svg.getBoundingClientRect().top)); // a swipe scrolls the page
  drag(knob, svg, (_, y) => begin(y));
  onKey(knob, (event) => {
    const by = arrow(event);
    if (!by || !by[1]) return;
    event.preventDefault();
    start.move(start.read() + 0.1 * by[1]);
  });
  const key = h("div", { class: "cw-key" }, h("span", {}, h("i", { class: "cw-bundle-paths" }), "random paths"), h("span", {}, h("i", { class: "cw-bundle-ode" }), "the ODE"), h("span", {}, h("i", { class: "cw-bundle-law" }), "density of the noised data"));
  root.append(stage, key, h("div", { class: "cw-row" }, noise.node, steps.node, start.node, again), numbers.node, said);
  return live(model, [], root, draw, close);
}

export default { render };
