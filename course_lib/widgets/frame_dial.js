// Precomputed pictures on a grid under two sliders; one of them stays beside, to compare.
import { box, bytes, h, live, message, minus, paint, put, slider } from "./kit.js";

// The bytes of the picture in row i and column k.
export function frame(data, [, columns, height, width], i, k) {
  const size = height * width, at = (i * columns + k) * size;
  return data.subarray(at, at + size);
}

function render({ model, el }) {
  const shape = model.get("shape"), [, , height, width] = shape, data = bytes(model.get("frames"));
  const rows = model.get("row_labels"), columns = model.get("column_labels"), captions = model.get("captions");
  const { root, close } = box(el, "dial", model.get("alt"));
  if (!rows.length || data.length !== shape.reduce((a, b) => a * b, 1)) {
    message(root, "The pictures of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const picture = (attributes) => h("canvas", { ...attributes, style: `aspect-ratio:${width}/${height}` });
  const figures = [0, 1].map(() => {
    const canvas = picture({ role: "img" }), title = h("figcaption", {});
    return { canvas, title, node: h("figure", { style: `flex:0 1 ${6 * width}px` }, canvas, title) };
  });
  // The whole row in small: the sliders say the same to the keyboard and to a screen reader.
  const strip = columns.map((label, k) => {
    const canvas = picture({});
    return { canvas, node: h("div", { click: () => put(model, "column", k) }, canvas, h("span", {}, label)) };
  });
  const caption = h("p", { class: "cw-caption", "aria-live": "polite" });
  const dial = (name, labels, key) => slider({
    label: name, min: 0, max: labels.length - 1, value: model.get(key), text: (i) => labels[i], change: (i) => put(model, key, i),
  });
  const across = dial(model.get("row_name"), rows, "row"), along = dial(model.get("column_name"), columns, "column");
  const draw = () => {
    const i = model.get("row"), k = model.get("column");
    [[i, k], model.get("beside")].forEach(([a, b], f) => {
      const { canvas, title } = figures[f];
      paint(canvas, frame(data, shape, a, b), width, height, 1);
      title.textContent = `${rows[a]}, ${columns[b]}`;
      canvas.setAttribute("aria-label", `${model.get("alt")}: ${title.textContent}`);
    });
    strip.forEach(({ canvas, node }, at) => {
      paint(canvas, frame(data, shape, i, at), width, height, 1);
      node.classList.toggle("cw-dial-here", at === k);
    });
    caption.textContent = minus(captions[i][k]);
    across.set(i);
    along.set(k);
  };
  root.append(
    h("div", { class: "cw-dial-pair" }, figures.map((f) => f.node)), caption,
    h("div", { class: "cw-row" }, across.node, along.node),
    h("div", { class: "cw-dial-strip", "aria-hidden": "true" }, strip.map((one) => one.node)),
  );
  return live(model, ["row", "column"], root, draw, close);
}

export default { render };
