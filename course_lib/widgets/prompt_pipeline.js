// From prompt to pixel: stages as buttons in a row, one of them laid open below.
import { box, chooser, counted, grouped, h, live, lowered, message, put, readings, short, slider } from "./kit.js";

// How often a stage is used for one picture. A guided step asks the U-Net twice, and a guided
// picture has two prompts, its own and the negative one. Shares of a walk are whole steps.
export function uses(when, steps, guided, share = 1) {
  const twice = guided ? 2 : 1;
  return when === "evaluation" ? twice * Math.floor(steps * share) : when === "prompt" ? twice : 1;
}

// [multiply-adds in millions, seconds or null] of one picture, stage by stage.
export function bill(stages, steps, guided, share) {
  return stages.map((one) => {
    const n = uses(one.when, steps, guided, share);
    return [n * one.macs, one.seconds === null ? null : n * one.seconds];
  });
}

function render({ model, el }) {
  const stages = model.get("stages"), tasks = model.get("tasks"), stops = model.get("stops"), device = model.get("device");
  const { root, close } = box(el, "pipeline", "From prompt to pixel");
  if (!stages.length || !tasks.length) {
    message(root, "The numbers of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const names = tasks.map((one) => one.name), HOW = ["guided", "not guided"];
  const what = chooser({ label: "task", options: names, value: names[model.get("task")], change: (one) => {
    const at = names.indexOf(one);
    put(model, "task", at);
    if (!tasks[at].stages.includes(model.get("stage"))) put(model, "stage", tasks[at].stages[0]);
  } });
  const how = chooser({ label: "guidance", options: HOW, value: HOW[0], change: (one) => put(model, "guided", one === HOW[0]) });
  const dial = slider({
    label: "steps", min: 0, max: stops.length - 1, value: model.get("index"), text: (k) => String(stops[k]), change: (k) => put(model, "index", k),
  });
  const buttons = stages.map((one, k) => {
    const bar = h("i", { class: "cw-pipeline-bar" });
    const button = h("button", { type: "button", class: "cw-pipeline-stage", click: () => put(model, "stage", k) },
      h("b", {}, one.name), h("span", {}, lowered(one.gives)), bar);
    return { button, bar, node: h("li", {}, button) };
  });
  const way = h("ol", { class: "cw-pipeline-way" }), facts = h("div", { class: "cw-pipeline-facts" });
  const says = h("p", { "aria-live": "polite" }), open = h("div", { class: "cw-pipeline-open" }, says, facts), numbers = readings();

  let onWay, told;
  const draw = () => {
    const task = tasks[model.get("task")], at = model.get("stage"), guided = model.get("guided"), steps = stops[model.get("index")];
    const here = task.stages.map((k) => stages[k]), costs = bill(here, steps, guided, task.share);
    const total = costs.reduce((sum, [macs]) => sum + macs, 0);
    if (task !== onWay) way.replaceChildren(...task.stages.map((k) => buttons[k].node)); // else the focus would be lost
    onWay = task;
    task.stages.forEach((k, place) => {
      const share = total ? costs[place][0] / total : 0;
      buttons[k].button.setAttribute("aria-pressed", String(k === at));
      buttons[k].button.setAttribute("aria-label", `${stages[k].name}, gives ${stages[k].gives}, ${Math.round(100 * share)} % of the multiply-adds`);
      buttons[k].bar.style.width = `${(100 * share).toFixed(1)}%`;
    });
    const place = task.stages.indexOf(at), one = stages[at], n = uses(one.when, steps, guided, task.share);
    const row = (name, value) => h("div", {}, h("span", {}, name), h("b", {}, lowered(value)));
    if (at !== told) says.replaceChildren(h("b", {}, one.name), ": ", ...lowered(one.says)); // else it would be read out again
    told = at;
    facts.replaceChildren(
      row("takes", one.takes), row("gives", one.gives),
      row("parameters", one.parameters ? grouped(one.parameters) : "none"),
      row("multiply-adds, each use", counted(one.macs)),
      row("uses", grouped(n)),
      ...(one.seconds === null ? [] : [row("seconds, each use", short(one.seconds))]),
      row("share of the picture", total ? `${(100 * costs[place][0] / total).toFixed(1)} %` : "0 %"));
    const seconds = costs.reduce((sum, [, s]) => sum + (s ?? 0), 0), learned = [...new Set(task.stages)].reduce((sum, k) => sum + stages[k].parameters, 0);
    numbers.show([
      ["multiply-adds of a picture", counted(total), ""], ["parameters in use", grouped(learned), ""],
      ...(device ? [[`on ${device}`, seconds >= 90 ? `${short(seconds / 60)} min` : `${short(seconds)} s`, ""]] : []),
    ]);
    dial.set(model.get("index"));
    what.set(task.name);
    how.set(HOW[Number(!guided)]);
  };
  root.append(h("div", { class: "cw-row" }, what.node), h("div", { class: "cw-row" }, how.node, dial.node), way, open, numbers.node);
  return live(model, ["task", "stage", "guided", "index"], root, draw, close);
}

export default { render };
