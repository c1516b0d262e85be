// Eight clumps and a model of them that loses some, blurs them, and is asked for few samples.
import { box, h, live, normals, put, readings, s, short, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.metrics (tests/test_widgets.py compares them) ----

const RADIUS = 1 / Math.sqrt(0.51), CLUMPS = 8; // course_lib.data.points.eight_gaussians

// n points [x, y, x, y, ...] of the first `kept` clumps, `spread` times as wide as the real ones.
export function clumps(n, kept, spread, seed) {
  const normal = normals(seed), points = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    const even = 0.5 + Math.atan2(normal(), normal()) / (2 * Math.PI);
    const angle = (2 * Math.PI * Math.min(kept - 1, Math.floor(kept * even))) / CLUMPS;
    points[2 * i] = RADIUS * Math.cos(angle) + 0.1 * RADIUS * spread * normal();
    points[2 * i + 1] = RADIUS * Math.sin(angle) + 0.1 * RADIUS * spread * normal();
  }
  return points;
}

function moments(points) {
  const n = points.length / 2;
  let mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
  for (let i = 0; i < points.length; i += 2) {
    mx += points[i] / n;
    my += points[i + 1] / n;
  }
  for (let i = 0; i < points.length; i += 2) {
    const x = points[i] - mx, y = points[i + 1] - my;
    xx += (x * x) / (n - 1);
    xy += (x * y) / (n - 1);
    yy += (y * y) / (n - 1);
  }
  return { mx, my, xx, xy, yy };
}

// In two dimensions tr (A B)^(1/2) is the root of tr(A B) + 2 root(det A det B).
export function frechet(a, b) {
  const p = moments(a), q = moments(b);
  const both = p.xx * q.xx + 2 * p.xy * q.xy + p.yy * q.yy;
  const dets = (p.xx * p.yy - p.xy ** 2) * (q.xx * q.yy - q.xy ** 2);
  const apart = (p.mx - q.mx) ** 2 + (p.my - q.my) ** 2;
  return apart + p.xx + p.yy + q.xx + q.yy - 2 * Math.sqrt(both + 2 * Math.sqrt(Math.max(dets, 0)));
}

const square = (a, i, b, j) => (a[i] - b[j]) ** 2 + (a[i + 1] - b[j + 1]) ** 2;

// Squared distance of each point to its k-th neighbour.
function radii(points, k) {
  const out = new Float64Array(points.length / 2);
  for (let i = 0; i < points.length; i += 2) {
    const near = new Array(k).fill(Infinity); // the k smallest so far, rising
    for (let j = 0; j < points.length; j += 2) {
      const d = j === i ? Infinity : square(points, i, points, j);
      if (d >= near[k - 1]) continue;
      let place = k - 1;
      for (; place > 0 && near[place - 1] > d; place--) near[place] = near[place - 1];
      near[place] = d;
    }
    out[i / 2] = near[k - 1];
  }
  return out;
}

// The share of `rows` that lie as near to a point of `set` as that point's own k-th neighbour.
function inside(rows, set, k) {
  const reach = radii(set, k);
  let found = 0;
  for (let i = 0; i < rows.length; i += 2) {
    for (let j = 0; j < set.length; j += 2) {
      if (square(rows, i, set, j) > reach[j / 2]) continue;
      found += 1;
      break;
    }
  }
  return (2 * found) / rows.length;
}

export function precisionRecall(samples, real, k = 3) {
  return [inside(samples, real, k), inside(real, samples, k)];
}

// ---- the picture of it ------------------------------------------------------------------------

const EXTENT = 2.6, LARGEST = 300, EDGE = { left: 46, right: 12, top: 10, bottom: 36 };

function render({ model, el }) {
  const { root, close } = box(el, "fidelity", "Spoil a model and see which number notices");
  const spreads = model.get("spreads"), numbers = model.get("numbers");
  const stage = s("svg", { role: "img" }), plane = s("svg", { role: "img" });
  const shown = readings(), trail = [];
  const caption = h("p", { class: "cw-caption", "aria-live": "polite" });
  const control = {
    kept: slider({ label: "clumps", min: 1, max: CLUMPS, value: model.get("kept"), change: (v) => put(model, "kept", v) }),
    spread: slider({
      label: "width", min: 0, max: spreads.length - 1, value: spreads.indexOf(model.get("spread")),
      text: (i) => `${spreads[i]} ×`, change: (i) => put(model, "spread", spreads[i]),
    }),
    n: slider({
      label: "samples", min: 0, max: numbers.length - 1, value: numbers.indexOf(model.get("n")),
      text: (i) => String(numbers[i]), change: (i) => put(model, "n", numbers[i]),
    }),
  };
  const again = h("button", { type: "button", click: () => put(model, "seed", model.get("seed") + 1) }, "Draw again");
  const reset = h("button", { type: "button", click: () => {
    trail.length = 0;
    [["kept", CLUMPS], ["spread", 1]].forEach(([key, value]) => put(model, key, value));
    draw();
  } }, "Perfect model");
  const key = h("p", { class: "cw-key" },
    ["data", "model"].map((name) => h("span", {}, h("i", { style: `background:var(--cw-${name})` }), name === "data" ? "real" : "model")));
  root.append(h("div", { class: "cw-fl-row" }, stage, plane), key, shown.node, caption,
    h("div", { class: "cw-row" }, control.kept.node, control.spread.node, control.n.node), h("div", { class: "cw-row" }, again, reset));

  const draw = () => {
    const kept = model.get("kept"), spread = model.get("spread"), n = model.get("n"), seed = 3 * model.get("seed");
    const real = clumps(n, CLUMPS, 1, seed + 1), other = clumps(n, CLUMPS, 1, seed + 2), made = clumps(n, kept, spread, seed + 3);
    const [precision, recall] = precisionRecall(made, real), fd = frechet(made, real), floor = frechet(other, real);
    const [bestPrecision, bestRecall] = precisionRecall(other, real);
    trail.push([recall, precision]);
    if (trail.length > 30) trail.shift();

    const wide = root.clientWidth > 560 ? (root.clientWidth - 48) / 2 : root.clientWidth - 30;
    const size = Math.max(200, Math.min(LARGEST, wide)), unit = size / (2 * EXTENT);
    for (const svg of [stage, plane]) {
      svg.setAttribute("width", size);
      svg.setAttribute("height", size);
    }
    const dots = (points, kind) => Array.from({ length: points.length / 2 }, (_, i) =>
      s("circle", { cx: size / 2 + unit * points[2 * i], cy: size / 2 - unit * points[2 * i + 1], r: n > 300 ? 1.6 : 2.4, class: kind }));
    stage.replaceChildren(s("rect", { x: 0.5, y: 0.5, width: size - 1, height: size - 1, class: "cw-fl-frame" }), ...dots(real, "cw-fl-real"), ...dots(made, "cw-fl-made"));
    stage.setAttribute("aria-label", `${n} real points and ${n} samples of a model that knows ${kept} of 8 clumps, ${spread} times as wide`);

    const x = (v) => EDGE.left + v * (size - EDGE.left - EDGE.right), y = (v) => size - EDGE.bottom - v * (size - EDGE.top - EDGE.bottom);
    const ticks = [0, 0.5, 1];
    plane.replaceChildren(
      s("rect", { x: x(0), y: y(1), width: x(1) - x(0), height: y(0) - y(1), class: "cw-fl-frame" }),
      ...ticks.map((v) => s("text", { x: x(v), y: y(0) + 15, "text-anchor": "middle" }, String(v))),
      ...ticks.map((v) => s("text", { x: x(0) - 6, y: y(v) + 4, "text-anchor": "end" }, String(v))),
      s("text", { x: x(0.5), y: size - 4, "text-anchor": "middle" }, "recall"),
      s("text", { x: 11, y: y(0.5), "text-anchor": "middle", transform: `rotate(-90 11 ${y(0.5)})` }, "precision"),
      s("polyline", { points: trail.map(([r, p]) => `${x(r)},${y(p)}`).join(" "), class: "cw-fl-trail" }),
      s("circle", { cx: x(bestRecall), cy: y(bestPrecision), r: 6, class: "cw-fl-best" }),
      s("circle", { cx: x(recall), cy: y(precision), r: 6, class: "cw-fl-here" }),
    );
    plane.setAttribute("aria-label", `precision ${short(precision)}, recall ${short(recall)}; real points score ${short(bestPrecision)} and ${short(bestRecall)}`);
    shown.show([
      ["precision", `${Math.round(100 * precision)} %`], ["recall", `${Math.round(100 * recall)} %`],
      ["Fréchet distance", short(fd)], ["the same, of real points", short(floor)],
    ]);
    caption.textContent = fd < 3 * floor ? "The Fréchet distance sees nothing beyond its floor." : `The Fréchet distance is ${Math.round(fd / floor)} times its floor.`;
    control.kept.set(kept);
    control.spread.set(spreads.indexOf(spread));
    control.n.set(numbers.indexOf(n));
  };
  return live(model, ["kept", "spread", "n", "seed"], root, draw, close);
}

export default { render };
