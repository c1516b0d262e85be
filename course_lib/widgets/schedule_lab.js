// A noise schedule to take apart: move beta and T, see alpha_bar, SNR, L_T and a picture.
import { box, bytes, chooser, drag, h, live, lowered, normals, onKey, paint, place, put, readings, s, short, slider, tenTo } from "./kit.js";

// ---- the mathematics, equal to course_lib.diffusion (tests/test_widgets.py compares them) ----

// Tables of length T + 1; index 0 is the data, where nothing has been added.
export function schedule(kind, T, first, last) {
  const beta = new Float64Array(T + 1), alphaBar = new Float64Array(T + 1).fill(1);
  const cosine = (t) => Math.cos((((t / T + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  for (let t = 1; t <= T; t++) {
    beta[t] = kind === "cosine"
      ? Math.min(1 - cosine(t) / cosine(t - 1), 0.999)
      : T === 1 ? first : first + ((last - first) * (t - 1)) / (T - 1);
    alphaBar[t] = alphaBar[t - 1] * (1 - beta[t]);
  }
  return { beta, alphaBar };
}

export function snr(alphaBar) {
  return alphaBar / (1 - alphaBar);
}

// KL(q(x_T | x_0) || N(0, I)) in bits per dimension, for data whose mean square is `square`.
export function priorBits(alphaBar, square) {
  return (0.5 * (alphaBar * square - alphaBar - Math.log1p(-alphaBar))) / Math.LN2;
}

// ---- the picture of it ------------------------------------------------------------------------

const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
const STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000, 4000];
const SHOWN = [0, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1];

// Round numbers from low to high, and the given one among them.
function ladder(low, high, given) {
  const values = [given];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const digit of ROUND) values.push(Number((digit * 10 ** power).toPrecision(3)));
  return [...new Set(values.filter((v) => v === given || (v >= low && v <= high)))].sort((a, b) => a - b);
}

// A slider over a list of values, bound to the trait `key`.
function listed(model, key, label, values, text) {
  const change = (i) => put(model, key, values[i]);
  const nearest = (v) => values.reduce((best, u, i) => (Math.abs(Math.log(u / v)) < Math.abs(Math.log(values[best] / v)) ? i : best), 0);
  const control = slider({ label, min: 0, max: values.length - 1, value: nearest(model.get(key)), text: (i) => text(values[i]), change });
  return { ...control, values, to: (v) => control.move(nearest(v)), by: (n) => control.move(control.read() + n), follow: () => control.set(nearest(model.get(key))) };
}

// One small chart: a line over t = 0..T, with ticks; returns where a value stands on it. It draws
// into the svg's first child and leaves the others: a handle that moved would lose finger and focus.
function chart(svg, { title, width, height, low, high, ticks, line, T, marks }) {
  const left = 46, right = 12, top = 26, bottom = 24;
  const x = (t) => left + ((width - left - right) * t) / T;
  const y = (v) => top + ((height - top - bottom) * (high - Math.min(high, Math.max(low, v)))) / (high - low);
  const value = (py) => high - ((py - top) * (high - low)) / (height - top - bottom);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.firstChild.replaceChildren(
    s("text", { x: left, y: 15, class: "cw-title" }, title),
    ...marks.map((t) => s("line", { x1: x(t), x2: x(t), y1: top, y2: height - bottom, class: "cw-mark" })),
    ...ticks.flatMap(([v, text]) => [
      s("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: "cw-grid" }),
      s("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, text),
    ]),
    s("text", { x: left, y: height - 7 }, "0"),
    s("text", { x: width - right, y: height - 7, "text-anchor": "end" }, `T = ${T}`),
    s("polyline", { class: "cw-line", points: line.map(([t, v]) => `${x(t).toFixed(2)},${y(v).toFixed(2)}`).join(" ") }),
  );
  return { x, y, value };
}

function render({ model, el }) {
  const { root, close } = box(el, "schedule", "Schedule lab");
  const [height, width, channels] = model.get("shape"), pixels = bytes(model.get("picture"));
  const normal = normals(model.get("seed")), eps = Float64Array.from({ length: pixels.length }, normal);

  const kind = chooser({
    label: "kind of schedule", options: ["linear", "cosine"], value: model.get("kind"),
    change: (value) => put(model, "kind", value),
  });
  const first = listed(model, "beta_first", "β₁", ladder(1e-5, 1e-2, model.get("beta_first")), short);
  const last = listed(model, "beta_last", "β_T", ladder(1e-3, 0.8, model.get("beta_last")), short);
  const stepValues = [...new Set([...STEPS, model.get("steps")])].sort((a, b) => a - b);
  const steps = listed(model, "steps", "T", stepValues, String);

  const charts = ["beta_t", "alpha_bar_t", "signal-to-noise ratio"].map((name) => s("svg", { role: "group", "aria-label": name }, s("g", {})));
  const handles = [first, last].map((control, k) => {
    const handle = s("circle", { r: 8, class: "cw-handle", tabindex: 0, role: "slider", "aria-label": ["first beta", "last beta"][k], "aria-valuemin": control.values[0], "aria-valuemax": control.values.at(-1) });
    onKey(handle, (event) => {
      const way = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
      if (way) {
        event.preventDefault();
        control.by(way);
      }
    });
    return handle;
  });
  charts[0].append(...handles);
  let scale;
  handles.forEach((handle, k) => drag(handle, charts[0], (_, py) => [first, last][k].to(10 ** scale.value(py))));

  const strip = SHOWN.map(() => {
    const canvas = h("canvas", { role: "img", style: `aspect-ratio:${width}/${height}` }), under = h("figcaption", {});
    return { canvas, under, figure: h("figure", {}, canvas, under) };
  });
  const verdict = h("p", { class: "cw-verdict", "aria-live": "polite" });
  const numbers = readings();
  root.append(
    h("div", { class: "cw-row" }, kind.node, steps.node),
    h("div", { class: "cw-row cw-betas" }, first.node, last.node),
    h("div", { class: "cw-charts" }, charts),
    pixels.length ? h("div", { class: "cw-strip" }, strip.map((p) => p.figure)) : h("span", {}),
    numbers.node, verdict,
  );

  const draw = () => {
    const T = model.get("steps"), linear = model.get("kind") === "linear";
    const { beta, alphaBar } = schedule(model.get("kind"), T, model.get("beta_first"), model.get("beta_last"));
    [first, last, steps].forEach((control) => control.follow());
    kind.set(model.get("kind"));
    root.querySelector(".cw-betas").classList.toggle("cw-off", !linear);
    for (const node of root.querySelectorAll(".cw-betas input, .cw-betas button")) node.disabled = !linear;

    const columns = root.clientWidth < 560 ? 1 : 3;
    root.querySelector(".cw-charts").style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    const size = { width: (root.clientWidth - 30 - 14 * (columns - 1)) / columns, height: 170, T, marks: SHOWN.map((f) => Math.round(f * T)) };
    const stride = Math.max(1, Math.floor(T / 400)), times = [];
    for (let t = 1; t < T; t += stride) times.push(t);
    times.push(T);
    const decades = (from, to, by) => Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, i) => [from + i * by, tenTo(from + i * by)]);
    scale = chart(charts[0], { ...size, title: "βₜ, the noise of one step", low: -5, high: 0, ticks: decades(-5, 0, 1), line: times.map((t) => [t, Math.log10(beta[t])]) });
    chart(charts[1], { ...size, title: "ᾱₜ, the signal that is left", low: 0, high: 1, ticks: [[0, "0"], [0.5, "0.5"], [1, "1"]], line: [0, ...times].map((t) => [t, alphaBar[t]]) });
    chart(charts[2], { ...size, title: "SNR = ᾱₜ / (1 − ᾱₜ)", low: -9, high: 5, ticks: decades(-8, 4, 4), line: times.map((t) => [t, Math.log10(snr(alphaBar[t]))]) });
    charts[0].classList.toggle("cw-fixed", !linear);
    handles.forEach((handle, k) => {
      const t = [1, T][k];
      place(handle, scale.x(t), scale.y(Math.log10(beta[t])));
      handle.setAttribute("aria-valuenow", beta[t]);
      handle.setAttribute("aria-valuetext", short(beta[t]));
    });

    strip.forEach(({ canvas, under }, k) => {
      const t = Math.round(SHOWN[k] * T), a = Math.sqrt(alphaBar[t]), b = Math.sqrt(1 - alphaBar[t]);
      const noised = Uint8ClampedArray.from(pixels, (v, p) => ((a * (v / 127.5 - 1) + b * eps[p] + 1) * 255) / 2);
      paint(canvas, noised, width, height, channels);
      under.textContent = `t = ${t}`;
      canvas.setAttribute("aria-label", `the picture at t = ${t}`);
    });
    const bits = priorBits(alphaBar[T], model.get("square")), good = bits < 0.001;
    numbers.show([["ᾱ_T", short(alphaBar[T])], ["SNR at T", short(snr(alphaBar[T]))], ["L_T, bits per dimension", short(bits)]]);
    verdict.className = `cw-verdict ${good ? "cw-yes" : "cw-no"}`;
    verdict.replaceChildren(...lowered(good
      ? "L_T is below 0.001: x_T is noise, as far as the sampler's start N(0, I) can tell."
      : "L_T is above 0.001: x_T still holds some of the picture, but the sampler starts from N(0, I), which holds none."));
  };
  return live(model, ["kind", "beta_first", "beta_last", "steps"], root, draw, close);
}

export default { render };
