// What the course's widgets share. Plain ES module, no dependencies; joined to each widget's own
// module by base.py, because anywidget loads modules from a blob that can import no neighbour.

// ---- what Python sent ---------------------------------------------------------------------

// A Bytes trait arrives as a DataView, live and from a saved state alike.
export function bytes(value) {
  if (!value || value.byteLength === undefined) return new Uint8Array();
  const buffer = value.buffer ?? value;
  return new Uint8Array(buffer, value.byteOffset ?? 0, value.byteLength);
}

export function int16(value) {
  const raw = bytes(value); // copied, for an Int16Array must start at an even byte
  return new Int16Array(raw.slice().buffer);
}

export function float32(value) {
  return new Float32Array(bytes(value).slice().buffer);
}

export function put(model, key, value) {
  model.set(key, value);
  model.save_changes();
}

// ---- elements -----------------------------------------------------------------------------

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// "x_t" as people write it, with the t below the line.
export function lowered(text) {
  return text.split(/(_(?:[0-9]|[A-Za-z])(?![A-Za-z0-9]))/).filter(Boolean).map((part) => (/^_.$/.test(part) ? h("sub", {}, part[1]) : part));
}

// The widget's outer box. JupyterLab listens for keys on the whole document and would take the
// arrows from a slider; listening on the window, before it, keeps them here. Tab, Escape and
// anything with a modifier still belong to JupyterLab.
const keyHandlers = new WeakMap();

export function box(el, name, label) {
  const root = h("section", { class: `course-widget cw-${name}`, "aria-label": label });
  const keep = (event) => {
    if (!root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && event.key === "Enter") return;
    if (event.key === "Tab" || event.key === "Escape" || event.key === "Shift") return;
    event.stopImmediatePropagation();
    keyHandlers.get(event.target)?.(event);
  };
  window.addEventListener("keydown", keep, true);
  el.append(root);
  return { root, close: () => window.removeEventListener("keydown", keep, true) };
}

export function onKey(node, handler) {
  keyHandlers.set(node, handler);
}

// Arrow keys as steps in the plane: [right, up], or undefined for another key.
export function arrow(event) {
  return { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
}

export function message(root, text) {
  root.append(h("p", { class: "cw-message", role: "note" }, text));
}

// Named numbers in a row, each [name, value as text, class]; show(rows) writes them.
export function readings() {
  const node = h("div", { class: "cw-numbers" });
  const cell = ([name, value, kind]) => h("div", { class: kind }, h("span", {}, lowered(name)), h("b", {}, value));
  return { node, show: (rows) => node.replaceChildren(...rows.map(cell)) };
}

// ---- controls -----------------------------------------------------------------------------

// A labelled slider with − and + buttons, which a thumb can hit and no host steals.
export function slider({ label, min, max, step = 1, value, text = String, change }) {
  const input = h("input", { type: "range", min, max, step, value, "aria-label": label });
  const output = h("output", { "aria-live": "off" }); // the slider itself says its value
  const less = h("button", { type: "button", class: "cw-step", "aria-label": `${label}: less` }, "−");
  const more = h("button", { type: "button", class: "cw-step", "aria-label": `${label}: more` }, "+");
  const read = () => Number(input.value);
  const show = () => {
    output.textContent = text(read());
    input.setAttribute("aria-valuetext", text(read()));
    less.setAttribute("aria-disabled", read() <= min); // disabled, they would drop the focus
    more.setAttribute("aria-disabled", read() >= max);
  };
  const set = (to) => { // from outside: shows, tells nobody
    input.value = to;
    show();
  };
  const move = (to) => {
    set(to);
    change(read());
  };
  input.addEventListener("input", () => move(read()));
  less.addEventListener("click", () => read() > min && move(read() - step));
  more.addEventListener("click", () => read() < max && move(read() + step));
  show();
  const node = h("div", { class: "cw-slider" }, h("span", { class: "cw-label" }, lowered(label)), less, input, more, output);
  return { node, input, read, set, move };
}

// Plays a slider from where it stands to its end; pressed at the end, from the start.
export function player(control, perSecond = 8) {
  const button = h("button", { type: "button", class: "cw-play" }, "Play");
  let timer;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    button.textContent = "Play";
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    const max = Number(control.input.max), step = Number(control.input.step);
    if (control.read() >= max) control.move(Number(control.input.min));
    button.textContent = "Pause";
    timer = setInterval(() => {
      control.move(control.read() + step);
      if (control.read() >= max || !button.isConnected) stop();
    }, 1000 / perSecond);
  });
  control.input.addEventListener("pointerdown", stop);
  control.input.addEventListener("input", stop); // by keys; what the player sets is no input
  for (const step of control.node.querySelectorAll(".cw-step")) step.addEventListener("click", stop);
  return { node: button, stop };
}

// One of a few named options, as buttons in a row.
export function chooser({ label, options, value, change }) {
  const buttons = options.map((option) => h("button", { type: "button", "aria-pressed": String(option === value) }, option));
  const set = (option) => buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(options[i] === option)));
  buttons.forEach((button, i) => button.addEventListener("click", () => {
    set(options[i]);
    change(options[i]);
  }));
  return { node: h("div", { class: "cw-chooser", role: "group", "aria-label": label }, buttons), set };
}

// ---- drawing ------------------------------------------------------------------------------

// Calls draw() now, when one of the model's `keys` changes, when the box changes width, and when the
// page goes dark or light. Returns what render() must: a function that ends all this, and `ends` too.
export function live(model, keys, root, draw, ...ends) {
  let width = -1;
  const sized = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    draw();
  });
  const themed = new MutationObserver(draw);
  sized.observe(root);
  themed.observe(document.documentElement, { attributeFilter: ["data-theme"] }); // the website
  themed.observe(document.body, { attributeFilter: ["data-jp-theme-light", "class"] }); // JupyterLab
  keys.forEach((key) => model.on(`change:${key}`, draw));
  return () => {
    keys.forEach((key) => model.off(`change:${key}`, draw));
    themed.disconnect();
    sized.disconnect();
    ends.forEach((end) => end());
  };
}

export function colour(root, name) {
  return getComputedStyle(root).getPropertyValue(`--cw-${name}`).trim();
}

// Sizes a canvas in CSS pixels and gives a context that draws in them, sharp on any screen.
export function sharp(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

// Grey or colour bytes, [height, width, channels], onto a canvas of exactly that size.
export function paint(canvas, data, width, height, channels) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let p = 0; p < width * height; p++) {
    for (let c = 0; c < 3; c++) image.data[4 * p + c] = data[p * channels + (channels === 3 ? c : 0)];
    image.data[4 * p + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// n grey pictures side by side, a bright column after each.
export function paintRow(canvas, data, n, width, height) {
  const wide = n * (width + 1), row = new Uint8Array(wide * height).fill(255);
  for (let k = 0; k < n; k++)
    for (let y = 0; y < height; y++)
      row.set(data.subarray((k * height + y) * width, (k * height + y + 1) * width), y * wide + k * (width + 1));
  paint(canvas, row, wide, height, 1);
}

// Makes the circle `node` a handle in `svg`, to drag by mouse, pen or touch; move(x, y) in CSS
// pixels of `svg`. An unseen ring around it is as wide as a finger, and takes hold of it, too.
const grips = new WeakMap();

export function drag(node, svg, move) {
  const grip = s("circle", { r: matchMedia("(pointer: coarse)").matches ? 22 : 12, fill: "transparent", cursor: "grab" });
  grips.set(node, grip);
  const start = (event) => {
    if (event.button) return; // a menu belongs to the other buttons
    event.preventDefault();
    node.focus();
    node.setPointerCapture(event.pointerId);
    const rect = node.getBoundingClientRect(), off = [event.clientX - rect.x - rect.width / 2, event.clientY - rect.y - rect.height / 2];
    const ends = new AbortController(), until = { signal: ends.signal }, stop = () => ends.abort();
    const at = (e) => {
      const { left, top } = svg.getBoundingClientRect();
      move(e.clientX - left - off[0], e.clientY - top - off[1]);
    };
    node.addEventListener("pointermove", (e) => (e.buttons ? at(e) : stop()), until);
    node.addEventListener("pointerup", stop, until);
    node.addEventListener("pointercancel", stop, until);
  };
  for (const one of [node, grip]) {
    // Keeps the page from scrolling away under the finger; inside SVG, touch-action does not.
    one.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    one.addEventListener("pointerdown", start);
  }
}

// Puts a handle and its ring where they belong; the rings lie below all handles.
export function place(node, cx, cy) {
  const grip = grips.get(node);
  if (!grip.parentNode) node.parentNode.insertBefore(grip, node.parentNode.querySelector("[tabindex]"));
  for (const one of [node, grip]) fill(one, { cx, cy }, []);
}

// The square plane of side 2 extent that `svg` shows. px() leads from it to pixels, point() back;
// knob() is a point in it to drag, or to move with the arrow keys, which says where it stands.
export function plane(svg, extent) {
  const size = () => Number(svg.getAttribute("width")), inside = (p) => p.map((v) => Math.max(-extent, Math.min(extent, v)));
  const px = ([x, y]) => [((x / extent + 1) * size()) / 2, ((1 - y / extent) * size()) / 2];
  const point = (x, y) => inside([((2 * x) / size() - 1) * extent, (1 - (2 * y) / size()) * extent]);
  const knob = (name, attributes, step, read, write) => {
    const says = `${name}: drag it, or move it with the arrow keys`;
    const node = s("circle", { ...attributes, tabindex: 0, role: "slider", "aria-label": says, "aria-valuemin": -extent, "aria-valuemax": extent }, s("title", {}, says));
    drag(node, svg, (x, y) => write(point(x, y)));
    onKey(node, (event) => {
      const way = arrow(event);
      if (!way) return;
      event.preventDefault();
      write(inside(read().map((v, d) => v + step * way[d])));
    });
    const show = () => {
      place(node, ...px(read()));
      fill(node, { "aria-valuenow": read()[0], "aria-valuetext": pair(read()) }, []);
    };
    return { node, show };
  };
  return { px, point, knob };
}

// ---- numbers ------------------------------------------------------------------------------

// A seeded standard normal (mulberry32, Box–Muller): the same picture of noise on every machine.
export function normals(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z = (z + Math.imul(z ^ (z >>> 7), z | 61)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

// Three significant digits, as a person writes them: 0.0412, 1.02, 2.91 × 10⁻⁵.
export function short(x) {
  if (x === 0) return "0";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const sign = x < 0 ? "−" : "", size = Math.abs(x);
  if (size >= 0.001 && size < 10000) return sign + String(Number(size.toPrecision(3)));
  let power = Math.floor(Math.log10(size)), head = (size / 10 ** power).toFixed(2);
  if (head === "10.00") [head, power] = ["1.00", power + 1];
  return `${sign}${Number(head)} × ${tenTo(power)}`;
}

// Text with the sign of minus where a hyphen stands for it.
export function minus(text) {
  return String(text).replace(/(^|[\s(])-(?=\d)/g, "$1−");
}

export function pair(p) {
  return minus(`(${p.map((v) => v.toFixed(2)).join(", ")})`);
}

// 12345 as 12,345.
export function grouped(n) {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
}

// 1234 millions as 1.23 G, 0 as none.
export function counted(millions) {
  if (millions === 0) return "none";
  if (millions >= 1e6) return `${short(millions / 1e6)} T`;
  return millions >= 1000 ? `${short(millions / 1000)} G` : `${short(millions)} M`;
}

export function tenTo(power) {
  return `10${String(power).replace(/[-\d]/g, (d) => (d === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]))}`;
}
