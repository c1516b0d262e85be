// Questions one below the other; each answer is explained at once, the route comes at the end.
import { box, h, live, put } from "./kit.js";
import { follow } from "./progress.js";

// What the answers come to: how many are right of those that can be, what to look up, which route.
export function result(questions, routes, answers) {
  const points = Object.fromEntries(routes.map((route) => [route.name, 0]));
  let right = 0, asked = 0;
  const lookUp = new Set();
  questions.forEach((question, i) => {
    const choice = question.choices[answers[i]];
    if (!choice) return;
    for (const [name, n] of Object.entries(choice.points)) points[name] += n;
    if (!question.choices.some((c) => c.right)) return;
    asked += 1;
    if (choice.right) right += 1;
    else if (question.about) lookUp.add(question.about);
  });
  const best = Math.max(...Object.values(points));
  return { right, asked, lookUp: [...lookUp], points, route: routes.find((route) => points[route.name] === best) };
}

function render({ model, el }) {
  const { root, close } = box(el, "quiz", "Quiz");
  const questions = model.get("questions"), routes = model.get("routes");
  const blocks = questions.map((question, i) => {
    const knows = question.choices.some((c) => c.right);
    const why = h("p", { class: "cw-why", "aria-live": "polite" });
    const buttons = question.choices.map((choice, c) => h("button", {
      type: "button", "aria-pressed": "false",
      click: () => put(model, "answers", model.get("answers").map((a, j) => (j === i ? c : a))),
    }, choice.text));
    const node = h("fieldset", {}, h("legend", {}, `${i + 1}. ${question.ask}`), h("div", { class: "cw-choices" }, buttons), why);
    const draw = (chosen) => {
      buttons.forEach((b, c) => {
        b.setAttribute("aria-pressed", String(c === chosen));
        b.className = c !== chosen || !knows ? "" : question.choices[c].right ? "cw-right" : "cw-wrong";
      });
      const choice = question.choices[chosen];
      why.textContent = choice ? (knows ? (choice.right ? "Yes. " : "Not quite. ") : "") + choice.why : "";
    };
    return { node, draw };
  });
  const end = h("div", { class: "cw-end", "aria-live": "polite" });
  const again = h("button", { type: "button", click: () => (put(model, "answers", questions.map(() => -1)), root.querySelector("button").focus()) }, "Start again");
  root.append(...blocks.map((b) => b.node), end);
  let told; // the route that was recommended; a quiz saved with its answers recommends none anew

  const draw = () => {
    const answers = model.get("answers"), open = answers.filter((a) => a < 0).length;
    blocks.forEach((block, i) => block.draw(answers[i]));
    if (open) told = "";
    if (open) return end.replaceChildren(h("p", { class: "cw-caption" }, `${questions.length - open} of ${questions.length} answered`));
    const { right, asked, lookUp, route } = result(questions, routes, answers);
    if (route && told !== undefined && route.name !== told) follow((told = route.name));
    end.replaceChildren(...[
      route ? h("p", { class: "cw-route" }, "Your route: ", h("strong", {}, route.name), ". The map of the course shows it.") : null,
      route ? h("p", {}, route.text) : null,
      asked ? h("p", {}, `${right} of ${asked} right. ${lookUp.length ? `Worth a look first: ${lookUp.join("; ")}.` : ""}`) : null,
      again,
    ].filter(Boolean));
  };
  return live(model, ["answers"], root, draw, close);
}

export default { render };
