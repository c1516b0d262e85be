// Prompts to numbers, as course_lib/models/tokenizer.py does. A plain module, joined like kit.js.

const PAD = 0, START = 1, END = 2, SPECIAL = 3; // the first three numbers stand for no text
const count = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
// The 256 bytes, those that Latin-1 prints with a face first.
const FACES = [...count(0x21, 0x7f), ...count(0xa1, 0xad), ...count(0xae, 0x100)];
const ALPHABET = [...FACES, ...count(0, 256).filter((byte) => !FACES.includes(byte))];
// What Python calls a space, but for the separators 1c to 1f.
const EMPTY = /[\t-\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const RUN = /_?L+|_?N+|_?O+|[_S]+(?![LNO])|[_S]+/y;
const SHORT = /'(?:[sdmt]|ll|ve|re)/y;

function kind(sign) {
  if (sign === " ") return "_";
  if (EMPTY.test(sign)) return "S";
  return /\p{L}/u.test(sign) ? "L" : /\p{N}/u.test(sign) ? "N" : "O";
}

// What Python's strip() takes off: all of EMPTY, the space, and those four separators.
const BLANK = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const without = (signs) => (text) => text.replace(new RegExp(`^[${signs}]+|[${signs}]+$`, "gu"), "");
const stripped = without(BLANK), bare = without(`${BLANK}\\p{P}`);

// The text cut where no piece may reach across: runs of letters, digits or other marks.
export function words(text) {
  const signs = Array.from(text), kinds = signs.map(kind).join(""), found = [];
  // One place for each sign, also where JavaScript writes it as two.
  const plain = signs.map((sign) => (sign.length > 1 ? "?" : sign)).join("");
  for (let at = 0; at < signs.length; ) {
    SHORT.lastIndex = RUN.lastIndex = at;
    const length = (SHORT.exec(plain) ?? RUN.exec(kinds))[0].length;
    found.push(signs.slice(at, at + length).join(""));
    at += length;
  }
  return found;
}

// A tokenizer by its merges, pairs of numbers in the order in which they were learnt.
export function tokenizer(merges) {
  const pieces = ["", "", "", ...ALPHABET.map((byte) => String.fromCharCode(byte))];
  const number = new Map(pieces.map((piece, n) => [piece, n]).slice(SPECIAL)), ranks = new Map();
  merges.forEach(([a, b], rank) => {
    const piece = pieces[a] + pieces[b];
    if (!number.has(piece)) number.set(piece, pieces.push(piece) - 1);
    ranks.set(`${a},${b}`, [rank, number.get(piece)]);
  });
  const join = (ids) => { // the earliest merge that is possible, at each place from left to right
    let best;
    for (let i = 0; i + 1 < ids.length; i++) {
      const found = ranks.get(`${ids[i]},${ids[i + 1]}`);
      if (found && (!best || found[0] < best.rank)) best = { rank: found[0], into: found[1], a: ids[i], b: ids[i + 1] };
    }
    if (!best) return undefined;
    const joined = [];
    for (let i = 0; i < ids.length; i++) {
      const here = ids[i] === best.a && ids[i + 1] === best.b;
      joined.push(here ? best.into : ids[i]);
      i += here;
    }
    return joined;
  };
  const encode = (text) => words(text).flatMap((word) => {
    let ids = Array.from(new TextEncoder().encode(word), (byte) => number.get(String.fromCharCode(byte)));
    for (let next = join(ids); next; next = join(next)) ids = next;
    return ids;
  });
  // START, the pieces, END, then PAD; what does not fit is left out.
  const row = (text, length) => {
    const inside = [START, ...encode(text).slice(0, length - 2), END];
    return Int32Array.from({ length }, (_, i) => inside[i] ?? PAD);
  };
  // Python shows a byte that is no letter's part as U+FFFD, and so does this.
  const decode = (ids) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(ids.map((id) => pieces[id]).join(""), (sign) => sign.charCodeAt(0)));
  // What a model will not have read of a text, in words; known: the pieces that it met in training.
  const remarks = (text, length, known) => {
    if (!stripped(text)) return ["the prompt is empty: the model draws as without one"];
    const said = [], ids = encode(text), lost = ids.slice(length - 2), met = new Set(known);
    const read = words(decode(ids.slice(0, length - 2)).replace(/\ufffd+$/, "")); // of a letter cut in two
    const strange = (word) => bare(word) && encode((word[0] === " " ? " " : "") + bare(word)).some((id) => !met.has(id));
    const found = new Set(read.filter(strange).map(bare));
    if (found.size) said.push(`never met in training: ${[...found].join(", ")}`);
    if (lost.length) said.push(`too long by ${lost.length} of ${ids.length} pieces, left out: '${stripped(decode(lost))}'`);
    return said;
  };
  return { encode, row, remarks };
}
