// A dial between beta-tilde (v = 0) and beta (v = 1), and what it costs at each step of a chain.
import { box, chooser, h, live, message, minus, put, readings, s, slider } from "./kit.js";

const TALL = 150, LEFT = 40, RIGHT = 12, TOP = 24, BOTTOM = 26, LOW = -0.15, HIGH = 1.15;

// Bits of a step whose beta is (1 + c) beta-tilde and whose error is the share u, at variance v.
export function cost(c, u, v) {
  return (0.5 * ((1 + c * u) / (1 + c) ** v - 1 + v * Math.log1p(c))) / Math.LN2;
}

// The v with the least cost.
export function best(c, u) {
  return Math.log1p(c * u) / Math.log1p(c);
}

// Bits of the last step: minus the logarithm of a Gaussian of this variance at its mean squared error.
export function lastCost([error, low, high], v) {
  const variance = low ** (1 - v) * high ** v;
  return (0.5 * (error / variance + Math.log(2 * Math.PI * variance))) / Math.LN2;
}

// The v at which the variance of the last step is its error.
export function lastBest([error, low, high]) {
  return Math.log(error / low) / Math.log(high / low);
}

// Bits of the whole chain; v is a number, or undefined for the best one at each step.
export function total({ ratio, share, last, prior }, v) {
  const middle = ratio.reduce((sum, c, i) => sum + cost(c, share[i], v ?? best(c, share[i])), 0);
  return prior + middle + lastCost(last, v ?? lastBest(last));
}

function render({ model, el }) {
  const { root, close } = box(el, "dial", "A dial for the variance of the reverse steps");
  const names = model.get("names"), steps = model.get("steps");
  if (!names.length) {
    message(root, "The numbers of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const chain = () => {
    const [i, k] = [model.get("name"), model.get("length")];
    return Object.fromEntries(["ratio", "share", "last", "prior"].map((part) => [part, model.get(part)[i][k]]));
  };
  const charts = h("div", { class: "cw-charts" }), numbers = readings();

  const frame = (width, title, label) => {
    const svg = s("svg", { width, height: TALL, viewBox: `0 0 ${width} ${TALL}`, role: "img", "aria-label": label });
    svg.append(
      s("text", { class: "cw-title", x: LEFT, y: 14 }, title),
      s("text", { x: LEFT, y: TALL - 6 }, "noise"),
      s("text", { x: width - RIGHT, y: TALL - 6, "text-anchor": "end" }, "data"),
    );
    return svg;
  };
  const draw = () => {
    const width = Math.max(260, Math.min(640, root.clientWidth - 30)), one = chain(), v = model.get("dial") / 20;
    const ideal = [...one.ratio.map((c, i) => best(c, one.share[i])), lastBest(one.last)], n = ideal.length;
    const x = (i) => LEFT + ((i + 0.5) / n) * (width - LEFT - RIGHT);
    const y = (value) => TOP + ((HIGH - Math.max(LOW, Math.min(HIGH, value))) / (HIGH - LOW)) * (TALL - TOP - BOTTOM);
    const above = frame(width, "v: the dial, and the best (dots)", minus(`dial at ${v.toFixed(2)}; best from ${Math.min(...ideal).toFixed(2)} to ${Math.max(...ideal).toFixed(2)}`));
    for (const [value, name] of [[0, "β̃"], [1, "β"]]) {
      above.append(
        s("line", { class: "cw-grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
        s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, name),
      );
    }
    above.append(s("line", { class: "cw-dial-set", x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) }));
    const r = Math.max(1.6, Math.min(4.5, (width - LEFT - RIGHT) / n / 2.4));
    ideal.forEach((value, i) => above.append(s("circle", { class: "cw-dial-best", cx: x(i), cy: y(value), r })));

    const wasteAt = (dial) => [...one.ratio.map((c, i) => cost(c, one.share[i], dial) - cost(c, one.share[i], ideal[i])), lastCost(one.last, dial) - lastCost(one.last, ideal[n - 1])];
    const waste = wasteAt(v), highest = Math.max(...wasteAt(0), ...wasteAt(1));
    const below = frame(width, "bits wasted at each step", `bits wasted, ${waste.reduce((a, b) => a + b, 0).toFixed(3)} in all`);
    const scale = (TALL - TOP - BOTTOM) / highest, ground = TALL - BOTTOM, wide = Math.max(1, ((width - LEFT - RIGHT) / n) * 0.75);
    below.append(
      s("line", { class: "cw-grid", x1: LEFT, x2: width - RIGHT, y1: ground, y2: ground }),
      s("text", { x: LEFT - 6, y: TOP + 8, "text-anchor": "end" }, highest.toPrecision(2)),
      s("text", { x: LEFT - 6, y: ground + 4, "text-anchor": "end" }, "0"),
    );
    waste.forEach((bits, i) => {
      const tall = Math.min(bits * scale, ground - TOP);
      below.append(s("rect", { class: "cw-dial-waste", x: x(i) - wide / 2, y: ground - tall, width: wide, height: Math.max(0.5, tall) }));
    });
    charts.replaceChildren(above, below);
    const truth = model.get("truth"), above0 = (dial) => minus((total(one, dial) - truth).toFixed(3));
    numbers.show([["bits above the truth: all β̃", above0(0)], ["all β", above0(1)], ["your v", above0(v)], ["the best at each step", above0(undefined)]]);
    dial.set(model.get("dial"));
    length.set(model.get("length"));
    schedule.set(names[model.get("name")]);
  };
  const dial = slider({
    label: "v", min: -2, max: 22, value: model.get("dial"), text: (i) => minus((i / 20).toFixed(2)),
    change: (i) => put(model, "dial", i),
  });
  const length = slider({
    label: "steps", min: 0, max: steps.length - 1, value: model.get("length"), text: (i) => String(steps[i]),
    change: (i) => put(model, "length", i),
  });
  const schedule = chooser({
    label: "schedule", options: names, value: names[model.get("name")],
    change: (option) => put(model, "name", names.indexOf(option)),
  });
  root.append(charts, numbers.node, h("div", { class: "cw-row" }, dial.node, length.node, schedule.node));
  return live(model, ["dial", "length", "name"], root, draw, close);
}

export default { render };
