// Bits arrive one after another; the slider stops them, the pictures show what is known by then.
import { box, bytes, grouped, h, live, message, paintRow, player, put, readings, s, slider } from "./kit.js";

const GAIN = 8, LEFT = 46, RIGHT = 14, TOP = 26, BOTTOM = 40, HEIGHT = 210;

// What is still missing, blown up: 0 is mid grey, a grey level too dark or too bright GAIN of them.
export function missing(real, guess, gain = GAIN) {
  return Uint8Array.from(real, (value, i) => Math.max(0, Math.min(255, 128 + gain * (value - guess[i]))));
}

function render({ model, el }) {
  const { root, close } = box(el, "budget", "What the decoder shows after k bits");
  const bits = model.get("bits"), errors = model.get("errors"), [n, height, width] = model.get("shape");
  const real = bytes(model.get("originals")), guesses = model.get("guesses").map(bytes), last = bits.length - 1;
  if (!guesses.length || real.length !== n * height * width) {
    message(root, "The pictures of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const strips = ["sent", "decoded so far", `still missing, × ${GAIN}`].map((name) => {
    const canvas = h("canvas", { role: "img", style: `aspect-ratio:${n * (width + 1)}/${height}` });
    return { name, canvas, node: h("div", { class: "cw-budget-strip" }, h("span", {}, name), canvas) };
  });
  const svg = s("svg", { role: "img", "aria-label": "error over bits" });
  const numbers = readings();
  const control = slider({
    label: "bits", min: 0, max: last, value: model.get("index"), text: (i) => grouped(bits[i]),
    change: (i) => put(model, "index", i),
  });
  const play = player(control, 3);
  root.append(
    h("div", { class: "cw-budget-strips" }, strips.map((strip) => strip.node)),
    h("div", { class: "cw-row" }, play.node, control.node), numbers.node, h("div", { class: "cw-charts" }, svg),
  );

  const chart = (i) => {
    const wide = Math.max(220, root.clientWidth - 30), pixels = height * width, most = bits[last] / pixels;
    const x = (b) => LEFT + (b / pixels / most) * (wide - LEFT - RIGHT);
    const top = Math.max(...errors), y = (e) => TOP + (1 - e / top) * (HEIGHT - TOP - BOTTOM);
    const levels = [0, 20, 40, 60, 80, 100, 120].filter((v) => v <= top);
    svg.setAttribute("width", wide);
    svg.setAttribute("height", HEIGHT);
    svg.replaceChildren(
      s("text", { x: LEFT, y: 15, class: "cw-title" }, "error, in grey levels of 255"),
      ...levels.flatMap((v) => [
        s("line", { x1: LEFT, x2: wide - RIGHT, y1: y(v), y2: y(v), class: "cw-grid" }),
        s("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, String(v)),
      ]),
      ...Array.from({ length: Math.floor(most) + 1 }, (_, b) => s("text", { x: x(b * pixels), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, String(b))),
      s("text", { x: (LEFT + wide - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, "bits per pixel that have arrived"),
      s("polyline", { points: bits.map((b, k) => `${x(b)},${y(errors[k])}`).join(" "), class: "cw-line" }),
      s("circle", { cx: x(bits[i]), cy: y(errors[i]), r: 6, class: "cw-budget-dot" }),
    );
  };
  const draw = () => {
    const i = model.get("index"), said = `after ${grouped(bits[i])} bits`;
    [real, guesses[i], missing(real, guesses[i])].forEach((data, k) => {
      paintRow(strips[k].canvas, data, n, width, height);
      strips[k].canvas.setAttribute("aria-label", `${strips[k].name}${k ? `, ${said}` : ""}`);
    });
    numbers.show([
      ["bits per pixel", (bits[i] / (height * width)).toFixed(bits[i] < height * width ? 3 : 2)],
      ["share of the file", `${((100 * bits[i]) / bits[last]).toFixed(bits[i] < 0.1 * bits[last] ? 1 : 0)} %`],
      ["error, grey levels", errors[i].toFixed(errors[i] < 10 ? 1 : 0)],
    ]);
    control.set(i);
    chart(i);
  };
  return live(model, ["index"], root, draw, play.stop, close);
}

export default { render };
