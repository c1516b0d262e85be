// From TeX to MathML, with MathJax as the reader. formulas.py runs this when the book is built.
//
// MathML leaves the space around a sign to the browser, which cannot tell the minus of "a - b" from
// that of "(-b)". TeX can, so its spaces are written out.
const { TeX } = MathJax._.input.tex_ts;
const { SerializedMmlVisitor } = MathJax._.core.MmlTree.SerializedMmlVisitor;
MathJax._.handlers.html_ts.RegisterHTMLHandler(MathJax._.adaptors.liteAdaptor.liteAdaptor());
const page = MathJax._.mathjax.mathjax.document("", { InputJax: new TeX({ packages: ["base", "ams"] }) });
const SPACES = { thinmathspace: "0.167em", mediummathspace: "0.222em", thickmathspace: "0.278em" };

function writeSpace(node) {
  const width = SPACES[node.texSpacing()];
  if (!width) return;
  const siblings = node.parent.childNodes, place = siblings.indexOf(node), before = siblings[place - 1];
  if (node.isEmbellished) node.coreMO().attributes.set("lspace", width);
  else if (before?.isEmbellished) before.coreMO().attributes.set("rspace", width);
  else {
    const space = node.factory.create("mspace", { width });
    space.parent = node.parent;
    siblings.splice(place, 0, space);
  }
}

function toMathML(tex, display) {
  const root = page.convert(tex, { display, end: MathJax._.core.MathItem.STATE.CONVERT });
  root.setTeXclass(null);
  const nodes = [];
  root.walkTree((node) => nodes.push(node));
  for (const node of nodes) if (node.isKind("mo")) node.attributes.setList({ lspace: "0", rspace: "0" });
  for (const node of nodes) if (node.parent && !node.isKind("text")) writeSpace(node);
  return new SerializedMmlVisitor().visitTree(root);
}
