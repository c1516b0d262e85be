// A prompt, its settings and a button that draws: the kernel does, or on the website the browser.
import { box, bytes, h, live, normals, onKey, paint, put, slider } from "./kit.js";
import { cleanFrom, download, load, megabytes, offered, schedule, size, walk } from "./network.js";
import { tokenizer } from "./tokenizer.js";

const PARTS = ["emoji_text", "emoji_unet", "emoji_decoder"]; // of the painter, and what they are told:
const TOLD = "emoji"; // the tokenizer's merges, the pieces met in training, the schedule, the latents

// ---- the painter, equal to course_lib.imagine.imagine --------------------------------------------

// A picture [3, side, side] in about [-1, 1] from noise, for a prompt and away from a negative one.
export async function draws(run, told, { prompt, negative, guidance, steps }, noise, tell = () => {}) {
  const { row } = tokenizer(told.merges), path = schedule(told.betas), shape = [1, ...told.latents];
  const read = async (text) => {
    const found = await run.emoji_text({ tokens: [row(text, told.length), [1, told.length]] });
    const shaped = (name, ...more) => [found[name], [1, ...more]];
    return { context: shaped("context", told.length, found.context.length / told.length), there: shaped("there", told.length), gist: shaped("gist", found.gist.length) };
  };
  const yes = await read(prompt), no = await read(negative);
  const guess = async (x, t, words) => {
    const { out } = await run.emoji_unet({ x: [x, shape], t: [Float32Array.of(t), [1]], ...words });
    return cleanFrom("v", out, x, path, t);
  };
  const ask = async (x, t) => {
    const good = await guess(x, t, yes);
    if (guidance === 1) return good;
    const bad = await guess(x, t, no);
    return good.map((v, i) => bad[i] + guidance * (v - bad[i]));
  };
  let z = noise;
  for await (const at of walk({ ask, path, sampler: "DDIM", steps, eta: 0, x: noise })) {
    z = at.x;
    if (at.t) await tell();
  }
  return (await run.emoji_decoder({ z: [z, shape] })).picture;
}

// What the painter will not read of the prompts, in words, as course_lib.imagine.notes says it.
export function notes(told, { prompt, negative }) {
  const about = (text) => tokenizer(told.merges).remarks(text, told.length, told.known);
  return [...about(prompt), ...(negative ? about(negative).map((one) => `of the negative prompt: ${one}`) : [])];
}

// Channels first in [-1, 1], to bytes with the colours of a pixel side by side.
export function colours(picture) {
  const each = picture.length / 3;
  return Uint8Array.from({ length: picture.length }, (_, i) => Math.round((Math.min(1, Math.max(-1, picture[(i % 3) * each + Math.floor(i / 3)])) + 1) * 127.5));
}

// ---- the picture of it --------------------------------------------------------------------------

// To pick from; some of docs/prompts.md.
const PICKS = [
  "noto style: watermelon", "blob style: sleepy face", "fluentflat style: squinting face with tongue", "twemoji style: coral",
  "grinning face on a blue background", "pizza on a pink background", "purple apple", "ghost with a crown",
];
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
  const picks = h("datalist", { id: `cw-picks-${Math.random().toString(36).slice(2)}` }, PICKS.map((value) => h("option", { value })));
  const prompt = text("prompt", "prompt", "noto style: red apple on a blue background");
  prompt.input.setAttribute("list", picks.id);
  const negative = text("negative", "not", "what to lead away from");
  const dials = {
    guidance: dial("guidance", "guidance", 0, limits.guidance, 0.5), steps: dial("steps", "steps", 1, limits.steps, 1),
    seed: dial("seed", "seed", 0, 99, 1), count: dial("count", "pictures", 1, limits.count, 1),
  };
  const button = h("button", { type: "button", class: "cw-prompt-draw" }, "Draw");
  const bar = h("progress", { max: 1, "aria-label": "drawing" });
  const said = h("ul", { class: "cw-prompt-said", "aria-live": "polite" }), shown = h("p", { class: "cw-caption" });
  const row = h("div", { class: "cw-prompt-row" });
  const networks = offered(model), here = PARTS.every((part) => networks?.models[part]);
  const tell = (...lines) => said.replaceChildren(...lines.map((one) => h("li", {}, one)));
  let timer, run, told, asked = 0;

  const loadPainter = async () => {
    const folder = new URL("networks/", model.folder).href;
    put(model, "done", 0);
    tell("Loading the painter");
    told = JSON.parse(new TextDecoder().decode(await download(new URL(networks[TOLD].file, folder).href)));
    run = await load(folder, networks, PARTS, (share) => put(model, "done", Math.min(share, 0.99)));
  };
  const drawHere = async () => {
    const mine = ++asked, keys = ["prompt", "negative", "guidance", "steps", "seed", "count"];
    const wish = Object.fromEntries(keys.map((key) => [key, model.get(key)])), whole = wish.count * wish.steps, made = [];
    try {
      if (!run) await loadPainter();
      tell("Drawn by your browser. In a notebook and on the command line the same settings give the same pictures.", ...notes(told, wish));
      let done = 0;
      const step = async () => {
        put(model, "done", Math.min(++done / whole, 0.99));
        await new Promise(requestAnimationFrame);
      };
      for (let n = 0; n < wish.count; n++) {
        const noise = Float32Array.from({ length: told.latents.reduce((a, b) => a * b) }, normals(wish.seed + n));
        made.push(new DataView(colours(await draws(run, told, wish, noise, step)).buffer));
      }
      if (mine !== asked) return;
      model.set("side", told.side);
      model.set("drawn", `${wish.prompt || "no prompt"}: ${wish.count === 1 ? "seed" : "seeds from"} ${wish.seed}`);
      put(model, "pictures", made);
    } catch (error) {
      tell(`The painter does not run here: ${error.message}. What you see was drawn by a kernel.`);
    }
    put(model, "done", 1);
  };
  const ask = () => {
    if (model.get("done") < 1) return;
    put(model, "prompt", prompt.input.value);
    put(model, "negative", negative.input.value);
    if (here) return drawHere();
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (model.get("done") !== 1) return;
      draw();
      tell("Nothing answers: drawing needs a running kernel. Open the notebook and run this cell.");
    }, PATIENCE);
    button.textContent = "Asked";
    model.send({ type: "draw" });
  };
  button.addEventListener("click", ask);
  for (const { input } of [prompt, negative])
    onKey(input, (event) => { if (event.key === "Enter") ask(); });

  const draw = () => {
    const pictures = model.get("pictures").map(bytes), side = model.get("side"), done = model.get("done");
    const wide = widthOf(pictures.length || 1, root.clientWidth - 30);
    row.replaceChildren(...pictures.map((data, n) => {
      const canvas = h("canvas", { role: "img", "aria-label": `${model.get("drawn")}, picture ${n + 1}`, style: `width:${wide}px;height:${wide}px` });
      paint(canvas, data, side, side, 3);
      return canvas;
    }));
    shown.textContent = model.get("drawn");
    if (!asked) tell(...model.get("said"));
    bar.value = done;
    bar.style.visibility = done < 1 ? "visible" : "hidden";
    const offer = here && !run ? `Load the painter, ${megabytes(size(networks, PARTS))}` : "Draw";
    button.textContent = done < 1 ? "Drawing" : offer;
    button.setAttribute("aria-disabled", done < 1); // disabled, it would drop the focus
    for (const [key, one] of Object.entries(dials)) one.set(model.get(key));
  };
  const answered = () => {
    if (model.get("done") < 1) clearTimeout(timer);
    draw();
  };
  root.append(prompt.node, picks, negative.node,
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
