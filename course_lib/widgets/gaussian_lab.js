// Bells on a line: multiply two, or let a KL divergence move one to where it fits best.
import { arrow, box, drag, h, live, minus, onKey, place, put, readings, s, short, slider } from "./kit.js";

// ---- the mathematics (tests/test_widgets.py compares it with PyTorch and the closed forms) ----

export function logNormal(x, [mean, std]) {
  return -0.5 * ((x - mean) / std) ** 2 - Math.log(std) - 0.5 * Math.log(2 * Math.PI);
}

// The normalised product of two bells, and its integral before that.
export function product(a, b) {
  const [pa, pb] = [1 / a[1] ** 2, 1 / b[1] ** 2];
  const mean = (pa * a[0] + pb * b[0]) / (pa + pb);
  return { bell: [mean, 1 / Math.sqrt(pa + pb)], integral: Math.exp(logNormal(a[0], [b[0], Math.hypot(a[1], b[1])])) };
}

// log of a mixture with rows [weight, mean, std].
export function logMixture(x, target) {
  const logs = target.map(([weight, mean, std]) => Math.log(weight) + logNormal(x, [mean, std]));
  const top = Math.max(...logs);
  return top + Math.log(logs.reduce((sum, l) => sum + Math.exp(l - top), 0));
}

// Both divergences of a bell q and a mixture p, in nats: sums over a grid wide enough for all of it.
export function divergences(q, target) {
  const far = 24, step = 0.02;
  let ofQ = 0, ofP = 0;
  for (let x = -far; x <= far; x += step) {
    const logQ = logNormal(x, q), logP = logMixture(x, target);
    ofQ += Math.exp(logQ) * (logQ - logP) * step;
    ofP += Math.exp(logP) * (logP - logQ) * step;
  }
  return { qp: ofQ, pq: ofP };
}

// One step downhill on KL(q || p) ("qp") or KL(p || q) ("pq"), in mean and log std. The slopes are
// divided by the Fisher information of a bell, so that wide and narrow ones move alike.
export function downhill(q, target, way) {
  const d = 1e-4, at = (m, l) => divergences([m, Math.exp(l)], target)[way];
  const [m, l] = [q[0], Math.log(q[1])];
  const byMean = ((at(m + d, l) - at(m - d, l)) / (2 * d)) * q[1] ** 2;
  const byLog = (at(m, l + d) - at(m, l - d)) / (2 * d) / 2;
  const step = (v, most) => Math.max(-most, Math.min(most, 0.3 * v));
  return [m - step(byMean, 0.3), Math.exp(l - step(byLog, 0.15))];
}

// ---- the picture of it ------------------------------------------------------------------------

const REACH = 5, LOW = 0.15, HIGH = 3, HEIGHT = 240, TOP = 18, BOTTOM = 26, POINTS = 360;
const inside = (v, low, high) => Math.max(low, Math.min(high, v));
const fixed = (v) => minus(v.toFixed(2));

function render({ model, el }) {
  const kind = model.get("kind"), fit = kind === "fit";
  const { root, close } = box(el, "gaussians", fit ? "Fit a bell by KL" : "Multiply two bells");
  const names = fit ? { first: "q" } : { first: "before", second: "measured" };
  const move = (key, bell) => put(model, key, [inside(bell[0], -REACH, REACH), inside(bell[1], LOW, HIGH)]);

  const svg = s("svg", { role: "group", "aria-label": "densities", height: HEIGHT });
  let width = 300, tallest = 1, timer;
  const px = (x) => ((x + REACH) / (2 * REACH)) * width, py = (p) => HEIGHT - BOTTOM - (p / tallest) * (HEIGHT - TOP - BOTTOM);
  const stop = () => clearInterval(timer);

  const area = () => s("path", { class: "cw-area" });
  const areas = fit ? { target: area(), first: area() } : { first: area(), second: area(), result: area() };
  Object.entries(areas).forEach(([name, node]) => node.classList.add(`cw-${fit ? "fit" : "product"}-${name}`));
  const ticks = s("g", { class: "cw-ticks" });
  svg.append(ticks, ...Object.values(areas));

  const sliders = [], handles = {};
  for (const [key, name] of Object.entries(names)) {
    const handle = s("circle", { r: 8, class: `cw-top cw-${fit ? "fit" : "product"}-${key}`, tabindex: 0, role: "slider",
      "aria-label": `${name}: left and right move the mean, up and down the width`, "aria-valuemin": -REACH, "aria-valuemax": REACH });
    drag(handle, svg, (x) => {
      stop();
      move(key, [(x / width) * 2 * REACH - REACH, model.get(key)[1]]);
    });
    onKey(handle, (event) => {
      const way = arrow(event);
      if (!way) return;
      event.preventDefault();
      stop();
      const [mean, std] = model.get(key);
      move(key, [mean + 0.1 * way[0], std + 0.05 * way[1]]);
    });
    svg.append(handle);
    handles[key] = handle;
    const row = [["mean", 0, -REACH, REACH], ["std", 1, LOW, HIGH]].map(([what, place, min, max]) => {
      const control = slider({ label: `${name}: ${what}`, min, max, step: 0.05, value: model.get(key)[place], text: fixed,
        change: (v) => {
          stop();
          move(key, model.get(key).map((old, i) => (i === place ? v : old)));
        } });
      sliders.push(() => control.set(model.get(key)[place]));
      return control.node;
    });
    root.append(h("div", { class: `cw-row cw-bell cw-bell-${key}` }, row));
  }
  root.prepend(key(fit), h("div", { class: "cw-line-stage" }, svg));

  const numbers = readings(), words = h("p", { class: "cw-caption cw-words" });
  if (fit) {
    const roll = (way) => {
      stop();
      let left = 90;
      timer = setInterval(() => {
        const before = model.get("first"), next = downhill(before, model.get("target"), way);
        move("first", next);
        if (--left === 0 || !root.isConnected || Math.abs(next[0] - before[0]) + Math.abs(next[1] - before[1]) < 2e-4) stop();
      }, 40);
    };
    root.append(h("div", { class: "cw-row" },
      h("button", { type: "button", click: () => roll("pq") }, "Roll down KL(p ‖ q)"),
      h("button", { type: "button", click: () => roll("qp") }, "Roll down KL(q ‖ p)"),
      h("button", { type: "button", click: () => { stop(); move("first", [-4, 0.6]); } }, "Start at the left"),
      h("button", { type: "button", click: () => { stop(); move("first", [4, 0.6]); } }, "Start at the right")));
  }
  root.append(numbers.node, words);

  const curve = (density, closed) => {
    let path = closed ? `M0,${py(0)}` : "";
    for (let i = 0; i <= POINTS; i++) {
      const x = -REACH + (2 * REACH * i) / POINTS;
      path += `${path ? "L" : "M"}${px(x).toFixed(1)},${py(density(x)).toFixed(1)}`;
    }
    return `${path}L${width},${py(0)}Z`;
  };

  const draw = () => {
    width = Math.max(220, root.clientWidth - 30);
    svg.setAttribute("width", width);
    sliders.forEach((follow) => follow());
    const first = model.get("first"), second = model.get("second"), target = model.get("target");
    const bell = (b) => (x) => Math.exp(logNormal(x, b)), peak = (b) => bell(b)(b[0]);
    const mixture = (x) => Math.exp(logMixture(x, target)), { bell: result } = product(first, second);
    const shown = fit ? { target: mixture, first: bell(first) } : { first: bell(first), second: bell(second), result: bell(result) };
    tallest = fit ? Math.min(1.5, Math.max(peak(first), ...target.map((row) => mixture(row[1])))) : Math.max(peak(first), peak(second), peak(result));
    Object.entries(shown).forEach(([name, density]) => areas[name].setAttribute("d", curve((x) => Math.min(density(x), 1.05 * tallest), true)));
    ticks.replaceChildren(s("line", { x1: 0, x2: width, y1: py(0), y2: py(0) }),
      ...[-4, -2, 0, 2, 4].map((x) => s("text", { x: px(x), y: HEIGHT - 8, "text-anchor": "middle" }, minus(x))));
    for (const [name, handle] of Object.entries(handles)) {
      const b = model.get(name);
      place(handle, px(b[0]), py(Math.min(peak(b), 1.02 * tallest)));
      handle.setAttribute("aria-valuenow", b[0]);
      handle.setAttribute("aria-valuetext", `mean ${fixed(b[0])}, standard deviation ${fixed(b[1])}`);
    }
    if (fit) {
      const { qp, pq } = divergences(first, target);
      numbers.show([["KL(p ‖ q)", `${short(pq)} nats`], ["KL(q ‖ p)", `${short(qp)} nats`]]);
      words.textContent = "KL(p ‖ q) punishes q for missing what p does. KL(q ‖ p) punishes q for doing what p does not.";
    } else {
      const known = 1 / first[1] ** 2, told = 1 / second[1] ** 2, gain = told / (known + told);
      numbers.show([["precision before", short(known)], ["+ measured", short(told)], ["= after", short(known + told)], ["mean after", fixed(result[0])], ["std after", fixed(result[1])]]);
      words.textContent = `The new mean goes ${(100 * gain).toFixed(0)} % of the way from ${fixed(first[0])} to ${fixed(second[0])}: the measurement's share of the precision.`;
    }
  };
  return live(model, ["first", "second", "target"], root, draw, stop, close);
}

function key(fit) {
  const rows = fit
    ? [["data", "p, the law to fit"], ["model", "q, one bell: drag its top"]]
    : [["data", "before: what you know of x"], ["noise", "measured: x plus noise"], ["good", "after: their product, the posterior"]];
  return h("p", { class: "cw-key" }, rows.map(([name, text]) => h("span", {}, h("i", { style: `background:var(--cw-${name})` }), text)));
}

export default { render };
