// The form for a card: which template, which products, where it rests, and the template's own fields, made from
// its schema. The picture beside it is drawn by the server as the card would go on air, with what platforms cover.
import { $, allow, element } from "./dom.js";
import { said, t } from "./i18n.js";

const SLOTS = ["lower-left", "lower", "lower-right", "left", "center", "right", "upper-left", "upper", "upper-right", "band", "free"];

/** One input for a field of a schema; `read` gives its value for the API, nothing when it is empty. */
function input(name, field, value) {
  const start = value ?? field.default;
  const common = { name: `data.${name}`, id: `data-${name}` };
  if (field.enum) {
    const labels = field.gddOptions?.labels ?? {};
    const made = element("select", common, ...field.enum.map((choice) => new Option(labels[choice] ?? choice, choice, false, choice === start)));
    return { made, read: () => made.value };
  }
  if (field.type === "boolean") {
    const made = element("input", { ...common, type: "checkbox", checked: Boolean(start) });
    return { made, read: () => made.checked };
  }
  if (field.type === "array") {
    const made = element("textarea", { ...common, rows: 4, value: (start ?? []).join("\n"), placeholder: t("One a line") });
    const lines = () => made.value.split("\n").map((line) => line.trim()).filter(Boolean);
    return { made, read: () => (lines().length ? lines() : undefined) };
  }
  if (field.gddType === "duration-ms") {
    const made = element("input", { ...common, type: "number", min: 0, max: 86400, step: 1, value: start === undefined ? "" : start / 1000 });
    return { made, unit: t("seconds"), read: () => (made.value === "" ? undefined : Math.round(Number(made.value) * 1000)) };
  }
  if (field.type === "integer" || field.type === "number") {
    const step = field.type === "integer" ? 1 : "any";
    const made = element("input", { ...common, type: "number", min: field.minimum ?? "", max: field.maximum ?? "", step, value: start ?? "" });
    return { made, read: () => (made.value === "" ? undefined : Number(made.value)) };
  }
  if (field.format === "date-time") {
    const local = start ? new Date(new Date(start) - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 19) : "";
    const made = element("input", { ...common, type: "datetime-local", step: 1, value: local });
    return { made, read: () => (made.value ? new Date(made.value).toISOString() : undefined) };
  }
  if (field.gddType === "file-path/image-path") {
    let image = start;
    const made = element("input", { ...common, type: "file", accept: "image/*" });
    return { made, read: () => image, async upload(send) { if (made.files[0]) image = await send(made.files[0]); } };
  }
  const type = field.format === "uri" ? "url" : field.gddType === "color-rrggbb" ? "color" : "text";
  const made = field.gddType === "multi-line"
    ? element("textarea", { ...common, rows: 3, value: start ?? "" })
    : element("input", { ...common, type, value: start ?? "" });
  if (field.maxLength) made.maxLength = field.maxLength;
  return { made, read: () => made.value || undefined };
}

/** Opens the form; without a card for a new one. */
export function openCard({ card, isOn, state, channel, request, draw, send }) {
  const form = $("card-form"), field = form.elements;
  let inputs = {}, timer;
  form.reset();
  $("card-error").textContent = "";
  $("card-title").textContent = card ? t("Card {card}", { card: card.id }) : t("New card");
  field.id.value = card?.id ?? "";
  field.id.readOnly = Boolean(card);
  $("card-remove").hidden = !card;
  allow($("card-remove"), !isOn);
  field.template.replaceChildren(...state.templates.map((one) => new Option(one.name, one.id, false, one.id === card?.template)));
  field.template.disabled = Boolean(isOn);
  const template = () => state.templates.find((one) => one.id === field.template.value);
  const products = Object.values(state.products);
  const shown = card?.sku ? [card.sku] : card?.skus ?? [];
  field.products.replaceChildren(...products.map((one) => new Option(one.title, one.sku, false, shown.includes(one.sku))));
  field.slot.replaceChildren(...SLOTS.map((slot) => new Option(t(slot.replace("-", " ")), slot)));

  function build() {
    const chosen = template();
    const most = chosen.products === "none" ? 0 : chosen.products === "one" ? 1 : chosen.products.upTo;
    $("card-products").hidden = most === 0;
    field.products.multiple = most > 1;
    field.products.size = most > 1 ? Math.min(8, products.length) : 0;
    $("card-products-label").textContent = most > 1 ? t("Products (up to {most})", { most }) : t("Product");
    field.slot.value = card?.template === chosen.id && card.slot ? card.slot : chosen.slot;
    field.outS.value = card?.outMs === undefined ? "" : card.outMs / 1000;
    field.outS.placeholder = chosen.outMs ? chosen.outMs / 1000 : t("stays");
    field.x.value = (card?.position?.x ?? 0.5) * 100;
    field.y.value = (card?.position?.y ?? 0.5) * 100;
    inputs = {};
    const needed = chosen.schema?.required ?? [];
    const rows = Object.entries(chosen.schema?.properties ?? {}).map(([name, property]) => {
      const one = input(name, property, card?.template === chosen.id ? card.data?.[name] : undefined);
      one.made.required = needed.includes(name) && one.made.type !== "checkbox";
      inputs[name] = one;
      return element("label", {}, `${property.title ?? name}${one.unit ? ` (${one.unit})` : ""} `, one.made);
    });
    $("card-fields").replaceChildren(...rows);
    change();
  }

  function read() {
    const chosen = template();
    const skus = [...field.products.selectedOptions].map((option) => option.value);
    const data = {};
    for (const [name, one] of Object.entries(inputs)) if (one.read() !== undefined) data[name] = one.read();
    const made = { id: field.id.value || "draft", template: chosen.id, slot: field.slot.value, data, title: card?.title ?? null };
    for (const kept of ["scale", "z", "transition"]) if (card?.[kept] !== undefined) made[kept] = card[kept];
    if (chosen.products === "one") made.sku = skus[0] ?? null;
    else if (chosen.products !== "none") made.skus = skus;
    if (made.slot === "free") made.position = { x: field.x.value / 100, y: field.y.value / 100 };
    if (field.outS.value !== "") made.outMs = Math.round(field.outS.value * 1000);
    return made;
  }

  async function preview() {
    try {
      const { url, problems } = await draw(read(), channel);
      $("card-picture").src = url;
      $("card-error").textContent = problems.map((one) => said(one)).join(" ");
    } catch (error) { $("card-error").textContent = error.message; }
  }

  function change() {
    $("card-position").hidden = field.slot.value !== "free";
    clearTimeout(timer);
    timer = setTimeout(preview, 150);
  }

  async function attempt(work) {
    try {
      await work();
      $("card-editor").close();
    } catch (error) { $("card-error").textContent = error.message; }
  }

  field.template.onchange = build;
  form.oninput = (event) => { if (event.target !== field.template) change(); };
  $("card-remove").onclick = () => attempt(() => request("RemoveCard", { cardId: card.id }));
  form.onsubmit = (event) => {
    event.preventDefault();
    attempt(async () => {
      for (const one of Object.values(inputs)) if (one.upload) await one.upload(send);
      const made = read();
      if (!card && state.cards[made.id]) throw new Error(t("There is a card {card} already", { card: made.id }));
      if (!isOn) return request("PutCard", { ...made, ifRev: card ? rev : undefined });
      // On air it changes in place; what is no longer filled in is emptied.
      const gone = Object.keys(card.data ?? {}).filter((name) => !(name in made.data));
      const data = { ...made.data, ...Object.fromEntries(gone.map((name) => [name, null])) };
      await request("UpdateCard", { cardId: card.id, slot: made.slot, position: made.position ?? null, data, outMs: made.outMs ?? null, ifRev: rev });
    });
  };
  const rev = state.rev;
  build();
  $("card-editor").showModal();
}
