// What the reader's browser remembers of the course: the chapters that were ticked, and the route.
// The same on the website and in JupyterLab; nothing is sent. A plain module, joined like kit.js.

const KEY = "diffusion-step-by-step"; // in the browser's store, and the event's name

// { read: ["00", "07"], route: "engineer" }; where the browser keeps nothing, the open page does.
export function progress() {
  let saved = globalThis[KEY];
  try {
    saved = localStorage.getItem(KEY);
  } catch {} // a private window may refuse
  try {
    const { read, route } = JSON.parse(saved);
    return { read: read.map(String), route: String(route) };
  } catch {
    return { read: [], route: "" };
  }
}

function keep(next) {
  globalThis[KEY] = JSON.stringify(next);
  try {
    localStorage.setItem(KEY, globalThis[KEY]);
  } catch {}
  dispatchEvent(new Event(KEY));
}

export function mark(number, done) {
  const { read, route } = progress(), others = read.filter((one) => one !== number);
  keep({ read: done ? [...others, number].sort() : others, route });
}

export function follow(route) {
  keep({ ...progress(), route });
}

// Calls when something was ticked, here or in another tab; returns what ends this.
export function onProgress(call) {
  const elsewhere = (event) => [KEY, null].includes(event.key) && call();
  addEventListener(KEY, call);
  addEventListener("storage", elsewhere);
  return () => {
    removeEventListener(KEY, call);
    removeEventListener("storage", elsewhere);
  };
}

// The chapters of a route, or all where there is none of that name.
export function along(chapters, routes, name) {
  const route = routes.find((one) => one.name === name);
  return route ? chapters.filter((chapter) => route.chapters.includes(chapter.number)) : chapters;
}

// Minutes as people say them: 45 min, 2 h, 2 h 30.
export function duration(minutes) {
  const hours = Math.floor(minutes / 60), rest = Math.round(minutes % 60);
  return hours ? `${hours} h${rest ? ` ${rest}` : ""}` : `${rest} min`;
}
