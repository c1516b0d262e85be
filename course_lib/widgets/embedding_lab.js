// The similarity of two times, for sinusoids and for random Fourier features, computed here.
import { box, chooser, colour, grouped, h, live, minus, put, readings, s, sharp, short, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.nn.embeddings (tests/test_widgets.py compares) ------

// Radians for each of the thousand steps, one frequency for each pair of sine and cosine.
export function frequencies({ kind, unit, base, scale, half, normals }) {
  const step = unit === "0 to 1" ? 0.001 : 1;
  if (kind === "sinusoids") return Array.from({ length: half }, (_, i) => step * base ** (-i / half));
  return normals.map((n) => step * 2 * Math.PI * scale * n);
}

// e(t) . e(t') over the number of pairs: the mean cosine, by how many steps lie between.
export function similarity(radians, gap) {
  return radians.reduce((sum, f) => sum + Math.cos(f * gap), 0) / radians.length;
}

// The shortest and the longest wave, in steps.
export function wavelengths(radians) {
  const waves = radians.map((f) => (2 * Math.PI) / Math.abs(f));
  return [Math.min(...waves), Math.max(...waves)];
}

// ---- the picture of it ------------------------------------------------------------------------

const STEPS = 1000, CELLS = 100, WIDEST = 300, LOW = 14, HIGH = 176;
const whole = (x) => (x < 10 ? x.toFixed(1) : x <= 1e6 ? grouped(x) : short(x));

function render({ model, el }) {
  const { root, close } = box(el, "embedding", "How alike two times look");
  const now = () => Object.fromEntries(["kind", "unit", "base", "scale", "half", "normals"].map((k) => [k, model.get(k)]));
  const kinds = chooser({ label: "kind of embedding", options: ["sinusoids", "Fourier features"], value: model.get("kind"), change: (v) => put(model, "kind", v) });
  const units = chooser({ label: "what the steps are told as", options: ["0 to 1,000", "0 to 1"], value: model.get("unit"), change: (v) => put(model, "unit", v) });
  const base = slider({ label: "base", min: 0.25, max: 6, step: 0.25, value: Math.log10(model.get("base")), text: (l) => whole(10 ** l), change: (l) => put(model, "base", 10 ** l) });
  const scale = slider({ label: "scale", min: -2, max: 3, step: 0.25, value: Math.log10(model.get("scale")), text: (l) => String(Number((10 ** l).toPrecision(2))), change: (l) => put(model, "scale", 10 ** l) });
  const time = slider({ label: "t", min: 0, max: STEPS, step: 20, value: model.get("time"), change: (t) => put(model, "time", t) });
  const canvas = h("canvas", { role: "img" });
  const svg = s("svg", { role: "img" });
  const matrix = h("figure", {}, h("figcaption", {}, "every time with every other"), canvas);
  const curve = h("figure", {}, h("figcaption", {}, "every time with t"), svg);
  const numbers = readings(), verdict = h("p", { class: "cw-caption", "aria-live": "polite" });
  root.append(
    h("div", { class: "cw-row" }, kinds.node, h("span", { class: "cw-embedding-told" }, "told as"), units.node),
    h("div", { class: "cw-row" }, base.node, scale.node, time.node),
    h("div", { class: "cw-embedding-row" }, matrix, h("div", { class: "cw-charts" }, curve)), numbers.node, verdict,
  );

  const draw = () => {
    const state = now(), radians = frequencies(state), t = model.get("time");
    const waves = state.kind === "sinusoids";
    kinds.set(state.kind);
    units.set(state.unit);
    base.set(Math.log10(state.base));
    scale.set(Math.log10(state.scale));
    time.set(t);
    base.node.hidden = !waves;
    scale.node.hidden = waves;

    const size = Math.max(150, Math.min(WIDEST, root.clientWidth - 34)), edge = (i) => Math.round((i * size) / CELLS);
    const context = sharp(canvas, size, size);
    const rows = Array.from({ length: CELLS }, (_, gap) => similarity(radians, (gap * STEPS) / (CELLS - 1)));
    const full = colour(root, "data"), less = colour(root, "model");
    for (let i = 0; i < CELLS; i++) for (let j = 0; j < CELLS; j++) {
      const value = rows[Math.abs(i - j)];
      context.globalAlpha = Math.min(1, Math.abs(value));
      context.fillStyle = value < 0 ? less : full;
      context.fillRect(edge(j), edge(i), edge(j + 1) - edge(j), edge(i + 1) - edge(i));
    }
    context.globalAlpha = 1;
    context.strokeStyle = colour(root, "text");
    context.strokeRect(0.5, Math.min(size - 2, (t / STEPS) * (size - 1)), size - 1, 1.5);
    canvas.setAttribute("aria-label", `similarity of all pairs of times; the row of t = ${t} is marked`);

    const wide = size, x = (u) => 34 + (u / STEPS) * (wide - 44), y = (v) => HIGH - ((v + 0.5) / 1.5) * (HIGH - LOW);
    svg.setAttribute("width", wide);
    svg.setAttribute("height", HIGH + 22);
    const at = (v) => y(Math.max(-0.5, v)).toFixed(1);
    const line = Array.from({ length: 401 }, (_, k) => `${x(k * 2.5).toFixed(1)},${at(similarity(radians, k * 2.5 - t))}`);
    svg.replaceChildren(
      ...[-0.5, 0, 0.5, 1].flatMap((v) => [s("line", { class: "cw-grid", x1: x(0), x2: x(STEPS), y1: y(v), y2: y(v) }), s("text", { x: 28, y: y(v) + 4, "text-anchor": "end" }, minus(v))]),
      s("line", { class: "cw-mark", x1: x(t), x2: x(t), y1: LOW, y2: HIGH }),
      s("polyline", { class: "cw-line", points: line.join(" ") }),
      ...[0, 500, 1000].map((u) => s("text", { x: x(u), y: HIGH + 18, "text-anchor": u === STEPS ? "end" : "middle" }, grouped(u))),
    );
    svg.setAttribute("aria-label", `similarity of every time with t = ${t}`);

    const [short, long] = wavelengths(radians), near = similarity(radians, 10), far = similarity(radians, 500);
    numbers.show([["10 steps apart", minus(near.toFixed(3))], ["500 steps apart", minus(far.toFixed(3))], ["shortest wave", `${whole(short)} steps`], ["longest wave", `${whole(long)} steps`]]);
    verdict.textContent = far > 0.9 ? "Times 500 steps apart look alike: these waves are too long." :
      near < 0.3 ? "Even times 10 steps apart look unrelated: these waves are too short." : "Near times look alike and far ones differ: a network can read this.";
  };
  return live(model, ["kind", "unit", "base", "scale", "time"], root, draw, close);
}

export default { render };
