// A U-Net as its module describes itself: the way down at the left, the way up at the right, each
// skip a straight line between them. Clicking a part shows its feature maps at one noise level.
import { box, bytes, chooser, grouped, h, live, lowered, message, onKey, paint, player, put, s, slider } from "./kit.js";

// ---- where everything stands ------------------------------------------------------------------

const ROW = 44, TALL = 36, GAP = 30, TOP = 6;

// A row for each skip: who leaves it stands at the left, who reads it at the right. Between two
// resolutions there is room for what grows the picture; below stands the middle.
export function layout(parts, width) {
  const wide = Math.min(176, Math.floor((width - 40) / 2)), right = width - wide;
  const rows = parts.filter((p) => p.skip !== null && p.name.match(/^(stem|down)/)).length;
  const left = Object.fromEntries(parts.filter((p) => p.name.match(/^(stem|down)/)).map((p) => [p.skip, p]));
  const readers = parts.filter((p) => p.name.startsWith("up") && p.skip !== null);
  const y = [], head = TOP;
  let at = TOP + TALL + GAP;
  for (let row = 0; row < rows; row++) {
    if (row && left[row].kind === "shrink") at += GAP;
    y.push(at);
    at += ROW;
  }
  let low = at + GAP - (ROW - TALL);
  const places = parts.map((p) => {
    if (p.kind === "head") return { x: right, y: head };
    if (p.kind === "middle") {
      const place = { x: (width - wide) / 2, y: low };
      low += ROW;
      return place;
    }
    if (p.kind === "grow") {
      const before = parts.slice(0, parts.indexOf(p)).filter((q) => readers.includes(q)).at(-1);
      return { x: right, y: y[before.skip] - GAP - 2, small: true };
    }
    return { x: p.name.startsWith("up") ? right : 0, y: y[p.skip] };
  });
  return { wide, rows: y, places, height: low };
}

export function called(part) {
  const kinds = { stem: "first conv", block: "block", shrink: "halve", grow: "double", head: "last conv" };
  if (part.kind === "middle") return part.attention ? "attention" : "block";
  return kinds[part.kind] + (part.attention ? " + attention" : "");
}

export const shape = (numbers) => numbers.join(" × ");

export function cost(part) {
  return `${grouped(part.parameters)} parameters, ${(part.flops / 1e6).toFixed(2)} million operations`;
}

// ---- the widget -------------------------------------------------------------------------------

function render({ model, el }) {
  const { root, close } = box(el, "unet", "A U-Net, part by part");
  const parts = model.get("parts"), labels = model.get("labels"), channels = model.get("channels");
  const maps = model.get("maps").map(bytes), cut = model.get("cut").map(bytes);
  const names = model.get("names"), shapes = model.get("shapes");
  const seen = model.get("seen").map(bytes), seenCut = model.get("seen_cut").map(bytes);
  const size = (k) => labels.length * channels[k] * parts[k].gives[1] * parts[k].gives[2];
  if (!parts.length || maps.some((m, k) => m.length !== size(k))) {
    message(root, "The feature maps of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const svg = s("svg", { class: "cw-unet-parts", role: "group", "aria-label": "the parts, in the order of the computation; arrow keys move along" });
  const key = h("p", { class: "cw-key cw-unet-key" }, ...[["data", "residual block"], ["model", "attention"], ["noise", "change of size"], ["good", "first and last convolution"]].map(
    ([name, text]) => h("span", {}, h("i", { style: `background:var(--cw-${name})` }), text)));
  const readout = h("p", { class: "cw-caption", "aria-live": "polite" });
  const strip = h("div", { class: "cw-unet-maps" });
  root.append(svg, key, readout);
  const control = labels.length ? slider({ label: "t", min: 0, max: labels.length - 1, value: model.get("level"), text: (i) => labels[i], change: (i) => put(model, "level", i) }) : null;
  const play = control ? player(control, 2) : null;
  const skips = cut.length ? chooser({ label: "skips", options: ["with skips", "skips cut"], value: model.get("whole") ? "with skips" : "skips cut", change: (which) => put(model, "whole", which === "with skips") }) : null;
  if (control) root.append(strip, h("div", { class: "cw-row" }, play.node, control.node, skips?.node));

  const pick = (k) => put(model, "part", Math.max(0, Math.min(parts.length - 1, k)));
  let boxes = [];
  const scene = () => {
    const focused = boxes.findIndex((b) => b === document.activeElement);
    const width = Math.max(280, Math.min(620, root.clientWidth - 30));
    const { wide, places, height } = layout(parts, width);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    svg.replaceChildren(s("defs", {}, s("marker", { id: "cw-unet-tip", viewBox: "0 0 6 6", refX: 5, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto-start-reverse" }, s("path", { d: "M0,0 L6,3 L0,6 z", fill: "context-stroke" }))));
    const tall = (k) => (places[k].small ? 22 : TALL);
    parts.forEach((p, k) => { // skips below everything
      if (p.skip === null || !p.name.startsWith("up")) return;
      const from = parts.findIndex((q) => q.skip === p.skip), y = places[k].y + TALL / 2;
      svg.append(s("line", { class: `cw-unet-skip${model.get("whole") ? "" : " cw-unet-gone"}`, x1: places[from].x + wide, x2: places[k].x - 1, y1: y, y2: y, "marker-end": "url(#cw-unet-tip)" }));
    });
    for (let k = 1; k < parts.length; k++) { // and the way through
      const a = places[k - 1], b = places[k], ax = a.x + wide / 2, bx = b.x + wide / 2;
      let d = b.y > a.y ? `M${ax},${a.y + tall(k - 1)} V${b.y - 1}` : `M${ax},${a.y} V${b.y + tall(k) + 1}`;
      if (ax !== bx) d = b.y > a.y ? `M${a.x + 24},${a.y + TALL} V${b.y + TALL / 2} H${b.x - 1}` : `M${a.x + wide},${a.y + TALL / 2} H${b.x + wide - 24} V${b.y + TALL + 1}`;
      svg.append(s("path", { class: "cw-unet-way", d, "marker-end": "url(#cw-unet-tip)" }));
    }
    boxes = parts.map((p, k) => {
      const { x, y, small } = places[k], now = k === model.get("part");
      const tint = ["shrink", "grow"].includes(p.kind) ? " cw-unet-size" : ["stem", "head"].includes(p.kind) ? " cw-unet-end" : "";
      const g = s("g", { class: "cw-unet-part", role: "button", tabindex: now ? 0 : -1, "aria-pressed": String(now), "aria-label": `${p.name}: ${called(p)}, gives ${shape(p.gives)}`, transform: `translate(${x},${y})`, click: () => pick(k) },
        s("rect", { width: wide, height: tall(k), rx: 5 }), s("rect", { class: `cw-unet-tint${tint}`, width: wide, height: tall(k), rx: 5 }));
      if (p.attention) g.append(s("rect", { class: "cw-unet-look", width: 5, height: tall(k), rx: 2 }));
      const text = (words, line, kind = "") => s("text", { x: 11, y: line, class: kind }, words);
      if (small) g.append(text(`double to ${p.gives[1]} × ${p.gives[2]}`, 15));
      else g.append(text(called(p), 15), text(shape(p.gives), 30, "cw-unet-shape"));
      onKey(g, (event) => {
        const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
        if (!step && event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        pick(k + (step ?? 0));
        boxes[model.get("part")].focus();
      });
      return g;
    });
    svg.append(...boxes);
    if (focused >= 0) boxes[model.get("part")].focus();
  };
  const picture = (data, wideness, tallness, name) => {
    const canvas = h("canvas", { role: "img", "aria-label": name });
    paint(canvas, data, wideness, tallness, 1);
    return h("figure", {}, canvas, h("figcaption", {}, lowered(name)));
  };
  const draw = () => {
    scene();
    const k = model.get("part"), level = model.get("level"), p = parts[k], whole = model.get("whole");
    const reads = p.name.startsWith("up") && p.skip !== null ? ` (${p.takes[0] - parts[k - 1].gives[0]} channels from skip ${p.skip})` : "";
    const leaves = p.skip !== null && !reads ? `, and leaves it as skip ${p.skip}` : "";
    readout.textContent = `${p.name}, ${called(p)}: takes ${shape(p.takes)}${reads}, gives ${shape(p.gives)}${leaves}; ${cost(p)}.`;
    if (!control) return;
    control.set(level);
    skips?.set(whole ? "with skips" : "skips cut");
    const [, height, width] = p.gives, area = height * width, from = !whole && cut[k]?.length ? cut[k] : maps[k];
    const shown = whole || !seenCut.length ? seen : seenCut;
    strip.replaceChildren(
      ...names.map((name, i) => picture(shown[i].subarray(level * shapes[i][1] * shapes[i][2], (level + 1) * shapes[i][1] * shapes[i][2]), shapes[i][2], shapes[i][1], name)),
      ...Array.from({ length: channels[k] }, (_, c) => picture(from.subarray((level * channels[k] + c) * area, (level * channels[k] + c + 1) * area), width, height, `map ${c + 1}`)),
    );
  };
  return live(model, ["part", "level", "whole"], root, draw, () => play?.stop(), close);
}

export default { render };
