// Where the compute goes: a bar for each f, the U-Net's part and the autoencoder's.
import { box, chooser, counted, h, live, message, put, readings, short, slider } from "./kit.js";

// Millions of multiply-adds for one picture, U-Net and autoencoder. A picture is drawn by `steps`
// evaluations, twice as many if guided, and decoded once. A step of training encodes once and costs
// three evaluations: one forwards, about two backwards.
export function cost(unet, encode, decode, steps, guided, training) {
  return training ? [3 * unet, encode] : [steps * (guided ? 2 : 1) * unet, decode];
}

function render({ model, el }) {
  const names = model.get("names"), sizes = model.get("sizes"), stops = model.get("stops");
  const unet = model.get("unet"), encode = model.get("encode"), decode = model.get("decode");
  const { root, close } = box(el, "compute", "Where the compute goes");
  if (!names.length) {
    message(root, "The numbers of this widget are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const WHAT = ["draw a picture", "one picture of a training step"], HOW = ["guided", "not guided"];
  const what = chooser({ label: "what is paid for", options: WHAT, value: WHAT[Number(model.get("training"))], change: (one) => put(model, "training", one === WHAT[1]) });
  const how = chooser({ label: "guidance", options: HOW, value: HOW[Number(!model.get("guided"))], change: (one) => put(model, "guided", one === HOW[0]) });
  const dial = slider({
    label: "steps", min: 0, max: stops.length - 1, value: model.get("index"), text: (k) => String(stops[k]), change: (k) => put(model, "index", k),
  });
  const walk = h("div", { class: "cw-row" }, how.node, dial.node);
  const bars = names.map((name, k) => {
    const net = h("i", { class: "cw-compute-net" }), own = h("i", { class: "cw-compute-auto" }), said = h("span", { class: "cw-compute-said" });
    const bar = h("div", { class: "cw-compute-bar", role: "img" }, net, own);
    return { net, own, said, bar, node: h("div", { class: "cw-compute-row" }, h("div", {}, h("b", {}, `f = ${name}`), h("span", {}, ` ${sizes[k]}`)), bar, said) };
  });
  const key = h("p", { class: "cw-key" }, h("span", {}, h("i", { class: "cw-compute-net" }), "U-Net"), h("span", {}, h("i", { class: "cw-compute-auto" }), "autoencoder"));
  const numbers = readings();

  const draw = () => {
    const training = model.get("training"), guided = model.get("guided"), at = model.get("index");
    const costs = names.map((_, k) => cost(unet[k], encode[k], decode[k], stops[at], guided, training));
    const totals = costs.map(([net, own]) => net + own), most = Math.max(...totals);
    bars.forEach(({ net, own, said, bar }, k) => {
      net.style.width = `${(100 * costs[k][0]) / most}%`;
      own.style.width = `${(100 * costs[k][1]) / most}%`;
      const share = Math.round((100 * costs[k][1]) / totals[k]);
      said.textContent = `${counted(totals[k])}, ${share} % of it the autoencoder's`;
      bar.setAttribute("aria-label", `f = ${names[k]}: U-Net ${counted(costs[k][0])}, autoencoder ${counted(costs[k][1])}`);
    });
    numbers.show(names.slice(1).map((name, k) => [`f = ${name}: less than f = ${names[0]} by`, `× ${short(totals[0] / totals[k + 1])}`, ""]));
    walk.hidden = training;
    walk.style.display = training ? "none" : "";
    dial.set(at);
    what.set(WHAT[Number(training)]);
    how.set(HOW[Number(!guided)]);
  };
  root.append(h("div", { class: "cw-row" }, what.node), walk, key, ...bars.map((bar) => bar.node), numbers.node);
  return live(model, ["training", "guided", "index"], root, draw, close);
}

export default { render };
