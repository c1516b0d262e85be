// Typesets what the reader sees first, and then the rest, some equations at a time: one can scroll
// and click meanwhile, where MathJax would do all at once. (jupyter_book.yml has it wait for this.)
const typeset = async () => {
  if (!window.MathJax?.startup?.promise) return;
  await MathJax.startup.promise;
  // Its letters first: set in another font, the lines would move once more when they come.
  document.head.append(MathJax.chtmlStylesheet());
  const letters = ["MJXZERO", "MJXTEX", "MJXTEX-I"].map((name) => document.fonts.load(`1em ${name}`));
  await Promise.race([Promise.allSettled(letters), new Promise((go) => setTimeout(go, 3000))]);
  const some = 12; // each time, the whole page is laid out anew
  const pause = () => new Promise((go) => (window.requestIdleCallback ?? setTimeout)(go, { timeout: 500 }));
  const seen = (node) => {
    const { top, bottom } = node.getBoundingClientRect();
    return bottom > 0 && top < 1.5 * innerHeight;
  };
  const all = [...document.querySelectorAll(".math")], first = new Set(all.filter(seen));
  if (first.size) await MathJax.typesetPromise([...first]);
  const rest = all.filter((node) => !first.has(node));
  for (let i = 0; i < rest.length; i += some) {
    await pause();
    await MathJax.typesetPromise(rest.slice(i, i + some));
  }
};
// Whatever is not set by now shows its source: see layout.html.
typeset().finally(() => document.documentElement.classList.remove("math-waits"));
