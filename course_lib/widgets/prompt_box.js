// A prompt, its settings and a button that draws. The drawing is done by the kernel.
import { box, bytes, h, live, paint, put, slider } from "./kit.js";

const PATIENCE = 4000; // milliseconds until we say that nothing answers

// The widest that n pictures may be in a row of this width, in CSS pixels.
export function widthOf(n, room) {
  const across = Math.min(n, room < 420 ? 2 : 4), gap = 8;
  return Math.max(48, Math.min(192, Math.floor((room - gap * (across - 1)) / across)));
}

function render({ model, el }) {
  const { root, close } = box(el, "prompt", "Type a prompt and draw it");
  const limits = model.get("limits");
  const text = (key, label, hint) => {
    const input = h("input", { type: "text", value: model.get(key), placeholder: hint, "aria-label": label, maxlength: 400 });
    input.addEventListener("change", () => put(model, key, input.value));
    return { input, node: h("label", { class: "cw-prompt-line" }, h("span", { class: "cw-label" }, label), input) };
  };
  const dial = (key, label, min, max, step) => slider({
    label, min, max, step, value: model.get(key), text: String, change: (to) => put(model, key, to),
  });
  const prompt = text("prompt", "prompt", "noto style: red apple on a blue background");
  const negative = text("negative", "not", "what to lead away from");
  const dials = {
    guidance: dial("guidance", "guidance", 0, limits.guidance, 0.5), steps: dial("steps", "steps", 1, limits.steps, 1),
    seed: dial("seed", "seed", 0, 99, 1), count: dial("count", "pictures", 1, limits.count, 1),
  };
  const button = h("button", { type: "button", class: "cw-prompt-draw" }, "Draw");
  const bar = h("progress", { max: 1, "aria-label": "drawing" });
  const said = h("ul", { class: "cw-prompt-said", "aria-live": "polite" }), shown = h("p", { class: "cw-caption" });
  const row = h("div", { class: "cw-prompt-row" });
  let timer;

  const ask = () => {
    put(model, "prompt", prompt.input.value);
    put(model, "negative", negative.input.value);
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (model.get("done") === 1) said.replaceChildren(h("li", {}, "Nothing answers: drawing needs a running kernel. Open the notebook and run this cell."));
    }, PATIENCE);
    button.textContent = "Asked";
    model.send({ type: "draw" });
  };
  button.addEventListener("click", ask);
  for (const { input } of [prompt, negative])
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") ask(); });

  const draw = () => {
    const pictures = model.get("pictures").map(bytes), side = model.get("side"), done = model.get("done");
    const wide = widthOf(pictures.length || 1, root.clientWidth - 30);
    row.replaceChildren(...pictures.map((data, n) => {
      const canvas = h("canvas", { role: "img", "aria-label": `${model.get("drawn")}, picture ${n + 1}`, style: `width:${wide}px;height:${wide}px` });
      paint(canvas, data, side, side, 3);
      return canvas;
    }));
    shown.textContent = model.get("drawn");
    said.replaceChildren(...model.get("said").map((one) => h("li", {}, one)));
    bar.value = done;
    bar.style.visibility = done < 1 ? "visible" : "hidden";
    button.textContent = done < 1 ? "Drawing" : "Draw";
    button.disabled = done < 1;
    for (const [key, one] of Object.entries(dials)) one.set(model.get(key));
  };
  const answered = () => {
    if (model.get("done") < 1) clearTimeout(timer);
    draw();
  };
  root.append(prompt.node, negative.node,
    h("div", { class: "cw-row" }, dials.guidance.node, dials.steps.node), h("div", { class: "cw-row" }, dials.seed.node, dials.count.node),
    h("div", { class: "cw-row" }, button, bar), said, row, shown);
  const end = live(model, ["pictures", "said", "guidance", "steps", "seed", "count"], root, draw, close);
  model.on("change:done", answered);
  return () => {
    clearTimeout(timer);
    model.off("change:done", answered);
    end();
  };
}

export default { render };
