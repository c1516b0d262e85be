// Point at a word, and the pixels that look at it light up; by layer, and from noise to picture.
import { box, bytes, chooser, h, live, message, paint, put, readings, slider } from "./kit.js";

// The map of one word, 0..255 for 0..1.
export function mapOf(data, [, layers, words, height, width], time, layer, word) {
  const size = height * width, at = ((time * layers + layer) * words + word) * size;
  return data.subarray(at, at + size);
}

// How much of all looks goes to each word, from 0 to 1.
export function shares(data, shape, time, layer) {
  return Array.from({ length: shape[2] }, (_, word) => {
    const map = mapOf(data, shape, time, layer, word);
    return map.reduce((sum, value) => sum + value, 0) / (255 * map.length);
  });
}

// A picture in which each pixel is as bright as it looks at the word; `top` is full light.
export function lit(picture, map, [, , , rows, columns, height, width], top) {
  const out = new Uint8Array(3 * height * width);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const look = map[Math.floor((y * rows) / height) * columns + Math.floor((x * columns) / width)];
      const light = Math.min(1, look / Math.max(1, top)), at = 3 * (y * width + x);
      // Dark pictures would stay dark: light lifts them towards white as well.
      for (let c = 0; c < 3; c++) out[at + c] = Math.round((0.2 + 0.5 * light) * picture[at + c] + 76 * light);
    }
  return out;
}

function render({ model, el }) {
  const shape = model.get("shape"), [, , n, , , height, width] = shape;
  const noised = bytes(model.get("noised")), guessed = bytes(model.get("guessed")), maps = bytes(model.get("maps"));
  const words = model.get("words"), layers = model.get("layers"), times = model.get("times");
  const { root, close } = box(el, "look", "Which pixels look at which word");
  if (!words.length || maps.length !== shape.slice(0, 5).reduce((a, b) => a * b, 1)) {
    message(root, "The maps of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const canvas = (title) => h("canvas", { role: "img", "aria-label": title, style: `aspect-ratio:${width}/${height}` });
  const seen = canvas("x_t, the noisy picture"), guess = canvas("the estimate of the picture"), look = canvas("where pixels look at the word");
  const choose = (i) => put(model, "word", i);
  const buttons = words.map((word, i) => {
    const bar = h("i", {});
    const node = h("button", { type: "button", class: "cw-look-word", click: () => choose(i), focus: () => choose(i) }, h("span", {}, word), bar);
    return { node, bar };
  });
  const by = chooser({ label: "layer", options: layers, value: layers[model.get("layer")], change: (name) => put(model, "layer", layers.indexOf(name)) });
  const dial = slider({ label: "stop", min: 0, max: times.length - 1, value: model.get("time"), text: (i) => `t = ${times[i]}`, change: (i) => put(model, "time", i) });
  const numbers = readings();

  const draw = () => {
    const word = model.get("word"), layer = model.get("layer"), time = model.get("time"), size = 3 * height * width;
    const picture = guessed.subarray(time * size, (time + 1) * size), map = mapOf(maps, shape, time, layer, word);
    const all = Array.from({ length: n }, (_, i) => mapOf(maps, shape, time, layer, i)), top = Math.max(...all.map((one) => Math.max(...one)));
    paint(seen, noised.subarray(time * size, (time + 1) * size), width, height, 3);
    paint(guess, picture, width, height, 3);
    paint(look, lit(picture, map, shape, top), width, height, 3);
    const part = shares(maps, shape, time, layer), most = Math.max(...part);
    buttons.forEach(({ node, bar }, i) => {
      node.setAttribute("aria-pressed", String(i === word));
      bar.style.width = `${(100 * part[i]) / Math.max(most, 1e-6)}%`;
    });
    const percent = (x) => `${Math.round(100 * x)} %`;
    numbers.show([
      ["of all looks, this word gets", percent(part[word]), "cw-model"],
      ["the keenest pixel gives it", percent(Math.max(...map) / 255), ""],
      ["most looked at", words[part.indexOf(most)], "cw-data"],
    ]);
    by.set(layers[layer]);
    dial.set(time);
  };
  root.append(
    h("div", { class: "cw-look-words", role: "group", "aria-label": "the caption, word by word" }, buttons.map(({ node }) => node)),
    h("div", { class: "cw-look-pictures" },
      h("figure", {}, seen, h("figcaption", {}, "what it sees")),
      h("figure", {}, look, h("figcaption", {}, "who looks at the word")),
      h("figure", {}, guess, h("figcaption", {}, "what it guesses"))),
    h("div", { class: "cw-row" }, dial.node),
    h("div", { class: "cw-row" }, h("span", { class: "cw-label" }, "layer"), by.node),
    numbers.node,
  );
  return live(model, ["word", "layer", "time"], root, draw, close);
}

export default { render };
