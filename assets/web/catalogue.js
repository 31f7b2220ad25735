// The dialog with all products: files from shops come in here, after a look at what they would change.
import { $, allow, element } from "./dom.js";
import { said, t } from "./i18n.js";

const SHOWN = 50;

/** Fields of a product, as people call them. */
export const FIELDS = { priceMinor: "Price", oldPriceMinor: "Old price", stock: "Stock", link: "Link", currency: "Currency", title: "Title" };

/** Joins the dialog. `edit(product)` opens a product's form, `upload(sku, file)` sends a picture. */
export function joinCatalogue({ state, request, upload, edit, money, isConnected }) {
  let shown = SHOWN, file = null;

  /* The list */
  function found() {
    const words = $("catalogue-search").value.trim().toLowerCase();
    const has = (product) => !words || `${product.sku} ${product.title}`.toLowerCase().includes(words);
    return Object.values(state.products).filter(has);
  }

  function item(product) {
    const cards = Object.values(state.cards).filter((card) => card.sku === product.sku || card.skus?.includes(product.sku));
    const make = element("button", {
      type: "button", textContent: t("Make a card"), hidden: cards.length > 0,
      onclick: () => attempt(() => request("PutCard", { id: product.sku, sku: product.sku })),
    });
    make.setAttribute("aria-label", t("Make a card of {product}", { product: product.title }));
    const change = element("button", { type: "button", textContent: t("Edit"), onclick: () => edit(product) });
    change.setAttribute("aria-label", t("Edit {product}", { product: product.title }));
    const left = product.stock == null ? "" : product.stock === 0 ? ` · ${t("Sold out")}` : ` · ${t("{n} left", { n: product.stock })}`;
    return element("li", {},
      element("span", { className: "words", textContent: product.title }),
      element("span", { className: "quiet", textContent: `${product.sku} · ${money(product.priceMinor, product.currency)}${left}${product.image ? "" : ` · ${t("no picture")}`}` }),
      element("span", { className: "spacer" }), make, change);
  }

  function draw() {
    if (!$("catalogue").open) return;
    const products = found();
    $("products").replaceChildren(...products.slice(0, shown).map(item));
    $("products-more").hidden = products.length <= shown;
    $("products-count").textContent = t("{n} of {all} products", { n: products.length, all: Object.keys(state.products).length });
    drawPictures(state.pictures);
  }

  function drawPictures(progress) {
    const { waiting = 0, done = 0, problems = [] } = progress ?? {};
    $("pictures-state").textContent = waiting ? t("Pictures: {done} there, {waiting} to come", { done, waiting }) : "";
    $("pictures-problems").replaceChildren(...problems.slice(-20).map((one) => element("li", { textContent: `${one.sku}: ${said(one.reason)}` })));
  }

  function say(text) { $("catalogue-error").textContent = text; }
  async function attempt(work) {
    say("");
    try { await work(); } catch (error) { say(error.message); }
  }

  /* A file */
  async function send(options) {
    const field = $("import-form").elements;
    const words = new URLSearchParams({ ...options, cards: field.cards.checked, leaveOut: field.leaveOut.checked });
    for (const name of ["format", "shop"]) if (field[name].value.trim()) words.set(name, field[name].value.trim());
    if (field.currency.value.trim()) words.set("currency", field.currency.value.trim().toUpperCase());
    const response = await fetch(`/api/v1/import/file?${words}`, { method: "POST", body: file });
    const answer = await response.json();
    if (!response.ok) throw new Error(said(answer.detail));
    return answer;
  }

  /** What is different, as people read it. */
  function changes(line) {
    const known = state.products[line.sku]?.currency;
    const { currency = known } = line.fields;
    const [before, after] = Array.isArray(currency) ? currency : [currency, currency];
    const written = (name, value, currency) => (value === null || value === undefined ? t("nothing") : name.endsWith("Minor") ? money(value, currency) : value);
    return Object.entries(line.fields).filter(([name, value]) => value !== null && FIELDS[name] && !(line.isNew && ["title", "currency"].includes(name)))
      .map(([name, value]) => `${t(FIELDS[name])} ${Array.isArray(value) ? `${written(name, value[0], before)} → ${written(name, value[1], after)}` : written(name, value, after)}`).join(", ");
  }

  function drawReport(report) {
    const counts = [[report.added, "{n} new"], [report.changed, "{n} different"], [report.unchanged, "{n} as they are"], [report.passedOverCount, "{n} passed over"],
      [report.problemCount, "{n} with mistakes"], [report.doubtCount, "{n} with a price to look at"]];
    $("import-summary").textContent = counts.filter(([count]) => count).map(([count, word]) => t(word, { n: count })).join(", ") || t("The file changes nothing.");
    $("import-format").textContent = t("Read as {format}, {encoding}.", report);
    const rows = (notes) => notes.map((note) => element("li", { textContent: t("Row {row}, {sku}: {reason}", { row: note.row, sku: note.sku || "–", reason: said([note.field, note.reason].filter(Boolean).join(": ")) }) }));
    $("import-problems").replaceChildren(...rows(report.problems));
    $("import-passed").replaceChildren(...rows(report.passedOver));
    $("import-doubts").replaceChildren(...report.doubts.map((doubt) => element("li", { textContent: `${doubt.sku}: ${t(FIELDS[doubt.field] ?? doubt.field)}: ${said(doubt.reason)}` })));
    $("import-lines").replaceChildren(...report.lines.map((line) => element("li", {},
      element("strong", { textContent: line.isNew ? t("New: {title}", line) : line.title }), element("span", { className: "quiet", textContent: ` ${line.sku}: ${changes(line)}` }))));
    $("import-confirm").hidden = !report.doubtCount;
    const field = $("import-form").elements;
    field.confirmed.checked = false;
    const canBe = () => report.added + report.changed > 0
      && (!report.problemCount || field.leaveOut.checked) && (!report.doubtCount || field.confirmed.checked);
    const tell = () => { allow($("import-take"), canBe(), isConnected()); };
    field.leaveOut.onchange = field.confirmed.onchange = tell;
    $("import-leave-out").hidden = !report.problemCount;
    $("import-report").hidden = false;
    tell();
  }

  async function look() {
    if (!file) return;
    $("import-report").hidden = true;
    await attempt(async () => drawReport(await send({ dryRun: true })));
  }

  $("import-form").elements.file.addEventListener("change", (event) => { [file] = event.target.files; look(); });
  for (const name of ["format", "currency", "shop", "cards"]) $("import-form").elements[name].addEventListener("change", look);
  $("import-form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      const report = await send({ confirmed: event.target.elements.confirmed.checked });
      event.target.reset();
      file = null;
      $("import-report").hidden = true;
      $("import-done").textContent = t("Taken: {added} new, {changed} different.", report);
    });
  });

  /* Pictures by their names: cup.jpg is the picture of cup. */
  $("pictures-files").addEventListener("change", (event) => attempt(async () => {
    const wrong = [];
    for (const picture of event.target.files) {
      const sku = picture.name.replace(/\.[^.]+$/, "");
      if (!state.products[sku]) { wrong.push(t("{file}: there is no product {sku}", { file: picture.name, sku })); continue; }
      try { await upload(sku, picture); } catch (error) { wrong.push(`${picture.name}: ${error.message}`); }
    }
    event.target.value = "";
    if (wrong.length) throw new Error(wrong.join("; "));
  }));

  $("catalogue-search").addEventListener("input", () => { shown = SHOWN; draw(); });
  $("products-more").addEventListener("click", () => { shown += SHOWN * 4; draw(); });
  $("catalogue-open").addEventListener("click", () => { $("import-done").textContent = ""; $("catalogue").showModal(); draw(); });
  return { draw };
}
