// The reader's ticks on the website: one at the end of each chapter, and marks on what was read.
// tools/frontend.py puts `course` before it: its chapters { number, title, file } and routes.
import { along, mark, onProgress, progress } from "./progress.js";

const chapterOf = ({ pathname }) => pathname.match(/notebooks\/(\d\d)_[^/]*\.html$/)?.[1];
const here = chapterOf(location);
const root = document.documentElement.dataset.content_root;
const box = document.createElement("div"), tick = document.createElement("input"), next = document.createElement("p");

function draw() {
  const { read, route } = progress();
  for (const link of document.querySelectorAll(".bd-sidenav a, .front-path a")) link.classList.toggle("was-read", read.includes(chapterOf(link)));
  tick.checked = read.includes(here);
  const ahead = along(course.chapters, course.routes, route).filter(({ file, number }) => file && number > here);
  const to = tick.checked && ahead.find(({ number }) => !read.includes(number));
  next.hidden = !to;
  if (!to) return;
  const link = document.createElement("a");
  link.href = `${root}notebooks/${to.file}.html`;
  link.textContent = `${to.number} · ${to.title}`;
  next.replaceChildren(route ? `Next on your route (${route}): ` : "Next: ", link);
}

if (here) {
  const label = document.createElement("label");
  tick.type = "checkbox";
  tick.addEventListener("change", () => mark(here, tick.checked));
  label.append(tick, " I have read this chapter");
  box.className = "reading-tick";
  next.setAttribute("aria-live", "polite");
  box.append(label, next);
  document.querySelector(".bd-article")?.append(box);
}
onProgress(draw);
draw();

// Paper is white, whatever the screen is.
const page = document.documentElement;
let theme;
addEventListener("beforeprint", () => {
  theme = page.dataset.theme;
  page.dataset.theme = "light";
});
addEventListener("afterprint", () => (page.dataset.theme = theme));
