// One trained model for each beta; the slider chooses, the dot and the pictures follow.
import { box, bytes, h, live, message, paintRow, player, put, s, short, slider } from "./kit.js";

const LARGEST = 340, EDGE = { left: 52, right: 14, top: 12, bottom: 40 };

// Round numbers between low and high, about `count` of them.
export function ticks(low, high, count = 4) {
  const raw = (high - low) / count, unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((m) => m >= raw);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9; t += step) found.push(Number(t.toPrecision(12)));
  return found;
}

function render({ model, el }) {
  const { root, close } = box(el, "rate", "Rate and distortion for each beta");
  const betas = model.get("betas"), rates = model.get("rates"), distortions = model.get("distortions");
  const [n, height, width] = model.get("shape");
  const rows = { real: [model.get("originals")], rebuilt: model.get("reconstructions"), drawn: model.get("samples") };
  if (!rows.rebuilt.length || bytes(rows.real[0]).length !== n * height * width) {
    message(root, "The pictures of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const strips = Object.keys(rows).map((name) => {
    const canvas = h("canvas", { role: "img", style: `aspect-ratio:${n * (width + 1)}/${height}` });
    return { name, canvas, node: h("div", { class: "cw-rd-strip" }, h("span", {}, name), canvas) };
  });
  const svg = s("svg", { role: "img", "aria-label": "the rate-distortion plane" });
  const caption = h("p", { class: "cw-caption", "aria-live": "polite" });
  const control = slider({
    label: "β", min: 0, max: betas.length - 1, value: model.get("index"), text: (i) => String(betas[i]),
    change: (i) => put(model, "index", i),
  });
  const play = player(control, 2);
  root.append(h("div", { class: "cw-rate-row" }, svg, h("div", { class: "cw-rd-strips" }, strips.map((strip) => strip.node))), caption, h("div", { class: "cw-row" }, play.node, control.node));

  const draw = () => {
    const i = model.get("index"), size = Math.max(220, Math.min(LARGEST, root.clientWidth - 30)), tall = Math.round(0.8 * size);
    const span = (values) => {
      const low = Math.min(...values), high = Math.max(...values), room = 0.06 * (high - low || 1);
      return [low - room, high + room];
    };
    const [xl, xh] = span(rates), [yl, yh] = span(distortions);
    const x = (v) => EDGE.left + ((v - xl) / (xh - xl)) * (size - EDGE.left - EDGE.right);
    const y = (v) => tall - EDGE.bottom - ((v - yl) / (yh - yl)) * (tall - EDGE.top - EDGE.bottom);
    svg.setAttribute("width", size);
    svg.setAttribute("height", tall);
    svg.replaceChildren(
      s("rect", { x: EDGE.left, y: EDGE.top, width: size - EDGE.left - EDGE.right, height: tall - EDGE.top - EDGE.bottom, class: "cw-rd-frame" }),
      ...ticks(xl, xh).map((v) => s("text", { x: x(v), y: tall - EDGE.bottom + 16, "text-anchor": "middle" }, String(v))),
      ...ticks(yl, yh).map((v) => s("text", { x: EDGE.left - 6, y: y(v) + 4, "text-anchor": "end" }, String(v))),
      s("text", { x: (EDGE.left + size) / 2, y: tall - 5, "text-anchor": "middle" }, "rate, nats"),
      s("text", { x: 12, y: (tall - EDGE.bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(tall - EDGE.bottom) / 2})` }, "distortion, nats"),
      s("polyline", { points: rates.map((r, k) => `${x(r)},${y(distortions[k])}`).join(" "), class: "cw-rd-curve" }),
      ...rates.map((r, k) => s("circle", { cx: x(r), cy: y(distortions[k]), r: k === i ? 8 : 3.5, class: k === i ? "cw-rd-here" : "cw-rd-there" })),
    );
    strips.forEach(({ name, canvas }) => {
      const data = bytes(rows[name][name === "real" ? 0 : i]);
      paintRow(canvas, data, n, width, height);
      canvas.setAttribute("aria-label", `${name}, beta = ${betas[i]}`);
    });
    caption.textContent = `β = ${betas[i]}: rate ${short(rates[i])} + distortion ${short(distortions[i])} = ${short(rates[i] + distortions[i])} nats per picture`;
    control.set(i);
  };
  return live(model, ["index"], root, draw, play.stop, close);
}

export default { render };
