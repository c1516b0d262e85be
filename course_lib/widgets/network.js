// Walks from noise to data, and trained networks that the reader's browser runs. A plain module,
// joined like kit.js to each widget that imports it.

// ---- the schedule, equal to course_lib.diffusion.schedules ------------------------------------

// alpha and sigma at the times 0..T, from the variances of the T steps.
export function schedule(betas) {
  const bars = [1];
  for (const beta of betas) bars.push(bars.at(-1) * (1 - beta));
  return { T: betas.length, alpha: bars.map(Math.sqrt), sigma: bars.map((bar) => Math.sqrt(1 - bar)) };
}

// Rounds a half to the even side, as PyTorch does; Math.round goes up.
function rounded(value) {
  const down = Math.floor(value), rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}

// steps + 1 whole times from T to 0. Counted from both ends, as torch.linspace does.
export function spacedTimes(T, steps) {
  const stride = T / steps, half = Math.floor((steps + 1) / 2);
  return Array.from({ length: steps + 1 }, (_, i) => rounded(i < half ? T - stride * i : stride * (steps - i)));
}

// ---- the steps, equal to course_lib.diffusion.samplers and solvers -----------------------------

export const SAMPLERS = ["DDPM", "DDIM", "2M"];

// What the network says of x at t, as the clean data it stands for, kept within ± limit.
export function cleanFrom(predicts, out, x, path, t, limit = Infinity) {
  const a = path.alpha[t], b = path.sigma[t];
  const guess = { eps: (o, v) => (v - b * o) / a, v: (o, v) => a * v - b * o, x_0: (o) => o }[predicts];
  return Float32Array.from(out, (o, i) => Math.min(limit, Math.max(-limit, guess(o, x[i]))));
}

// From x at t to the smaller time s, with the guess of the clean data.
// before: what the last step knew, { x_0, t }, which 2M follows; eta and normal: fresh noise.
export function step(sampler, path, x, x_0, t, s, { eta = 0, normal = () => 0, before } = {}) {
  const [a, b, a_s, b_s] = [path.alpha[t], path.sigma[t], path.alpha[s], path.sigma[s]];
  const keep = a / a_s, beta = Math.max(0, b * b - keep * keep * b_s * b_s);
  const variance = (beta * b_s * b_s) / (b * b); // of x_s, given x_t and x_0: DDPM's beta-tilde
  if (sampler === "2M") {
    const ahead = before && b_s > 0 ? slope(path, before.t, t, s) : 0, shrinks = b_s / b;
    return x.map((v, i) => shrinks * v + (a_s - shrinks * a) * (x_0[i] + (ahead && ahead * (x_0[i] - before.x_0[i]))));
  }
  if (sampler === "DDPM") {
    const onGuess = (a_s * beta) / (b * b), onState = (keep * b_s * b_s) / (b * b), spread = Math.sqrt(variance);
    return x.map((v, i) => onGuess * x_0[i] + onState * v + spread * normal());
  }
  const fresh = eta * Math.sqrt(variance), kept = Math.sqrt(Math.max(0, b_s * b_s - fresh * fresh));
  return x.map((v, i) => a_s * x_0[i] + (kept * (v - a * x_0[i])) / b + (fresh && fresh * normal()));
}

// How far ahead 2M reads the line through its last two guesses: half a step of log(alpha / sigma).
function slope(path, last, t, s) {
  const [l, now, then] = [last, t, s].map((u) => Math.log(path.alpha[u] / path.sigma[u]));
  return (then - now) / (2 * (now - l));
}

// The whole walk: yields { x, t } at each time, and with it the guess of x_0 made there.
// ask(x, t) gives the guess, soon or at once.
export async function* walk({ ask, path, sampler, steps, eta, x, normal }) {
  const times = spacedTimes(path.T, steps);
  let before;
  for (let i = 0; i < steps; i++) {
    const x_0 = await ask(x, times[i]);
    yield { x, t: times[i], x_0 };
    x = step(sampler, path, x, x_0, times[i], times[i + 1], { eta, normal, before });
    before = { x_0, t: times[i] };
  }
  yield { x, t: 0, x_0: x };
}

// ---- networks in the browser -------------------------------------------------------------------

// What the site offers: { runtime: { script, wasm, bytes }, models: { name: { file, bytes } } },
// put there by the site's build. Nothing where a kernel stands behind the page.
export function offered(model) {
  const served = model.folder && new URL(model.folder).protocol !== "file:"; // a page from disk may load nothing
  return served && typeof courseWidgets !== "undefined" ? courseWidgets.networks : undefined;
}

// Bytes to be loaded before these networks can run.
export function size(networks, names) {
  return names.reduce((total, name) => total + networks.models[name].bytes, networks.runtime.bytes);
}

export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

const SILENCE = 30; // seconds without a byte, after which a download is given up

// A file's bytes; tell(count) hears of each piece that arrives. It may take as long as it needs, but
// not fall silent.
export async function download(url, tell = () => {}, silence = SILENCE) {
  const name = new URL(url).pathname.split("/").at(-1), end = new AbortController(), pieces = [];
  let quiet = 0, up;
  const over = new Promise((_, reject) => (up = reject)), heard = (promise) => Promise.race([promise, over]);
  // Counted second by second: a phone that slept has not waited.
  const clock = setInterval(() => ++quiet >= silence && up(new Error(`${name} stalled, no byte came for ${silence} seconds; try again`)), 1000);
  try {
    const answer = await heard(fetch(url, { signal: end.signal }));
    if (!answer.ok) throw new Error(`${name} did not arrive (${answer.status})`);
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await heard(reader.read());
      quiet = 0;
      if (done) return new Uint8Array(await new Blob(pieces).arrayBuffer());
      pieces.push(value);
      tell(value.length);
    }
  } finally {
    clearInterval(clock);
    end.abort();
  }
}

// Unpacks a gzip file; one that the server has unpacked already stays as it is.
export async function unzipped(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

let failures = 0;

// onnxruntime-web with its WebAssembly, on one thread: more would need headers that few hosts send.
export async function runtime(folder, { script, wasm }, tell) {
  if (typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined") throw new Error("this browser is too old to run a network");
  const at = new URL(script, folder).href, url = failures ? `${at}?${failures}` : at;
  // First as a file, for of an import nobody hears that it stalls. A browser remembers a module that
  // did not come, under its address: next time it gets another.
  const ort = await download(url, tell).then(() => import(url)).catch((error) => {
    failures++;
    throw error;
  });
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary ??= await unzipped(await download(new URL(wasm, folder).href, tell));
  return ort;
}

// A network as a function: run({ name: [numbers, shape] }) gives { output: numbers }.
export async function network(ort, bytes) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  return async (inputs) => {
    const tensor = ([numbers, shape]) => new ort.Tensor(numbers instanceof Float32Array ? "float32" : "int32", numbers, shape);
    const found = await session.run(Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, tensor(value)])));
    return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, value.data]));
  };
}

// Loads networks by name; tell(share) hears how much of all the bytes is there, from 0 to 1.
export async function load(folder, networks, names, tell) {
  let there = 0;
  const whole = size(networks, names), more = (count) => tell(Math.min(1, (there += count) / whole));
  const ort = await runtime(folder, networks.runtime, more);
  const files = [], loaded = {};
  for (const name of names) files.push(await download(new URL(networks.models[name].file, folder).href, more)); // in turn: of two at once, one may have to wait
  for (const [i, name] of names.entries()) loaded[name] = await network(ort, files[i]);
  return loaded;
}
