// Two crowds of walkers on the same two hills: one sees one noise level, the other a ladder.
import { box, colour, h, live, normals, sharp } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion (tests/test_widgets.py compares them) ----

const MODE = 5, WEIGHT = 0.2; // points at -(5, 5) and (5, 5), the first with weight 1/5

export function ladder(high, low, levels) {
  return Array.from({ length: levels }, (_, i) => high * (low / high) ** (i / (levels - 1)));
}

// The gradient of log p_sigma at (x, y): the two points under noise sigma.
export function score(x, y, sigma) {
  const v = sigma * sigma, odds = (2 * MODE * (x + y)) / v + Math.log((1 - WEIGHT) / WEIGHT);
  const pull = MODE * Math.tanh(odds / 2);
  return [(pull - x) / v, (pull - y) / v];
}

// One Langevin move of all walkers, in place; points is [x, y, x, y, ...].
export function move(points, sigma, rate, normal) {
  const step = rate * sigma * sigma, shake = Math.sqrt(2 * step);
  for (let i = 0; i < points.length; i += 2) {
    const [u, w] = score(points[i], points[i + 1], sigma);
    points[i] += step * u + shake * normal();
    points[i + 1] += step * w + shake * normal();
  }
}

// The share of walkers on the small hill's side.
export function share(points) {
  let left = 0;
  for (let i = 0; i < points.length; i += 2) if (points[i] + points[i + 1] < 0) left += 1;
  return (2 * left) / points.length;
}

export function start(walkers, seed) {
  const normal = normals(seed);
  // Evenly over the square of side 16, as in the paper's own code: the phase of two normals is even.
  const even = () => 16 * (Math.atan2(normal(), normal()) / (2 * Math.PI));
  return { normal, points: Float64Array.from({ length: 2 * walkers }, even) };
}

// ---- the picture of it ------------------------------------------------------------------------

const EXTENT = 14, PER_SECOND = 24; // half the side of a panel; Langevin moves a second

function render({ model, el }) {
  const levels = ladder(model.get("high"), model.get("low"), model.get("levels"));
  const moves = model.get("moves"), rate = model.get("rate"), total = levels.length * moves;
  const { root, close } = box(el, "race", "A race of walkers, with and without annealing");
  const lanes = ["One noise level", "A falling ladder"].map((title, annealed) => {
    const canvas = h("canvas", { role: "img" });
    const bar = h("div", { class: "cw-race-fill" }), said = h("output", { "aria-live": "off" });
    const track = h("div", { class: "cw-race-bar" }, bar, h("div", { class: "cw-race-goal" }));
    const level = h("p", { class: "cw-caption" });
    const node = h("div", { class: "cw-race-lane" }, h("strong", {}, title), level, canvas,
      h("div", { class: "cw-race-share" }, h("span", {}, "on the small hill"), track, said));
    return { annealed, canvas, bar, said, level, node };
  });
  let done = 0, timer, run = 0;
  const sigma = (lane) => (lane.annealed ? levels[Math.min(levels.length - 1, Math.floor(done / moves))] : levels.at(-1));
  const draw = () => {
    const wide = root.clientWidth > 520 ? (root.clientWidth - 46) / 2 : root.clientWidth - 30;
    const size = Math.max(140, Math.min(root.clientWidth > 520 ? 300 : 230, wide)), half = size / 2, unit = half / EXTENT;
    for (const lane of lanes) {
      const context = sharp(lane.canvas, size, size);
      // The hills that the walkers see now: their widths are the noise level.
      for (const [at, weight] of [[-MODE, WEIGHT], [MODE, 1 - WEIGHT]]) {
        context.globalAlpha = 0.35;
        context.strokeStyle = colour(root, "data");
        context.lineWidth = 1 + 3 * weight;
        for (const radius of [1, 2]) {
          context.beginPath();
          context.arc(half + at * unit, half - at * unit, radius * sigma(lane) * unit, 0, 2 * Math.PI);
          context.stroke();
        }
      }
      context.globalAlpha = 0.8;
      context.fillStyle = colour(root, "model");
      for (let i = 0; i < lane.points.length; i += 2) {
        context.beginPath();
        context.arc(half + lane.points[i] * unit, half - lane.points[i + 1] * unit, 2.2, 0, 2 * Math.PI);
        context.fill();
      }
      const part = share(lane.points), percent = `${Math.round(100 * part)} %`;
      lane.bar.style.width = `${100 * part}%`;
      lane.said.textContent = percent;
      lane.level.textContent = `noise level ${sigma(lane).toPrecision(3)}`;
      lane.canvas.setAttribute("aria-label", `${lane.node.firstChild.textContent}: ${percent} of the walkers are on the small hill`);
    }
    count.textContent = `move ${done} of ${total}`;
    play.textContent = timer ? "Pause" : done >= total ? "Again" : "Play";
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const reset = () => {
    stop();
    done = 0;
    lanes.forEach((lane) => Object.assign(lane, start(model.get("walkers"), model.get("seed") + run)));
    run += 1;
  };
  const advance = (n) => {
    for (let k = 0; k < n && done < total; k++, done++) {
      lanes.forEach((lane) => move(lane.points, sigma(lane), rate, lane.normal));
    }
    if (done >= total || !root.isConnected) stop();
    draw();
  };
  const toggle = () => {
    if (timer) stop();
    else {
      if (done >= total) reset();
      timer = setInterval(() => advance(2), 2000 / PER_SECOND);
    }
    draw();
  };
  const play = h("button", { type: "button", class: "cw-play", click: toggle }, "Play");
  const one = h("button", { type: "button", click: () => (stop(), advance(1)) }, "One move");
  const end = h("button", { type: "button", click: () => (stop(), advance(total)) }, "To the end");
  const again = h("button", { type: "button", click: () => (reset(), draw()) }, "New start");
  const count = h("output", {});
  root.append(h("div", { class: "cw-race-lanes" }, lanes.map((lane) => lane.node)), h("div", { class: "cw-row" }, play, one, end, again, count));
  reset();
  return live(model, [], root, draw, stop, close);
}

export default { render };
