// Precomputed pictures under one slider; several sets are shown side by side.
import { box, bytes, h, live, lowered, message, paint, player, put, slider } from "./kit.js";

function render({ model, el }) {
  const names = model.get("names"), shapes = model.get("shapes"), labels = model.get("labels");
  const captions = model.get("captions"), data = model.get("frames").map(bytes);
  const { root, close } = box(el, "frames", model.get("alt"));
  const count = labels.length;
  if (!count || data.some((d, k) => d.length !== shapes[k].reduce((a, b) => a * b, 1))) {
    message(root, "The pictures of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const canvases = names.map((name, k) => {
    const width = shapes[k][2] * model.get("scales")[k];
    const canvas = h("canvas", { role: "img", style: `width:${width}px;aspect-ratio:${shapes[k][2]}/${shapes[k][1]}` });
    return { canvas, figure: h("figure", { style: `flex:0 1 ${width}px` }, canvas, name ? h("figcaption", {}, lowered(name)) : null) };
  });
  const caption = h("p", { class: "cw-caption", "aria-live": "polite" });
  const draw = () => {
    const i = model.get("index");
    canvases.forEach(({ canvas }, k) => {
      const [, height, width, channels] = shapes[k], size = height * width * channels;
      paint(canvas, data[k].subarray(i * size, (i + 1) * size), width, height, channels);
      canvas.setAttribute("aria-label", [model.get("alt"), names[k], labels[i]].filter(Boolean).join(", "));
    });
    if (captions.length) caption.textContent = captions[i];
    control.set(i);
  };
  const control = slider({
    label: model.get("name"), min: 0, max: count - 1, value: model.get("index"), text: (i) => labels[i],
    change: (i) => put(model, "index", i),
  });
  const play = player(control);
  root.append(h("div", { class: "cw-figures" }, canvases.map((c) => c.figure)));
  if (captions.length) root.append(caption);
  root.append(h("div", { class: "cw-row" }, play.node, control.node));
  return live(model, ["index"], root, draw, play.stop, close);
}

export default { render };
