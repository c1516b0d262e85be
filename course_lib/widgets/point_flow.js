// Points that move along a trajectory: scrub or play it, choose among several.
import { box, chooser, colour, h, int16, live, message, player, put, sharp, slider } from "./kit.js";

const LARGEST = 420; // CSS pixels of the square

function render({ model, el }) {
  const names = model.get("names"), counts = model.get("counts"), labels = model.get("labels");
  const extent = model.get("extent"), unit = model.get("unit");
  const paths = model.get("paths").map(int16), others = model.get("others").map(int16);
  const { root, close } = box(el, "points", model.get("alt"));
  if (!labels.length || paths.some((p, k) => p.length !== 2 * counts[k] * labels.length)) {
    message(root, "The points of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const canvas = h("canvas", { role: "img" });
  const draw = () => {
    const k = names.indexOf(model.get("chosen")), i = model.get("index");
    const size = Math.max(120, Math.min(LARGEST, root.clientWidth - 30)), half = size / 2;
    const context = sharp(canvas, size, size), place = (v) => half * (1 + (v * unit) / extent);
    context.strokeStyle = colour(root, "line");
    context.beginPath();
    for (let line = -Math.floor(extent); line <= extent; line++) {
      const at = Math.round(half * (1 + line / extent)) + 0.5;
      context.moveTo(at, 0); context.lineTo(at, size);
      context.moveTo(0, at); context.lineTo(size, at);
    }
    context.globalAlpha = 0.5;
    context.stroke();
    const dots = (data, from, count, radius, alpha, name) => {
      context.globalAlpha = alpha;
      context.fillStyle = colour(root, name);
      for (let p = 0; p < count; p++) {
        context.beginPath();
        context.arc(place(data[from + 2 * p]), size - place(data[from + 2 * p + 1]), radius, 0, 2 * Math.PI);
        context.fill();
      }
    };
    if (others[k]?.length) dots(others[k], 0, others[k].length / 2, 2, 0.35, "data");
    const radius = counts[k] > 400 ? 1.8 : counts[k] > 60 ? 2.4 : 3.5;
    dots(paths[k], 2 * counts[k] * i, counts[k], radius, 0.75, model.get("colour"));
    canvas.setAttribute("aria-label", [model.get("alt"), names[k], labels[i]].filter(Boolean).join(", "));
    control.set(i);
  };
  const control = slider({
    label: model.get("name"), min: 0, max: labels.length - 1, value: model.get("index"), text: (i) => labels[i],
    change: (i) => put(model, "index", i),
  });
  const play = player(control, 12);
  const choose = chooser({
    label: "set of points", options: names, value: model.get("chosen"),
    change: (name) => put(model, "chosen", name),
  });
  if (names.length > 1) root.append(choose.node);
  root.append(canvas, h("div", { class: "cw-row" }, play.node, control.node));
  return live(model, ["index", "chosen"], root, draw, play.stop, close);
}

export default { render };
