// A trained network walks from noise to a picture: in the kernel, or here in the reader's browser.
import { box, bytes, chooser, float32, h, live, lowered, normals, paint, player, slider } from "./kit.js";
import { SAMPLERS, cleanFrom, load, megabytes, offered, schedule, size, walk } from "./network.js";

const KEPT = 6; // results that stay in sight
const PAUSE = 300; // milliseconds that a slider rests before the picture is drawn anew
const PATIENCE = 5000; // until we say that no kernel answers

// [-1, 1] to grey levels.
export function pixels(x) {
  return Uint8Array.from(x, (v) => Math.round((Math.min(1, Math.max(-1, v)) + 1) * 127.5));
}

// A recording as frames: it holds the states at all times, then the guesses at all but the last.
export function recorded(data, each, times) {
  const at = (i) => data.subarray(i * each, (i + 1) * each), steps = times.length - 1;
  return times.map((t, i) => ({ t, state: at(i), guess: i < steps ? at(steps + 1 + i) : at(steps) }));
}

export function inWords({ sampler, steps, eta, seed }) {
  return `${sampler}, ${steps} ${steps === 1 ? "step" : "steps"}${sampler === "DDIM" && eta ? `, η = ${eta}` : ""}, seed ${seed}`;
}

function render({ model, el }) {
  const { root, close } = box(el, "live", "A trained network draws from noise");
  const name = model.get("network"), [height, width] = model.get("shape"), each = height * width;
  const recordings = model.get("recordings").map(bytes), times = model.get("times"), networks = offered(model);
  const path = schedule(float32(model.get("betas")));
  const place = model.folder === undefined ? "kernel" : networks ? "browser" : "nowhere";
  const first = Object.fromEntries(["sampler", "steps", "eta", "seed"].map((key) => [key, model.get(key)])), wish = { ...first };
  let ready = place === "kernel", frames = [], asked = 0, rest, patience, run, control, play;

  // ---- what is seen ----
  const canvas = () => h("canvas", { role: "img" });
  const state = canvas(), guess = canvas(), film = h("div", { class: "cw-row" });
  const drawn = h("div", { class: "cw-live-drawn", role: "group", "aria-label": "the last pictures" });
  const status = h("p", { class: "cw-caption", "aria-live": "polite" });
  const bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "loading the network" });
  const show = () => {
    const frame = frames[control.read()];
    if (!frame) return;
    paint(state, frame.state, width, height, 1);
    paint(guess, frame.guess, width, height, 1);
    state.setAttribute("aria-label", `the state at t = ${frame.t}`);
    guess.setAttribute("aria-label", `the network's guess of the clean picture at t = ${frame.t}`);
  };
  const wind = (steps) => { // a film of steps + 1 frames
    play?.stop();
    control = slider({ label: "t", min: 0, max: steps, value: 0, text: (i) => String(frames[i]?.t ?? ""), change: show });
    play = player(control, 10);
    film.replaceChildren(play.node, control.node);
  };
  const add = (frame) => {
    frames.push(frame);
    control.set(frames.length - 1);
    show();
  };
  const begin = (steps) => {
    clearTimeout(rest);
    clearTimeout(patience);
    frames = [];
    wind(steps);
  };
  const finish = (made, ms) => {
    const words = inWords(made);
    status.textContent = `${words}: ${frames.length - 1} ${frames.length === 2 ? "evaluation" : "evaluations"}, ${Math.round(ms)} ms each ${place === "kernel" ? "in the kernel" : "in your browser"}.`;
    const small = canvas();
    small.setAttribute("aria-label", words);
    paint(small, frames.at(-1).state, width, height, 1);
    drawn.prepend(h("figure", {}, small, h("figcaption", {}, `${made.sampler} ${made.steps}`, h("br"), `seed ${made.seed}`)));
    while (drawn.childElementCount > KEPT) drawn.lastChild.remove();
  };

  // ---- recorded, in the browser, in the kernel ----
  const replay = () => {
    begin(times.length - 1);
    for (const frame of recorded(recordings[SAMPLERS.indexOf(wish.sampler)], each, times)) add(frame);
  };
  const inBrowser = async () => {
    const mine = ++asked, now = { ...wish }, normal = normals(now.seed);
    let ms = 0;
    const ask = async (x, t) => {
      const start = performance.now(), { out } = await run({ x: [x, [1, 1, height, width]], t: [Float32Array.of(t), [1]] });
      ms += performance.now() - start;
      return cleanFrom(model.get("predicts"), out, x, path, t, model.get("limit"));
    };
    const x = Float32Array.from({ length: each }, normal);
    begin(now.steps);
    status.textContent = `Drawing: ${inWords(now)}`;
    for await (const at of walk({ ask, path, x, normal, ...now })) {
      if (mine !== asked) return; // another walk has begun
      add({ t: at.t, state: pixels(at.x), guess: pixels(at.x_0) });
      root.state = at.x; // what a test compares
      await new Promise(requestAnimationFrame);
    }
    finish(now, ms / now.steps);
  };
  const inKernel = () => {
    begin(wish.steps);
    status.textContent = `Drawing: ${inWords(wish)}`;
    patience = setTimeout(() => {
      status.textContent = "Nothing answers: drawing needs a running kernel. Open the notebook and run this cell.";
    }, PATIENCE);
    model.send({ type: "draw", asked: ++asked, ...wish });
  };
  const heard = (message, buffers) => {
    if (message.asked !== asked) return;
    clearTimeout(patience);
    const [at, x_0] = buffers.map(float32);
    add({ t: message.t, state: pixels(at), guess: pixels(x_0) });
    root.state = at;
    if (message.t === 0) finish(message, message.ms);
  };
  const failed = (error) => {
    const held = root.querySelector(".cw-slider :focus"); // it will be disabled
    ready = false;
    asked++;
    bar.hidden = true;
    settle();
    if (held) button.focus();
    replay();
    status.textContent = `The network does not run here: ${error.message}. What you see was recorded: ${inWords({ ...first, sampler: wish.sampler })}.`;
    button.textContent = "Try again";
  };
  const draw = () => {
    if (!ready) replay();
    else if (place === "kernel") inKernel();
    else inBrowser().catch(failed);
  };
  const loadIt = async () => {
    if (!bar.hidden) return;
    button.setAttribute("aria-disabled", true); // disabled, it would drop the focus
    bar.hidden = false;
    status.textContent = "Loading the network";
    const share = (value) => {
      bar.value = value;
      if (value === 1) status.textContent = "Starting the network";
    };
    try {
      run = (await load(new URL("networks/", model.folder).href, networks, [name], share))[name];
      ready = true;
      bar.hidden = true;
      button.textContent = "Another one";
      settle();
      draw();
    } catch (error) {
      failed(error);
    }
    button.removeAttribute("aria-disabled");
  };

  // ---- controls ----
  const change = (key) => (value) => {
    wish[key] = value;
    settle();
    clearTimeout(rest);
    rest = setTimeout(draw, key === "sampler" ? 0 : PAUSE);
  };
  const pick = chooser({ label: "sampler", options: SAMPLERS, value: wish.sampler, change: change("sampler") });
  const steps = slider({ label: "steps", min: 1, max: 100, value: wish.steps, change: change("steps") });
  const eta = slider({ label: "η", min: 0, max: 1, step: 0.05, value: wish.eta, text: (v) => v.toFixed(2), change: change("eta") });
  const seed = slider({ label: "seed", min: 0, max: 999, value: wish.seed, change: change("seed") });
  const button = h("button", { type: "button", class: "cw-live-draw" }, "Another one");
  button.addEventListener("click", () => (ready ? seed.move((seed.read() + 1) % 1000) : loadIt()));
  const settle = () => {
    for (const [one, on] of [[steps, ready], [seed, ready], [eta, ready && wish.sampler === "DDIM"]]) {
      for (const part of one.node.querySelectorAll("input, button")) part.disabled = !on;
    }
  };

  const figure = (picture, words) => h("figure", {}, picture, h("figcaption", {}, lowered(words)));
  root.append(
    h("div", { class: "cw-live-pictures" }, figure(state, "the state x_t"), figure(guess, "the guess of x_0")), film,
    h("div", { class: "cw-row" }, pick.node, button, bar), status, h("div", { class: "cw-row" }, steps.node, seed.node, eta.node), drawn,
  );
  settle();
  replay();
  control.set(Math.round(0.6 * (times.length - 1))); // still noise, and a garment in the guess
  show();
  const tape = `Recorded: ${inWords(first)}.`;
  if (place === "browser") button.textContent = `Load the network, ${megabytes(size(networks, [name]))}`;
  button.hidden = place === "nowhere";
  status.textContent = {
    browser: `${tape} With the network, your browser draws: any seed, any number of steps.`,
    kernel: `${tape} Move a slider, and the kernel draws.`,
    nowhere: `${tape} In the notebook you can draw your own.`,
  }[place];
  if (place === "kernel") model.on("msg:custom", heard);
  return live(model, [], root, show, close, () => {
    asked++;
    clearTimeout(rest);
    clearTimeout(patience);
    play.stop();
    if (place === "kernel") model.off("msg:custom", heard);
  });
}

export default { render };
