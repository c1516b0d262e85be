// Papers in the order of their dates, one row a year; the chosen one shows its neighbours.
import { box, chooser, h, live, message, put, s } from "./kit.js";
import { along, duration, follow, mark, onProgress, progress } from "./progress.js";

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

// The chapter's page on the website, or its notebook in JupyterLab, which opens it by itself when
// a link carries this command (its "command linker").
function chapterLink(file, text) {
  const root = document.documentElement.dataset.content_root; // set by Sphinx; absent in JupyterLab
  if (root !== undefined) return h("a", { href: `${root}notebooks/${file}.html` }, text);
  const open = decodeURIComponent(location.pathname.split("/tree/")[1] ?? ""); // what the address names
  const folder = open.endsWith(".ipynb") ? open.split("/").slice(0, -1) : ["notebooks"];
  const path = [...folder, `${file}.ipynb`].join("/");
  return h("a", {
    href: `${file}.ipynb`, click: (event) => event.preventDefault(),
    "data-commandlinker-command": "docmanager:open", "data-commandlinker-args": JSON.stringify({ path }),
  }, text);
}

function render({ model, el }) {
  const { root, close } = box(el, "papers", "Map of papers and chapters");
  const papers = model.get("papers"), edges = model.get("edges"), parts = model.get("parts");
  // The website knows which chapters it holds; a saved notebook knows which there were.
  const written = window.courseWidgets?.chapters ?? model.get("written");
  const minutes = window.courseWidgets?.minutes ?? model.get("minutes") ?? {}, routes = model.get("routes") ?? [];
  if (!papers.length) {
    message(root, "The papers of this map are missing from the saved page. Run the cell again in the notebook.");
    return close;
  }
  const byId = new Map(papers.map((p) => [p.id, p]));
  const chapters = new Map(parts.flatMap((part, k) => part.chapters.map((c) => [c.number, { ...c, part: k, partName: part.name }])));
  const inOrder = [...chapters.values()];
  const choose = (id) => put(model, "chosen", id);
  const shade = (paper) => (chapters.get(paper.chapter)?.part ?? 0) % 8;
  const chips = new Map(papers.map((p) => [p.id, h("button", {
    type: "button", class: `cw-chip cw-part${shade(p)} ${written[p.chapter] ? "cw-written" : "cw-planned"}`, title: p.title, click: () => choose(p.id),
  }, p.short)]));

  const years = [...new Set(papers.map((p) => p.date.slice(0, 4)))];
  const rows = years.map((year) => h("div", { class: "cw-year" }, h("h3", {}, year), h("div", { class: "cw-chips" }, papers.filter((p) => p.date.startsWith(year)).map((p) => chips.get(p.id)))));
  const lines = s("svg", { class: "cw-lines", "aria-hidden": "true" });
  const board = h("div", { class: "cw-board" }, lines, rows);
  const details = h("div", { class: "cw-details", "aria-live": "polite" });
  const key = h("p", { class: "cw-legend" }, parts.map((part, k) => papers.some((p) => chapters.get(p.chapter)?.part === k) ? h("span", {}, h("i", { class: `cw-part${k % 8}` }), part.name) : null), h("span", {}, h("i", { class: "cw-dash" }), "chapter planned"));
  const two = h("div", { class: "cw-two" }, board, details);

  // ---- the way: a route, how far the reader is on it, what comes next ----
  const ALL = "everything";
  const pick = chooser({ label: "route", options: [ALL, ...routes.map((route) => route.name)], value: ALL, change: (name) => follow(name === ALL ? "" : name) });
  const ticks = { next: undefined, chosen: undefined }; // the chapters that the two boxes stand for
  const ticker = (place) => {
    const input = h("input", { type: "checkbox", change: () => mark(ticks[place], input.checked) });
    return { input, node: h("label", { class: "cw-tick" }, input, "I have read it") };
  };
  const done = h("p", { "aria-live": "polite" }), next = h("p", {}), nextTick = ticker("next"), chosenTick = ticker("chosen");
  const title = ({ number, title }) => `${number} ${title}`;
  const toRead = (number) => (minutes[number] ? `, ${duration(minutes[number])} to read` : "");
  const way = () => {
    const { read, route } = progress(), known = routes.some(({ name }) => name === route);
    pick.set(known ? route : ALL);
    const here = along(inOrder, routes, route), there = here.filter(({ number }) => written[number]);
    const total = there.reduce((sum, { number }) => sum + (minutes[number] ?? 0), 0);
    const been = there.filter(({ number }) => read.includes(number)).length;
    const standing = `${here.length} chapters${there.length < here.length ? `, ${there.length} of them written` : ""}${total ? `, about ${Math.round(total / 60)} h to read` : ""}. You have read ${been}.`;
    if (done.textContent !== standing) done.textContent = standing; // else it would be read out again
    const ahead = there.find(({ number }) => !read.includes(number)), held = document.activeElement === nextTick.input;
    ticks.next = ahead?.number;
    nextTick.input.checked = false;
    nextTick.input.setAttribute("aria-label", `I have read chapter ${ticks.next}`);
    next.replaceChildren(...(ahead ? ["Next: ", chapterLink(written[ahead.number], title(ahead)), `${toRead(ahead.number)} `, nextTick.node] : ["All that is written of it is read."]));
    if (held && ahead) nextTick.input.focus({ preventScroll: true });
    const numbers = new Set(here.map(({ number }) => number));
    for (const p of papers) {
      const chip = chips.get(p.id);
      chip.textContent = `${read.includes(p.chapter) ? "✓ " : ""}${p.short}`;
      chip.classList.toggle("cw-aside", !numbers.has(p.chapter));
    }
  };
  root.append(h("div", { class: "cw-row" }, h("span", { class: "cw-label" }, "Route"), pick.node), h("div", { class: "cw-way" }, done, next), two, key);

  const neighbours = (id, [from, to]) => edges.filter((e) => e[from] === id).map((e) => byId.get(e[to]));
  const list = (text, some) => (some.length ? h("p", {}, `${text} `, some.map((p) => h("button", { type: "button", class: "cw-link", click: () => (choose(p.id), chips.get(p.id).focus()) }, p.short))) : null);

  const draw = () => {
    const held = document.activeElement === chosenTick.input; // which is moved, and would lose the keys
    way();
    const id = model.get("chosen"), paper = byId.get(id);
    const before = paper ? neighbours(id, [1, 0]) : [], after = paper ? neighbours(id, [0, 1]) : [];
    const near = new Set([id, ...before.map((p) => p.id), ...after.map((p) => p.id)]);
    chips.forEach((chip, key) => {
      chip.setAttribute("aria-pressed", String(key === id));
      chip.classList.toggle("cw-near", near.has(key));
      chip.classList.toggle("cw-far", Boolean(paper) && !near.has(key));
    });
    if (paper) {
      const chapter = chapters.get(paper.chapter), file = written[paper.chapter];
      ticks.chosen = paper.chapter;
      chosenTick.input.checked = progress().read.includes(paper.chapter);
      chosenTick.input.setAttribute("aria-label", `I have read chapter ${paper.chapter}`);
      const [year, month] = paper.date.split("-"), name = `Chapter ${paper.chapter}: ${chapter?.title ?? ""}`;
      details.replaceChildren(...[
        h("h4", {}, paper.title),
        h("p", { class: "cw-caption" }, `${paper.authors}, ${MONTHS[month - 1]} ${year}`, paper.arxiv ? ` · arXiv:${paper.arxiv}` : ""),
        h("p", {}, paper.brought),
        h("p", {}, ...(file ? [chapterLink(file, name), toRead(paper.chapter)] : [`${name} (planned)`])),
        file ? h("p", {}, chosenTick.node) : null,
        list("Stands on:", before), list("Led to:", after),
      ].filter(Boolean));
    }
    lines.replaceChildren();
    // On a narrow page the details open below the chosen paper's year; the paper stays where it is.
    const seen = chips.get(id)?.getBoundingClientRect().top;
    const narrow = root.clientWidth < 640, row = chips.get(id)?.closest(".cw-year");
    if (narrow && row) row.after(details);
    else two.append(details);
    if (held) chosenTick.input.focus({ preventScroll: true });
    if (narrow && row && root.contains(document.activeElement)) window.scrollBy({ top: chips.get(id).getBoundingClientRect().top - seen, behavior: "instant" });
    const from = board.getBoundingClientRect();
    lines.setAttribute("width", from.width);
    lines.setAttribute("height", from.height);
    const point = (key, low) => {
      const r = chips.get(key).getBoundingClientRect();
      return [r.left - from.left + r.width / 2, (low ? r.bottom : r.top) - from.top];
    };
    for (const [a, b] of narrow ? [] : edges.filter((e) => e.includes(id))) {
      const [x1, y1] = point(a, true), [x2, y2] = point(b, false), bend = Math.max(14, (y2 - y1) / 2);
      lines.append(s("path", { d: `M${x1},${y1} C${x1},${y1 + bend} ${x2},${y2 - bend} ${x2},${y2}`, class: b === id ? "cw-in" : "cw-out" }));
    }
  };
  return live(model, ["chosen"], root, draw, close, onProgress(draw));
}

export default { render };
