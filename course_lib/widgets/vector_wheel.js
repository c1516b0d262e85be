// A prior's draws on a circle, the best of n kept, and the points that they are decoded to.
import { box, chooser, h, live, message, put, readings, s, short, slider } from "./kit.js";

// The direction of a point: its vector of length 1.
export function direction([x, y]) {
  const length = Math.hypot(x, y);
  return [x / length, y / length];
}

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1];

// Of each n draws in a row, the one whose direction has the largest dot product with the text.
export function best(drawn, text, n) {
  const kept = [];
  for (let k = 0; k + n <= drawn.length; k += n)
    kept.push(drawn.slice(k, k + n).reduce((a, b) => (dot(direction(b), text) > dot(direction(a), text) ? b : a)));
  return kept;
}

// How far the law of the best of n is from that of one draw, in nats.
export const bent = (n) => Math.log(n) - (n - 1) / n;

const SHOWN = 300, REACH = 3.2;

function render({ model, el }) {
  const real = model.get("real"), drawn = model.get("drawn"), text = model.get("text"), counts = model.get("counts");
  const { root, close } = box(el, "wheel", "Which vector is the decoder given?");
  if (!real.length || !drawn.length) {
    message(root, "The points of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const FROM = ["the prior", "the text"];
  const from = chooser({ label: "the vector comes from", options: FROM, value: FROM[Number(model.get("by_text"))], change: (one) => put(model, "by_text", one === FROM[1]) });
  const dial = slider({
    label: "draws a picture", min: 0, max: counts.length - 1, value: model.get("index"), text: (k) => String(counts[k]), change: (k) => put(model, "index", k),
  });
  const stage = h("div", { class: "cw-wheel-stage" }), numbers = readings();
  const key = h("p", { class: "cw-key" },
    h("span", {}, h("i", { class: "cw-wheel-real" }), "pictures of the caption"),
    h("span", {}, h("i", { class: "cw-wheel-made" }), "drawn"),
    h("span", {}, h("i", { class: "cw-wheel-text" }), "the text's vector"));

  const draw = () => {
    const n = counts[model.get("index")], byText = model.get("by_text");
    const made = byText ? model.get("text_drawn") : best(drawn, text, n);
    const wide = Math.max(220, Math.min(440, root.clientWidth - 30)), x = (v) => ((v + REACH) / (2 * REACH)) * wide, y = (v) => wide - x(v);
    const scores = made.map((point) => dot(direction(point), text));
    const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
    const svg = s("svg", { width: wide, height: wide, viewBox: `0 0 ${wide} ${wide}`, role: "img", "aria-label": `pictures drawn from vectors of ${FROM[Number(byText)]}; mean dot product with the text ${short(mean)}` });
    const dots = (points, kind, r) => points.slice(0, SHOWN).forEach((p) => svg.append(s("circle", { class: kind, cx: x(p[0]), cy: y(p[1]), r })));
    svg.append(s("circle", { class: "cw-wheel-circle", cx: x(0), cy: y(0), r: x(1) - x(0) }));
    dots(real, "cw-wheel-real", 2);
    dots(made, "cw-wheel-made", 2);
    dots(made.map(direction), "cw-wheel-vector", 2.5);
    svg.append(s("line", { class: "cw-wheel-text", x1: x(0), y1: y(0), x2: x(text[0]), y2: y(text[1]) }), s("circle", { class: "cw-wheel-text", cx: x(text[0]), cy: y(text[1]), r: 5 }));
    stage.replaceChildren(svg);
    numbers.show([
      ["z · text, mean", short(mean), ""],
      ["from one draw, nats", byText ? "∞" : short(bent(n)), ""],
    ]);
    from.set(FROM[Number(byText)]);
    dial.set(model.get("index"));
    dial.node.style.display = byText ? "none" : "";
  };
  root.append(h("div", { class: "cw-row" }, from.node, dial.node), key, stage, numbers.node);
  return live(model, ["index", "by_text"], root, draw, close);
}

export default { render };
