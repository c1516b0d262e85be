// Compose a prompt, turn two dials of guidance, and compare three verdicts on one picture.
import { arrow, box, bytes, chooser, h, live, message, onKey, paint, put, readings, short, slider } from "./kit.js";

// Bytes of colour, [pixels, 3], from one index for each pixel.
export function coloured(indices, palette) {
  const out = new Uint8Array(3 * indices.length);
  indices.forEach((index, i) => out.set(palette.slice(3 * index, 3 * index + 3), 3 * i));
  return out;
}

// Which of all pictures: prompt, stop of the first dial, stop of the second.
export const placeOf = ([, clips, itselves], prompt, clip, itself) => (prompt * clips + clip) * itselves + itself;

// The prompt with one part changed; a thing that would stand beside itself changes places.
export function changed(prompts, now, part, value) {
  const wanted = [...prompts[now]];
  if (part !== 1 && wanted[2 - part] === value) wanted[2 - part] = wanted[part];
  wanted[part] = value;
  return prompts.findIndex((one) => one.every((word, k) => word === wanted[k]));
}

export const agreed = (verdict, claims) => claims.map((name, k) => [name, Boolean((verdict >> k) & 1)]);

const article = (thing) => `${/^[aeiou]/.test(thing) ? "an" : "a"} ${thing}`;
export const sentence = ([first, relation, second]) => `${article(first)} ${relation} ${article(second)}`;

function render({ model, el }) {
  const shape = model.get("shape"), [n, clips, itselves, height, width] = shape, size = height * width;
  const indices = bytes(model.get("pixels")), palette = bytes(model.get("palette")), prompts = model.get("prompts"), claims = model.get("claims");
  const byClip = model.get("by_clip"), byItself = model.get("by_itself"), verdicts = model.get("verdicts"), scores = model.get("scores");
  const { root, close } = box(el, "composer", "Prompts and two dials of guidance");
  if (!n || indices.length !== n * clips * itselves * size) {
    message(root, "The pictures of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const unique = (k) => [...new Set(prompts.map((one) => one[k]))];
  const menus = [0, 1, 2].map((part) => chooser({
    label: ["first thing", "relation", "second thing"][part], options: unique(part), value: prompts[model.get("prompt")][part],
    change: (value) => put(model, "prompt", changed(prompts, model.get("prompt"), part, value)),
  }));
  const dials = [
    slider({ label: "by CLIP", min: 0, max: clips - 1, value: model.get("clip"), text: (k) => `s = ${short(byClip[k])}`, change: (k) => put(model, "clip", k) }),
    slider({ label: "by itself", min: 0, max: itselves - 1, value: model.get("itself"), text: (k) => `scale ${short(byItself[k])}`, change: (k) => put(model, "itself", k) }),
  ];
  const large = h("canvas", { role: "img", class: "cw-composer-large" });
  const small = Array.from({ length: clips }, (_, clip) => Array.from({ length: itselves }, (_, itself) => {
    const canvas = h("canvas", {}), choose = () => {
      put(model, "clip", clip);
      put(model, "itself", itself);
    };
    const button = h("button", { type: "button", class: "cw-composer-small", click: choose }, canvas);
    onKey(button, (event) => {
      const way = arrow(event), to = way && small[clip - way[1]]?.[itself + way[0]];
      if (!to) return;
      event.preventDefault();
      to.button.focus();
      to.choose();
    });
    return { button, canvas, choose };
  }));
  const said = h("p", { class: "cw-caption", "aria-live": "polite" }), numbers = readings(), list = h("ul", { class: "cw-composer-claims" });
  const head = (text) => h("span", { class: "cw-composer-head" }, text);
  const grid = h("div", { class: "cw-composer-grid", style: `grid-template-columns: auto repeat(${itselves}, 1fr)` },
    head("CLIP \\ itself"), ...byItself.map((one) => head(short(one))),
    ...small.flatMap((row, clip) => [head(short(byClip[clip])), ...row.map(({ button }) => button)]));
  root.append(
    ...menus.map(({ node }, part) => h("div", { class: "cw-row" }, h("span", { class: "cw-label cw-composer-part" }, ["first", "relation", "second"][part]), node)),
    said,
    h("div", { class: "cw-composer-pictures" }, h("figure", {}, large, list), grid),
    h("div", { class: "cw-row" }, ...dials.map(({ node }) => node)),
    numbers.node,
  );

  const draw = () => {
    const prompt = model.get("prompt"), clip = model.get("clip"), itself = model.get("itself");
    const at = placeOf(shape, prompt, clip, itself), answers = agreed(verdicts[at], claims);
    const show = (canvas, k) => paint(canvas, coloured(indices.subarray(k * size, (k + 1) * size), palette), width, height, 3);
    show(large, at);
    small.forEach((row, i) => row.forEach(({ button, canvas }, j) => {
      const k = placeOf(shape, prompt, i, j);
      show(canvas, k);
      button.setAttribute("aria-pressed", String(i === clip && j === itself));
      const obeys = agreed(verdicts[k], claims).every(([, right]) => right);
      button.classList.toggle("cw-composer-obeys", obeys);
      button.setAttribute("aria-label", `by CLIP ${short(byClip[i])}, by itself ${short(byItself[j])}: ${obeys ? "obeys" : "does not obey"}`);
    }));
    const right = answers.filter(([, one]) => one).length;
    large.setAttribute("aria-label", `${sentence(prompts[prompt])}: ${right} of ${claims.length} claims are true`);
    list.replaceChildren(...answers.map(([name, one]) => h("li", { class: one ? "cw-composer-yes" : "cw-composer-no" }, `${one ? "✓" : "✗"} ${name}`)));
    numbers.show([
      ...Object.entries(scores).map(([name, values]) => [name, values[at].toFixed(1), ""]),
      ["the oracle", `${right} of ${claims.length}`, right === claims.length ? "cw-composer-yes" : "cw-composer-no"],
    ]);
    said.textContent = `“${sentence(prompts[prompt])}”`;
    menus.forEach((menu, part) => menu.set(prompts[prompt][part]));
    dials[0].set(clip);
    dials[1].set(itself);
  };
  return live(model, ["prompt", "clip", "itself"], root, draw, close);
}

export default { render };
