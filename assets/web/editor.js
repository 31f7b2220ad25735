// The form for a product and its card. Amounts are typed as people write them and sent in minor units.
import { $ } from "./dom.js";

/** "19.99" to 1999 without passing through a float; an Error when it is no amount. */
export function toMinor(text, currency, table) {
  const digits = table[currency];
  if (digits === undefined) throw new Error(`“${currency}” is not a currency code such as CNY or USD`);
  const match = /^(\d{1,12})(?:[.,](\d+))?$/.exec(text.trim());
  if (!match || (match[2] ?? "").length > digits) {
    throw new Error(`“${text}” is not an amount in ${currency} (${digits} digits after the point)`);
  }
  return Number(match[1] + (match[2] ?? "").padEnd(digits, "0"));
}

/** 1999 to "19.99". `table` has each currency's digits, from the server: browsers' own tables differ. */
function fromMinor(minor, currency, table) {
  if (minor == null) return "";
  const digits = table[currency] ?? 0;
  return (minor / 10 ** digits).toFixed(digits);
}

/** Opens the form; without a card for a new product. */
export function openEditor({ card, product, isOn, state, digits, request, upload }) {
  const form = $("product"), field = form.elements, rev = state.rev;
  form.reset();
  $("editor-error").textContent = "";
  $("editor-title").textContent = card ? "Edit product" : "New product";
  $("remove").hidden = !card;
  $("remove").disabled = Boolean(isOn);
  field.sku.readOnly = Boolean(card);
  if (product) {
    field.sku.value = product.sku;
    field.title.value = card.title ?? product.title;
    field.currency.value = product.currency;
    field.price.value = fromMinor(product.priceMinor, product.currency, digits);
    field.oldPrice.value = fromMinor(product.oldPriceMinor, product.currency, digits);
    field.stock.value = product.stock ?? "";
    field.link.value = product.link ?? "";
    field.slot.value = card.slot;
  }
  $("remove").onclick = () => attempt(async () => {
    await request("RemoveCard", { cardId: card.id });
    await request("RemoveProduct", { sku: product.sku });
  });
  $("cancel").onclick = () => $("editor").close();
  form.onsubmit = (event) => {
    event.preventDefault();
    attempt(() => save(field, { card, product, rev, state, digits, request, upload }));
  };
  $("editor").showModal();
}

async function attempt(work) {
  try {
    await work();
    $("editor").close();
  } catch (error) { $("editor-error").textContent = error.message; }
}

async function save(field, { card, product, rev, state, digits, request, upload }) {
  const currency = field.currency.value;
  const sku = field.sku.value;
  if (!card && state.products[sku]) throw new Error(`There is a product ${sku} already`);
  // What somebody else changed meanwhile and this form does not show stays as it is now.
  const now = state.products[sku];
  const changed = {
    sku,
    title: card?.title ? now.title : field.title.value,
    image: now?.image ?? null,
    priceMinor: toMinor(field.price.value, currency, digits),
    oldPriceMinor: field.oldPrice.value ? toMinor(field.oldPrice.value, currency, digits) : null,
    currency,
    stock: field.stock.value === "" ? null : Number(field.stock.value),
    link: field.link.value || null,
  };
  await request("PutProduct", { ...changed, ifRev: product ? rev : undefined });
  if (!card) await request("PutCard", { id: sku, sku, slot: field.slot.value });
  else await request("UpdateCard", { cardId: card.id, slot: field.slot.value, ...(card.title ? { title: field.title.value } : {}) });
  if (field.image.files[0]) await upload(sku, field.image.files[0]);
}
