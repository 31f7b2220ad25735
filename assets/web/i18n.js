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
  return (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
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
