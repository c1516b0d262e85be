// The exact denoiser of a small Gaussian mixture in the plane, computed here.
import { box, colour, h, live, lowered, normals, pair, plane, put, s, sharp, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion.exact (tests/test_widgets.py compares) ----

// A variance-preserving path over t in [0, 1]: x_t = alpha x_0 + sigma eps.
export function signal(t) {
  return { alpha: Math.cos((Math.PI * t) / 2), sigma: Math.sin((Math.PI * t) / 2) };
}

// E[x_0 | x_t = x], and the probability that x came from each mode {mean, std, weight}.
export function posterior(x, t, modes) {
  const { alpha, sigma } = signal(t);
  const variances = modes.map((m) => alpha ** 2 * m.std ** 2 + sigma ** 2);
  const logs = modes.map((m, k) => {
    const square = (x[0] - alpha * m.mean[0]) ** 2 + (x[1] - alpha * m.mean[1]) ** 2;
    return Math.log(m.weight) - Math.log(variances[k]) - square / (2 * variances[k]);
  });
  const top = Math.max(...logs), raw = logs.map((l) => Math.exp(l - top)), sum = raw.reduce((a, b) => a + b);
  const shares = raw.map((r) => r / sum);
  const mean = [0, 1].map((d) => modes.reduce((total, m, k) => {
    const gain = (alpha * m.std ** 2) / variances[k];
    return total + shares[k] * (m.mean[d] + gain * (x[d] - alpha * m.mean[d]));
  }, 0));
  return { mean, shares, density: (sum * Math.exp(top)) / (2 * Math.PI) };
}

// DDIM (eta = 0) from (x, t) to t = 0 in equal steps of t; every state, the first included.
export function path(x, t, steps, modes) {
  const states = [x];
  for (let i = 0; i < steps; i++) {
    const now = (t * (steps - i)) / steps, next = (t * (steps - i - 1)) / steps;
    const { mean } = posterior(x, now, modes), from = signal(now), to = signal(next);
    x = [0, 1].map((d) => to.alpha * mean[d] + (to.sigma / from.sigma) * (x[d] - from.alpha * mean[d]));
    states.push(x);
  }
  return states;
}

// ---- the picture of it ------------------------------------------------------------------------

const LARGEST = 440, GRID = 72;

function render({ model, el }) {
  const { root, close } = box(el, "playground", "Denoiser playground");
  const extent = model.get("extent"), normal = normals(model.get("seed"));
  const means = () => model.get("means"), stds = () => model.get("stds"), weights = () => model.get("weights");
  const modes = () => means().map((mean, k) => ({ mean, std: stds()[k], weight: weights()[k] }));

  const shade = h("canvas", { "aria-hidden": "true" }), small = h("canvas", {}), svg = s("svg", { role: "group", "aria-label": "the plane" });
  const stage = h("div", { class: "cw-stage" }, shade, svg);
  const { px, point, knob } = plane(svg, extent);

  const back = s("rect", { x: 0, y: 0, width: "100%", height: "100%", fill: "transparent" });
  back.addEventListener("click", (event) => { // a tap drops the point; a swipe still scrolls the page
    const rect = svg.getBoundingClientRect();
    put(model, "x", point(event.clientX - rect.left, event.clientY - rect.top));
  });
  const rings = means().map(() => s("circle", { class: "cw-ring" }));
  const centres = means().map((_, k) => knob(`mode ${k + 1}`, { r: 7, class: "cw-mode" }, 0.1, () => means()[k],
    (p) => put(model, "means", means().map((m, j) => (j === k ? p : m)))));
  const noisy = knob("the noisy point x_t", { r: 9, class: "cw-noisy" }, 0.1, () => model.get("x"), (p) => put(model, "x", p));
  const trail = s("polyline", { class: "cw-trail" }), dots = s("g", { class: "cw-dots" });
  const shaft = s("line", { class: "cw-shaft" }), guess = s("circle", { r: 6, class: "cw-guess" }), tip = s("polygon", { class: "cw-tip" });
  svg.append(back, ...rings, trail, dots, shaft, tip, guess, ...[...centres, noisy].map(({ node }) => node));

  const time = slider({ label: "t", min: 0.02, max: 1, step: 0.02, value: model.get("t"), text: (t) => t.toFixed(2), change: (t) => put(model, "t", t) });
  const steps = slider({ label: "DDIM steps", min: 1, max: 40, value: model.get("steps"), text: String, change: (n) => put(model, "steps", n) });
  const fresh = h("button", { type: "button", click: () => {
    let pick = Math.abs(normal() * 997) % 1, k = 0; // a mode by its weight, a point in it, noise on it
    while (k < weights().length - 1 && pick > weights()[k]) pick -= weights()[k++];
    const { alpha, sigma } = signal(model.get("t"));
    put(model, "x", means()[k].map((m) => Math.max(-extent, Math.min(extent, alpha * (m + stds()[k] * normal()) + sigma * normal()))));
  } }, lowered("Draw a new x_t"));
  const readout = h("p", { class: "cw-caption" }), shares = h("div", { class: "cw-shares", "aria-label": "where x_t may come from" });
  const key = h("p", { class: "cw-key" }, ...[["noise", "x_t, the noisy point"], ["model", "E[x_0 | x_t], the denoiser's answer, and the DDIM path"], ["data", "the modes of the data; shading: p_t"]]
    .map(([c, text]) => h("span", {}, h("i", { style: `background:var(--cw-${c})` }), lowered(text))));
  root.append(key, stage, h("div", { class: "cw-row" }, time.node), h("div", { class: "cw-row" }, steps.node, fresh), readout, shares);

  const draw = () => {
    const size = Math.max(160, Math.min(LARGEST, root.clientWidth - 30));
    svg.setAttribute("width", size);
    svg.setAttribute("height", size);
    stage.style.width = `${size}px`;
    const t = model.get("t"), x = model.get("x"), all = modes(), { alpha, sigma } = signal(t);
    time.set(t);
    steps.set(model.get("steps"));

    // p_t as shading: computed on a coarse grid, enlarged smoothly
    const values = new Float64Array(GRID * GRID);
    for (let i = 0; i < GRID; i++)
      for (let j = 0; j < GRID; j++)
        values[i * GRID + j] = posterior([((2 * (j + 0.5)) / GRID - 1) * extent, (1 - (2 * (i + 0.5)) / GRID) * extent], t, all).density;
    const top = values.reduce((a, b) => Math.max(a, b));
    small.width = small.height = GRID;
    const context = small.getContext("2d"), image = context.createImageData(GRID, GRID);
    const rgb = colour(root, "data").match(/[0-9a-f]{2}/gi).map((v) => parseInt(v, 16));
    values.forEach((v, p) => image.data.set([...rgb, 130 * Math.sqrt(v / top)], 4 * p));
    context.putImageData(image, 0, 0);
    const wide = sharp(shade, size, size);
    wide.imageSmoothingQuality = "high";
    wide.drawImage(small, 0, 0, size, size);

    const here = posterior(x, t, all), states = path(x, t, model.get("steps"), all);
    const at = (node, p) => {
      const [cx, cy] = px(p);
      node.setAttribute("cx", cx);
      node.setAttribute("cy", cy);
    };
    all.forEach((m, k) => {
      at(rings[k], m.mean);
      rings[k].setAttribute("r", (2 * m.std * size) / (2 * extent));
    });
    [...centres, noisy].forEach(({ show }) => show());
    at(guess, here.mean);
    const [x1, y1] = px(x), [x2, y2] = px(here.mean), long = Math.hypot(x2 - x1, y2 - y1) || 1;
    const [ux, uy] = [(x2 - x1) / long, (y2 - y1) / long], [ex, ey] = [x2 - 7 * ux, y2 - 7 * uy];
    shaft.setAttribute("x1", x1); shaft.setAttribute("y1", y1); shaft.setAttribute("x2", ex); shaft.setAttribute("y2", ey);
    tip.setAttribute("points", `${ex},${ey} ${ex - 9 * ux + 5 * uy},${ey - 9 * uy - 5 * ux} ${ex - 9 * ux - 5 * uy},${ey - 9 * uy + 5 * ux}`);
    trail.setAttribute("points", states.map((p) => px(p).join(",")).join(" "));
    dots.replaceChildren(...states.slice(1).map((p) => {
      const dot = s("circle", { r: 2.5 });
      at(dot, p);
      return dot;
    }));
    readout.replaceChildren(...lowered(`alpha = ${alpha.toFixed(2)}, sigma = ${sigma.toFixed(2)}; x_t = ${pair(x)}, E[x_0 | x_t] = ${pair(here.mean)}, path ends at ${pair(states.at(-1))}`));
    shares.replaceChildren(...here.shares.map((share, k) => h("div", {}, h("span", {}, `mode ${k + 1}`), h("b", {}, h("i", { style: `width:${(100 * share).toFixed(1)}%` })), h("span", {}, `${(100 * share).toFixed(0)} %`))));
  };
  return live(model, ["x", "t", "steps", "means"], root, draw, close);
}

export default { render };
