// Brings saved widgets to life on a page that has no kernel: no CDN, no eval, no RequireJS.
//
// A plain script rather than a module, so that the site also works when it is opened from disk.
// It reads the widget state that the notebook was saved with, gives each widget a model made of
// that state, and lets the widget's own code (course_lib/widgets/NAME.js) draw into the page.
(() => {
  const here = new URL(".", document.currentScript.src);
  const inPage = document.querySelector('script[type="application/vnd.jupyter.widget-state+json"]');
  // tools/light.py takes it out of the page and gives it to a script of its own.
  const { state: states } = window.courseSaved ?? JSON.parse(inPage?.textContent ?? '{"state": {}}');
  window.courseWidgets = {}; // filled by the scripts that are loaded below
  const loading = new Map();
  const models = new Map();

  function decode(text) {
    return new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  }

  // What anywidget calls a model: traits by name, and events when one changes.
  function makeModel(id) {
    if (models.has(id)) return models.get(id);
    const { state, buffers = [] } = states[id], listeners = new Map();
    for (const { path, data } of buffers) {
      const parent = path.slice(0, -1).reduce((value, key) => value[key], state);
      parent[path.at(-1)] = decode(data);
    }
    const emit = (event, ...values) => [...(listeners.get(event) ?? [])].forEach((call) => call(...values));
    const model = {
      folder: here.href, // where the site keeps its files; a kernel's model has none
      get: (key) => state[key],
      set(key, value) {
        if (state[key] === value) return;
        state[key] = value;
        emit(`change:${key}`, model, value);
        emit("change", model);
      },
      save_changes() {},
      send() {},
      on: (event, call) => listeners.set(event, [...(listeners.get(event) ?? []), call]),
      off: (event, call) => listeners.set(event, (listeners.get(event) ?? []).filter((other) => call && other !== call)),
    };
    models.set(id, model);
    return model;
  }

  function load(name) {
    if (!loading.has(name)) {
      loading.set(name, new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = new URL(`${name}.js`, here).href;
        script.onload = () => done(window.courseWidgets[name]);
        script.onerror = () => failed(new Error(`no widget is called ${name}`));
        document.head.append(script);
      }));
    }
    return loading.get(name);
  }

  function say(el, text) {
    const note = document.createElement("p");
    note.className = "course-widget";
    note.setAttribute("role", "note");
    note.textContent = text;
    el.replaceChildren(note);
  }

  async function bring(id, el) {
    const state = states[id]?.state;
    if (!state) return say(el, "This interactive figure was saved without its data. Open the notebook and run the cell to see it.");
    // Other widgets, such as progress bars, need a kernel and have nothing to show here.
    if (!state._anywidget_id?.startsWith("course_lib.widgets.")) return;
    try {
      const widget = await load(state._anywidget_id.split(".").at(-2)); // course_lib.widgets.NAME.Class
      widget.render({ model: makeModel(id), el });
    } catch (error) {
      say(el, "This interactive figure could not be drawn here. It works in the notebook.");
      setTimeout(() => { throw error; }); // to the console; the next one is still drawn
    }
  }

  // Each when it comes near, for drawing takes time that a phone has not got while a page opens;
  // after ten seconds the rest, one after the other, for whoever prints the page.
  const places = new Map();
  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) if (isIntersecting) draw(target);
  }, { rootMargin: "800px 0px" });

  async function draw(el) {
    const tag = places.get(el);
    if (!places.delete(el)) return;
    near.unobserve(el);
    await bring(JSON.parse(tag.textContent).model_id, el);
  }

  for (const tag of document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')) {
    const el = document.createElement("div");
    tag.after(el);
    places.set(el, tag);
    near.observe(el);
  }
  setTimeout(async () => {
    for (const el of [...places.keys()]) {
      await draw(el);
      await new Promise((go) => setTimeout(go, 100));
    }
  }, 10_000);
})();
