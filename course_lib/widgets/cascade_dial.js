// One small picture, noised to s, and what a stage draws for it; below, many draws judged, over s.
import { box, bytes, chooser, h, live, message, paint, put, readings, s, short, slider } from "./kit.js";

const TALL = 190, LEFT = 38, RIGHT = 14, TOP = 26, BOTTOM = 34;

// The bytes of the small picture, and of the draws, at these indices.
export function small(data, [, , levels, , , , height, width], source, level) {
  const size = height * width, at = (source * levels + level) * size;
  return data.subarray(at, at + size);
}

export function draws(data, [, stages, levels, n, height, width], source, stage, level) {
  const size = height * width, at = ((source * stages + stage) * levels + level) * n;
  return Array.from({ length: n }, (_, k) => data.subarray((at + k) * size, (at + k + 1) * size));
}

// Ticks 1, 2, 5, 10 ... that lie between two numbers above 0.
export function ticks(low, high) {
  const all = [];
  for (let power = -3; power <= 3; power++) for (const one of [1, 2, 5]) all.push(one * 10 ** power);
  return all.filter((value) => value >= low * 0.999 && value <= high * 1.001).map((value) => Number(value.toPrecision(1)));
}

function render({ model, el }) {
  const shape = model.get("shape"), [n_sources, n_stages, , n, height, width, low_height, low_width] = shape;
  const seen = bytes(model.get("seen")), drawn = bytes(model.get("drawn"));
  const levels = model.get("levels"), sources = model.get("sources"), stages = model.get("stages");
  const distances = model.get("distances"), floor = model.get("floor");
  const { root, close } = box(el, "cascade", "One small picture, many large ones");
  if (!levels.length || drawn.length !== n_sources * n_stages * levels.length * n * height * width) {
    message(root, "The pictures of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const picture = (title, ratio) => {
    const canvas = h("canvas", { role: "img", "aria-label": title, style: `aspect-ratio:${ratio}` });
    return canvas;
  };
  const given = picture("the small picture as the stage sees it", `${low_width}/${low_height}`);
  const made = Array.from({ length: n }, (_, k) => picture(`draw ${k + 1}`, `${width}/${height}`));
  const numbers = readings(), chart = h("div", { class: "cw-charts" });
  const choose = (label, options, key) => chooser({
    label, options, value: options[model.get(key)], change: (option) => put(model, key, options.indexOf(option)),
  });
  const from = choose("small picture", sources, "source"), by = choose("stage", stages, "stage");
  const dial = slider({
    label: "level s", min: 0, max: levels.length - 1, value: model.get("level"), text: (i) => String(levels[i]), change: (i) => put(model, "level", i),
  });

  // The distance over s for both kinds of small pictures, on a logarithmic scale that never moves.
  const plot = () => {
    const wide = Math.max(260, Math.min(620, root.clientWidth - 30));
    const all = [...distances.flat(2), floor], low = Math.min(...all) / 1.15, high = Math.max(...all) * 1.15;
    const last = levels[levels.length - 1], stage = model.get("stage"), here = model.get("source"), at = model.get("level");
    const x = (level) => LEFT + (level / last) * (wide - LEFT - RIGHT);
    const y = (value) => TOP + (Math.log(high / value) / Math.log(high / low)) * (TALL - TOP - BOTTOM);
    const svg = s("svg", { width: wide, height: TALL, viewBox: `0 0 ${wide} ${TALL}`, role: "img", "aria-label": `distance over s: ${sources[here]}, ${stages[stage]}` });
    svg.append(s("text", { class: "cw-title", x: 2, y: 14 }, "distance of many draws from real pictures"));
    for (const value of ticks(low, high)) svg.append(
      s("line", { class: "cw-cascade-grid", x1: LEFT, x2: wide - RIGHT, y1: y(value), y2: y(value) }),
      s("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, String(value)),
    );
    svg.append(s("line", { class: "cw-cascade-floor", x1: LEFT, x2: wide - RIGHT, y1: y(floor), y2: y(floor) }));
    levels.forEach((level, i) => {
      if (i === 0 || x(level) - x(levels[i - 1]) > 30) svg.append(s("text", { x: x(level), y: TALL - BOTTOM + 16, "text-anchor": "middle" }, String(level)));
    });
    svg.append(s("text", { x: wide - RIGHT, y: TALL - 4, "text-anchor": "end" }, "noise on the small picture, s"));
    const order = [...sources.keys()].sort((a, b) => (a === here) - (b === here)); // the chosen one on top
    for (const k of order) {
      const values = distances[k][stage], kind = k === here ? "cw-cascade-here" : "cw-cascade-other";
      svg.append(s("polyline", { class: kind, points: values.map((value, i) => `${x(levels[i])},${y(value)}`).join(" ") }));
      values.forEach((value, i) => svg.append(s("circle", { class: kind, cx: x(levels[i]), cy: y(value), r: k === here && i === at ? 6 : 3 })));
    }
    chart.replaceChildren(svg);
  };

  const draw = () => {
    const source = model.get("source"), stage = model.get("stage"), level = model.get("level");
    paint(given, small(seen, shape, source, level), low_width, low_height, 1);
    draws(drawn, shape, source, stage, level).forEach((one, k) => paint(made[k], one, width, height, 1));
    const row = distances[source][stage], best = row.indexOf(Math.min(...row));
    numbers.show([
      ["distance here", short(row[level]), "cw-model"],
      [`best, at s = ${levels[best]}`, short(row[best]), ""],
      ["other small pictures, same s", short(distances[(source + 1) % n_sources][stage][level]), ""],
      ["real pictures", short(floor), "cw-data"],
    ]);
    from.set(sources[source]);
    by.set(stages[stage]);
    dial.set(level);
    plot();
  };
  root.append(
    h("div", { class: "cw-row" }, from.node, by.node),
    h("div", { class: "cw-row" }, dial.node),
    h("div", { class: "cw-cascade-pair" },
      h("figure", { class: "cw-cascade-given" }, given, h("figcaption", {}, "what the stage sees")),
      h("figure", { class: "cw-cascade-made" }, h("div", {}, made), h("figcaption", {}, "what it draws, from other noises each time"))),
    numbers.node, chart,
  );
  return live(model, ["source", "stage", "level"], root, draw, close);
}

export default { render };
