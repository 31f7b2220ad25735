// The pages' words in other languages. English is the key; a language is a file in lang/, named by its code, and nothing else.

const fetched = (path) => fetch(path).then((response) => (response.ok ? response.json() : {})).catch(() => ({}));

/** Every language there is: code to its own name. */
export const languages = { en: "English", ...await fetched("/assets/lang.json") };

/** A browser that keeps nothing refuses to be asked, and a viewer's player must not end by that. */
function chosen() {
  try { return localStorage.getItem("language"); } catch { return null; }
}

/** The one that was chosen here, or else the first of the browser's that is there. */
export const language = (() => {
  const wanted = [chosen(), ...navigator.languages].filter(Boolean);
  return wanted.map((code) => code.split("-")[0].toLowerCase()).find((code) => languages[code]) ?? "en";
})();

const words = language === "en" ? {} : await fetched(`/assets/lang/${language}.json`);

/** `text` in the page's language, with `values` where {their names} stand. */
export function t(text, values = {}) {
  return fill(words[text] ?? text, values);
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** The server's own sentences, those with {gaps} that say the most first. */
const sentences = words.server ?? {};
const patterns = Object.keys(sentences).filter((key) => /\{\w+\}/.test(key)).sort((a, b) => b.length - a.length).map((key) => ({
  key, names: [...key.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
  pattern: new RegExp(`^${key.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("(.+?)")}$`, "s"),
}));
const known = new Map();
/** What is longer is no sentence of ours, and takes too long to be looked at. */
const MOST = 2000;
/** Gaps that hold words of the server; others hold names. */
const TOLD = ["reason", "error", "detail", "doubts", "missing", "role", "needed", "field", "problem"];

/** What the server says, in the page's language as far as its file goes; English else. */
export function said(text, depth = 0) {
  if (!text || !patterns.length || depth > 4 || text.length > MOST) return text;
  if (!known.has(text)) {
    if (known.size > 1000) known.clear();
    known.set(text, translated(text, depth + 1));
  }
  return known.get(text);
}

function translated(text, depth) {
  const word = sentences[text] ?? words[text];
  if (typeof word === "string") return word;
  // A field, and what is wrong with it.
  const [, field, rest] = /^(\w[\w.]*): (.+)$/s.exec(text) ?? [];
  if (rest && said(rest, depth) !== rest) return `${said(field, depth)}：${said(rest, depth)}`;
  for (const { key, names, pattern } of patterns) {
    const found = pattern.exec(text);
    const value = (name, n) => (TOLD.includes(name) ? found[n + 1].split("; ").map((one) => said(one, depth)).join("；") : found[n + 1]);
    if (found) return fill(sentences[key], Object.fromEntries(names.map((name, n) => [name, value(name, n)])));
  }
  return text;
}

/** What stands in the page's own source. */
function translate(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, text = node.data.trim().replace(/\s+/g, " ");
    if (text && words[text]) node.data = node.data.replace(node.data.trim(), words[text]);
  }
  for (const name of ["placeholder", "aria-label", "alt", "title"]) {
    for (const one of root.querySelectorAll(`[${name}]`)) one.setAttribute(name, t(one.getAttribute(name)));
  }
}

document.documentElement.lang = language;
translate(document.body);

/** Lets people choose in every `select.language`. */
for (const select of document.querySelectorAll("select.language")) {
  select.replaceChildren(...Object.entries(languages).map(([code, name]) => new Option(name, code, code === language, code === language)));
  select.addEventListener("change", () => { localStorage.setItem("language", select.value); location.reload(); });
}
