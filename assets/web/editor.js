// The form for a product and its card. Amounts are typed as people write them and sent in minor units.
import { $, allow } from "./dom.js";
import { t } from "./i18n.js";

/** "19.99" to 1999 without passing through a float; an Error when it is no amount. */
export function toMinor(text, currency, table) {
  const digits = table[currency];
  if (digits === undefined) throw new Error(t("“{currency}” is not a currency code such as CNY or USD", { currency }));
  const match = /^(\d{1,12})(?:[.,](\d+))?$/.exec(text.trim());
  if (!match || (match[2] ?? "").length > digits) {
    throw new Error(t("“{text}” is not an amount in {currency} ({digits} digits after the point)", { text, currency, digits }));
  }
  return Number(match[1] + (match[2] ?? "").padEnd(digits, "0"));
}

/** 1999 to "19.99". `table` has each currency's digits, from the server: browsers' own tables differ. */
export function fromMinor(minor, currency, table) {
  if (minor == null) return "";
  const digits = table[currency] ?? 0;
  return (minor / 10 ** digits).toFixed(digits);
}

/** Opens the form; without a product for a new one, which gets a card too. */
export function openEditor({ card, product, isOn, state, digits, request, upload }) {
  const form = $("product"), field = form.elements, rev = state.rev;
  form.reset();
  $("editor-error").textContent = "";
  $("editor-title").textContent = t(product ? "Edit product" : "New product");
  $("remove").hidden = !product;
  allow($("remove"), !isOn);
  field.sku.readOnly = Boolean(product);
  field.slot.closest("label").hidden = Boolean(product && !card);
  if (product) {
    field.sku.value = product.sku;
    field.title.value = card?.title ?? product.title;
    field.currency.value = product.currency;
    field.price.value = fromMinor(product.priceMinor, product.currency, digits);
    field.oldPrice.value = fromMinor(product.oldPriceMinor, product.currency, digits);
    field.stock.value = product.stock ?? "";
    field.link.value = product.link ?? "";
    if (card) field.slot.value = card.slot;
  }
  $("remove").onclick = () => attempt(async () => {
    // Both or neither: the server keeps a product that a card shows.
    const others = Object.values(state.cards).filter((one) => one.id !== card?.id && (one.sku === product.sku || one.skus?.includes(product.sku)));
    if (others.length) throw new Error(t("Other cards show it too: {cards}. Remove it there first.", { cards: others.map((one) => one.id).join(", ") }));
    if (card) await request("RemoveCard", { cardId: card.id });
    await request("RemoveProduct", { sku: product.sku });
  });
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
  if (!product && state.products[sku]) throw new Error(t("There is a product {sku} already", { sku }));
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
  if (!product) await request("PutCard", { id: sku, sku, slot: field.slot.value });
  if (card) await request("UpdateCard", { cardId: card.id, slot: field.slot.value, ...(card.title ? { title: field.title.value } : {}) });
  if (field.image.files[0]) await upload(sku, field.image.files[0]);
}
