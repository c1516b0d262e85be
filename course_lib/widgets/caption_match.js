// Captions under pictures: swap them, and see every pair's score, the answers and the loss.
import { arrow, box, bytes, chooser, h, live, message, onKey, paint, put, readings, s, short, slider } from "./kit.js";

// ---- the mathematics, equal to course_lib.models.clip (tests/test_widgets.py compares them) ----

// Scores of picture i with the caption that lies under picture j.
export function placed(cosines, order, scale) {
  return cosines.map((row) => order.map((k) => scale * row[k]));
}

export function softmax(row) {
  const top = Math.max(...row), weights = row.map((v) => Math.exp(v - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

export const turned = (matrix) => matrix[0].map((_, j) => matrix.map((row) => row[j]));

// Both questions' answers, [picture][caption], and their mean surprise at the pairs as they lie.
export function answers(scores) {
  const rows = scores.map(softmax), columns = turned(turned(scores).map(softmax));
  const surprise = (p) => p.reduce((sum, row, i) => sum - Math.log(Math.max(row[i], 1e-300)), 0) / p.length;
  return { rows, columns, loss: (surprise(rows) + surprise(columns)) / 2 };
}

// How many rows have their highest entry on the diagonal, with no equal beside it.
export function agreed(answer) {
  return answer.filter((row, i) => row.every((p, j) => j === i || p < row[i])).length;
}

export function exchanged(order, i, j) {
  const next = [...order];
  [next[i], next[j]] = [next[j], next[i]];
  return next;
}

// ---- the picture of it ------------------------------------------------------------------------

const LEFT = 22, TOP = 22;

function render({ model, el }) {
  const { root, close } = box(el, "match", "Captions and pictures: which belong together?");
  const [n, height, width] = model.get("shape"), pixels = bytes(model.get("pixels"));
  const captions = model.get("captions"), cosines = model.get("cosines");
  const scales = model.get("scales"), asks = model.get("asks_for");
  if (!n || pixels.length !== 3 * n * height * width) {
    message(root, "The pictures of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  let picked = -1;
  const swap = (i, j) => {
    picked = -1;
    if (i === j) draw();
    else put(model, "order", exchanged(model.get("order"), i, j));
  };
  const cards = Array.from({ length: n }, (_, i) => {
    const canvas = h("canvas", { role: "img", "aria-label": `picture ${i + 1}` });
    paint(canvas, pixels.subarray(3 * i * height * width, 3 * (i + 1) * height * width), width, height, 3);
    const button = h("button", { type: "button", class: "cw-match-caption" });
    let moved = false;
    button.addEventListener("click", () => {
      if (moved) return (moved = false);
      if (picked < 0) picked = i;
      else return swap(picked, i);
      draw();
    });
    button.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      moved = false;
      const from = [event.clientX, event.clientY];
      const move = (e) => {
        if (Math.hypot(e.clientX - from[0], e.clientY - from[1]) < 6) return;
        moved = true;
        button.style.transform = `translate(${e.clientX - from[0]}px, ${e.clientY - from[1]}px)`;
      };
      const ends = new AbortController(), until = { signal: ends.signal };
      const end = () => {
        ends.abort();
        button.style.transform = "";
      };
      const drop = (e) => {
        end();
        if (!moved) return;
        const onto = cards.findIndex(({ node }) => {
          const r = node.getBoundingClientRect();
          return e.clientX >= r.left && e.clientX <= r.right && e.clientY >= r.top && e.clientY <= r.bottom;
        });
        if (onto >= 0) swap(i, onto);
      };
      button.setPointerCapture(event.pointerId);
      button.addEventListener("pointermove", (e) => (e.buttons ? move(e) : end()), until);
      button.addEventListener("pointerup", drop, until);
      button.addEventListener("pointercancel", end, until);
    });
    onKey(button, (event) => {
      moved = false; // a drop on another caption ends in no click
      const way = arrow(event);
      if (!way || !way[0]) return;
      event.preventDefault();
      const to = (i + way[0] + n) % n;
      swap(i, to);
      cards[to].button.focus();
    });
    return { node: h("div", { class: "cw-match-card" }, h("span", {}, String(i + 1)), canvas, button), button };
  });
  const matrix = s("svg", { role: "img" }), shown = readings();
  const said = h("p", { class: "cw-caption", "aria-live": "polite" });
  const dial = slider({
    label: "scale s", min: 0, max: scales.length - 1, value: scales.indexOf(model.get("scale")),
    text: (k) => String(scales[k]), change: (k) => put(model, "scale", scales[k]),
  });
  const question = chooser({ label: "question", options: asks, value: model.get("asks"), change: (one) => put(model, "asks", one) });
  const solve = h("button", { type: "button", click: () => put(model, "order", captions.map((_, k) => k)) }, "Put right");
  const turn = h("button", { type: "button", click: () => put(model, "order", model.get("order").map((_, k, all) => all[(k + 1) % n])) }, "Move all by one");
  root.append(h("div", { class: "cw-match-cards" }, ...cards.map(({ node }) => node)), shown.node,
    h("div", { class: "cw-match-matrix" }, matrix), said,
    h("div", { class: "cw-row" }, dial.node), h("div", { class: "cw-row" }, question.node, turn, solve));

  const draw = () => {
    const order = model.get("order"), scale = model.get("scale"), byRow = model.get("asks") === asks[0];
    const scores = placed(cosines, order, scale), { rows, columns, loss } = answers(scores);
    const answer = byRow ? rows : columns, right = order.filter((k, i) => k === i).length;
    cards.forEach(({ button }, i) => {
      button.textContent = captions[order[i]];
      button.setAttribute("aria-pressed", String(picked === i));
      button.setAttribute("aria-label", `${captions[order[i]]}, under picture ${i + 1}`);
    });
    const side = Math.max(24, Math.min(44, Math.floor((root.clientWidth - 30 - LEFT) / n)));
    const at = (i) => i * side;
    matrix.setAttribute("width", LEFT + n * side + 2);
    matrix.setAttribute("height", TOP + n * side + 2);
    matrix.replaceChildren(
      ...order.map((_, j) => s("text", { x: LEFT + at(j) + side / 2, y: TOP - 6, "text-anchor": "middle" }, String(j + 1))),
      ...order.map((_, i) => s("text", { x: LEFT - 8, y: TOP + at(i) + side / 2 + 4, "text-anchor": "end" }, String(i + 1))),
      ...answer.flatMap((row, i) => row.flatMap((p, j) => [
        s("rect", { x: LEFT + at(j), y: TOP + at(i), width: side, height: side, class: "cw-match-cell", "fill-opacity": p }),
        s("text", { x: LEFT + at(j) + side / 2, y: TOP + at(i) + side / 2 + 4, "text-anchor": "middle", class: p > 0.55 ? "cw-match-on" : "" }, side < 30 ? String(Math.round(100 * p)) : `${Math.round(100 * p)}%`),
      ])),
      ...order.map((_, i) => s("rect", { x: LEFT + at(i) + 1, y: TOP + at(i) + 1, width: side - 2, height: side - 2, class: "cw-match-own" })),
    );
    matrix.setAttribute("aria-label", `answers in percent, pictures in rows and captions in columns; ${agreed(byRow ? answer : turned(answer))} of ${n} favour the pair as it lies`);
    shown.show([
      ["loss", short(loss)], ["a blind guess", short(Math.log(n))],
      ["captions in place", `${right} of ${n}`], ["the model agrees", `${agreed(byRow ? answer : turned(answer))} of ${n}`],
    ]);
    said.textContent = picked >= 0 ? `"${captions[order[picked]]}" is picked: choose where it goes.`
      : `Rows are pictures, columns the captions under them. ${byRow ? "Each row adds up to 100 %: which caption is this picture's?" : "Each column adds up to 100 %: which picture is this caption's?"}`;
    dial.set(scales.indexOf(scale));
    question.set(model.get("asks"));
  };
  return live(model, ["order", "scale", "asks"], root, draw, close);
}

export default { render };
