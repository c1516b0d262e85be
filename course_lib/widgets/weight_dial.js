// The weight of the KL: pictures drawn again, draws from the prior, and how far both are from real.
import { box, h, live, message, put, readings, s, short, slider, tenTo } from "./kit.js";

const TALL = 190, LEFT = 44, RIGHT = 14, TOP = 26, BOTTOM = 38;

// A weight as people write it: 0.1, 1, 10⁻⁴.
export function written(weight) {
  if (weight >= 0.01) return String(Number(weight.toPrecision(1)));
  return tenTo(Math.round(Math.log10(weight)));
}

// Ticks from 0 up to a number: about four, at 1, 2 or 5 times a power of ten.
export function ticks(high) {
  const rough = high / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, k) => Number((k * step).toPrecision(3)));
}

// Where a weight lies between two others on a logarithmic scale: 0 to 1.
export const share = (value, low, high) => Math.log(value / low) / Math.log(high / low);

function render({ model, el }) {
  const weights = model.get("weights"), sheets = model.get("sheets"), floor = model.get("floor"), n = model.get("count");
  const again = model.get("again"), drawn = model.get("drawn"), bits = model.get("bits"), psnr = model.get("psnr");
  const { root, close } = box(el, "weight", "The weight of the KL");
  if (!sheets.length || !model.get("originals")) {
    message(root, "The pictures of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  // Row `at` of a sheet of `rows` rows, as the background of a box of its shape.
  const strip = (title) => h("div", { class: "cw-weight-strip", role: "img", "aria-label": title, style: `aspect-ratio:${n}` });
  const fill = (node, sheet, rows, at) => {
    node.style.backgroundImage = `url(data:image/webp;base64,${sheet})`;
    node.style.backgroundSize = `100% ${100 * rows}%`;
    node.style.backgroundPosition = `0 ${rows > 1 ? (100 * at) / (rows - 1) : 0}%`;
  };
  const given = strip(`${n} faces that no training saw`), back = strip("the same faces, drawn again"), prior = strip("what the decoder makes of noise");
  fill(given, model.get("originals"), 1, 0);
  const row = (name, kind, node) => h("figure", {}, h("figcaption", { class: kind }, name), node);
  const dial = slider({
    label: "weight of the KL", min: 0, max: weights.length - 1, value: model.get("index"), text: (k) => written(weights[k]), change: (k) => put(model, "index", k),
  });
  const numbers = readings(), chart = h("div", { class: "cw-charts" });

  const plot = (at) => {
    const wide = Math.max(260, Math.min(620, root.clientWidth - 30));
    const high = 1.08 * Math.max(...again, ...drawn, floor);
    const x = (k) => LEFT + share(weights[k], weights[0], weights[weights.length - 1]) * (wide - LEFT - RIGHT);
    const y = (value) => TALL - BOTTOM - (value / high) * (TALL - TOP - BOTTOM);
    const svg = s("svg", { width: wide, height: TALL, viewBox: `0 0 ${wide} ${TALL}`, role: "img", "aria-label": `distance from real faces over the weight; here ${short(again[at])} for faces drawn again, ${short(drawn[at])} for draws from the prior` });
    svg.append(s("text", { class: "cw-title", x: 2, y: 14 }, "distance from real faces"));
    for (const value of ticks(high)) svg.append(
      s("line", { class: "cw-grid", x1: LEFT, x2: wide - RIGHT, y1: y(value), y2: y(value) }),
      s("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, String(value)),
    );
    svg.append(s("line", { class: "cw-weight-floor", x1: LEFT, x2: wide - RIGHT, y1: y(floor), y2: y(floor) }));
    let last = -99;
    weights.forEach((weight, k) => {
      if (x(k) - last < 34) return;
      last = x(k);
      svg.append(s("text", { x: x(k), y: TALL - BOTTOM + 16, "text-anchor": "middle" }, written(weight)));
    });
    svg.append(s("text", { x: wide - RIGHT, y: TALL - 5, "text-anchor": "end" }, "weight of the KL"));
    for (const [values, kind] of [[drawn, "cw-weight-drawn"], [again, "cw-weight-again"]]) {
      svg.append(s("polyline", { class: kind, points: values.map((value, k) => `${x(k)},${y(value)}`).join(" ") }));
      values.forEach((value, k) => svg.append(s("circle", { class: kind, cx: x(k), cy: y(value), r: k === at ? 6 : 3 })));
    }
    chart.replaceChildren(svg);
  };

  const draw = () => {
    const at = model.get("index");
    fill(back, sheets[at], 2, 0);
    fill(prior, sheets[at], 2, 1);
    numbers.show([
      ["bits a picture", short(bits[at]), ""],
      ["PSNR of the faces, dB", short(psnr[at]), ""],
      ["faces drawn again: distance", short(again[at]), "cw-weight-one"],
      ["draws from N(0, I): distance", short(drawn[at]), "cw-weight-two"],
      ["real faces", short(floor), "cw-data"],
    ]);
    dial.set(at);
    plot(at);
  };
  root.append(
    h("div", { class: "cw-row" }, dial.node),
    row("faces that no training saw", "", given), row("drawn again", "cw-weight-one", back), row("decoded from N(0, I)", "cw-weight-two", prior),
    numbers.node, chart,
  );
  return live(model, ["index"], root, draw, close);
}

export default { render };
