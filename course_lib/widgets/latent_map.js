// A decoder that runs in the page: drag z through the plane, the picture follows.
import { box, bytes, colour, float32, h, live, lowered, message, pair, paint, plane, put, s, sharp } from "./kit.js";

// ---- the decoder ----------------------------------------------------------------------------

// Linear layers with SiLU between them; weights are whole numbers with one scale for each row.
export function network(widths, weights, numbers) {
  return (z) => {
    let x = z, w = 0, n = 0;
    for (let layer = 1; layer < widths.length; layer++) {
      const columns = widths[layer - 1], rows = widths[layer], y = new Float32Array(rows);
      for (let i = 0; i < rows; i++) {
        let sum = 0;
        for (let j = 0; j < columns; j++) sum += weights[w++] * x[j];
        sum = sum * numbers[n + i] + numbers[n + rows + i];
        y[i] = layer < widths.length - 1 ? sum / (1 + Math.exp(-sum)) : sum;
      }
      n += 2 * rows;
      x = y;
    }
    return x;
  };
}

// Numbers in [-1, 1] to grey levels.
export function greys(values) {
  return Uint8Array.from(values, (v) => Math.round((Math.max(-1, Math.min(1, v)) + 1) * 127.5));
}

// The middle of each pixel's bell, and one draw from it: mean + scale * logit(u).
export function pictures(out, logits) {
  const pixels = out.length / 2, middle = out.subarray(0, pixels);
  const draw = middle.map((m, i) => m + Math.exp(Math.max(-7, Math.min(0.7, out[pixels + i]))) * logits[i]);
  return { middle: greys(middle), draw: greys(draw) };
}

// ---- the picture of it ----------------------------------------------------------------------

const LARGEST = 400;
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b08900", "#56b4e9", "#7a4fbf", "#8c6d4f", "#3d8f99", "#b3372b"];

function render({ model, el }) {
  const { root, close } = box(el, "latent", "A map of the latent plane");
  const widths = model.get("widths"), extent = model.get("extent"), classes = model.get("classes");
  const weights = new Int8Array(bytes(model.get("weights")).slice().buffer), numbers = float32(model.get("numbers"));
  if (!weights.length) {
    message(root, "The decoder of this widget is missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const points = float32(model.get("points")), kinds = bytes(model.get("kinds"));
  const decode = network(widths, weights, numbers), pixels = widths.at(-1) / 2, side = Math.sqrt(pixels);
  const shake = () => Float32Array.from({ length: pixels }, () => {
    const u = 1e-6 + (1 - 2e-6) * Math.random();
    return Math.log(u / (1 - u));
  });
  let logits = shake(), only = -1, size = LARGEST;

  const dots = h("canvas", { "aria-hidden": "true" }), svg = s("svg", { role: "group", "aria-label": "the plane of z" });
  const stage = h("div", { class: "cw-stage" }, dots, svg);
  const { px, point, knob } = plane(svg, extent);

  const back = s("rect", { x: 0, y: 0, width: "100%", height: "100%", fill: "transparent" });
  back.addEventListener("click", (event) => { // a tap moves the point; a swipe still scrolls the page
    const rect = svg.getBoundingClientRect();
    put(model, "z", point(event.clientX - rect.left, event.clientY - rect.top));
  });
  const here = knob("z", { r: 9, class: "cw-z" }, 0.05, () => model.get("z"), (z) => put(model, "z", z));
  svg.append(back, here.node);

  const canvases = ["the middle of p(x | z)", "one draw from p(x | z)"].map((name) => h("canvas", { role: "img", "aria-label": name }));
  const figures = canvases.map((canvas, i) => h("figure", {}, canvas, h("figcaption", {}, ["middle", "a draw"][i])));
  const again = h("button", { type: "button", click: () => {
    logits = shake();
    show();
  } }, "Draw again");
  const readout = h("p", { class: "cw-caption" });
  const names = classes.map((name, k) => h("button", { type: "button", "aria-pressed": "false", click: () => {
    only = only === k ? -1 : k;
    names.forEach((b, i) => b.setAttribute("aria-pressed", String(i === only)));
    scatter();
  } }, h("i", { style: `background:${PALETTE[k % PALETTE.length]}` }), name));
  root.append(
    h("div", { class: "cw-latent-row" }, stage, h("div", { class: "cw-latent-side" }, figures, again)),
    readout, h("div", { class: "cw-classes", role: "group", "aria-label": "show one class alone" }, names),
  );

  const scatter = () => {
    const context = sharp(dots, size, size);
    context.strokeStyle = colour(root, "muted") || "#888";
    context.globalAlpha = 0.25;
    for (const [a, b] of [[[-extent, 0], [extent, 0]], [[0, -extent], [0, extent]]]) {
      context.beginPath();
      context.moveTo(...px(a));
      context.lineTo(...px(b));
      context.stroke();
    }
    for (let i = 0; i < kinds.length; i++) {
      const [x, y] = px([points[2 * i], points[2 * i + 1]]);
      context.globalAlpha = only < 0 ? 0.75 : only === kinds[i] ? 1 : 0.08;
      context.fillStyle = PALETTE[kinds[i] % PALETTE.length];
      context.beginPath();
      context.arc(x, y, 2.6, 0, 2 * Math.PI);
      context.fill();
    }
  };
  const show = () => {
    const z = model.get("z"), { middle, draw } = pictures(decode(z), logits);
    paint(canvases[0], middle, side, side, 1);
    paint(canvases[1], draw, side, side, 1);
    here.show();
    let near = -1, best = Infinity;
    for (let i = 0; i < kinds.length; i++) {
      const d = (points[2 * i] - z[0]) ** 2 + (points[2 * i + 1] - z[1]) ** 2;
      if (d < best) [best, near] = [d, i];
    }
    readout.replaceChildren(...lowered(`z = ${pair(z)}${near < 0 ? "" : `; the nearest code is that of a picture of: ${classes[kinds[near]]}`}`));
  };
  const draw = () => {
    size = Math.max(200, Math.min(LARGEST, root.clientWidth - 30));
    svg.setAttribute("width", size);
    svg.setAttribute("height", size);
    stage.style.width = `${size}px`;
    scatter();
    show();
  };
  model.on("change:z", show); // the points stay where they are
  return live(model, [], root, draw, () => model.off("change:z", show), close);
}

export default { render };
