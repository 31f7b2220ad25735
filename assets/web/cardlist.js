// The list of all cards. A row is made anew only when it shows something else, and its picture is fetched when it comes into
// sight: ten thousand cards cost no more than those that are looked at.
import { $, element } from "./dom.js";
import { t } from "./i18n.js";

const SHOWN = 60;

/** `room`: `state`, `channel()`, `onAir()`, `titleOf(card)`, `can(role)`, `ask(name, data)`, `previews`, `canAdd()`, `add(cardId)`,
 *  `edit(card)` for the product, `design(card)` for the card. */
export function joinCards(room) {
  let shown = SHOWN;
  const rows = new Map();
  const sight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      sight.unobserve(target);
      const card = room.state.cards[target.dataset.card];
      if (card) room.previews.into(target, card);
    }
  }, { rootMargin: "400px" });

  const steps = (card) => room.state.templates.find((template) => template.id === card.template)?.steps ?? 1;

  function row(card, airing) {
    const isOn = Boolean(airing);
    const image = element("img", { alt: room.titleOf(card), width: 672, height: 184 });
    image.dataset.card = card.id;
    const button = (text, onclick, more = {}) => element("button", { type: "button", textContent: t(text), onclick, ...more });
    const take = button(isOn ? "Take off air" : "Put on air",
      () => room.ask(isOn ? "HideCard" : "ShowCard", { cardId: card.id, channel: room.channel() }), { className: "take" });
    take.dataset.card = card.id;
    take.setAttribute("aria-pressed", isOn);
    const next = button("Next step", () => room.ask("NextStep", { cardId: card.id, channel: room.channel() }),
      { disabled: !room.can("producer") || !isOn || airing.step >= steps(card), hidden: steps(card) < 2 });
    const isPinned = Boolean(airing?.isPinned);
    const pin = button(isPinned ? "Explained" : "Explain now",
      () => room.ask("PinProduct", isPinned ? { sku: null, channel: room.channel() } : { sku: card.sku, cardId: card.id, channel: room.channel() }),
      { className: "pin", disabled: !room.can("producer"), hidden: !card.sku });
    pin.setAttribute("aria-pressed", isPinned);
    const edit = button("Edit", () => room.edit(card), { disabled: !room.can(isOn ? "producer" : "assistant"), hidden: !card.sku });
    const design = button("Card…", () => room.design(card), { disabled: !room.can(isOn ? "producer" : "assistant") });
    const toRundown = button("To rundown", () => room.add(card.id), { disabled: !room.can("assistant"), hidden: !room.canAdd() });
    take.disabled = !room.can(isOn ? "assistant" : "producer");
    const made = element("li", { className: isOn ? "is-on" : "" },
      image, element("div", { className: "name", textContent: room.titleOf(card) }),
      element("div", { className: "row" }, take, next, pin, edit, design, toRundown));
    made.dataset.card = card.id;
    return { made, image };
  }

  function found() {
    const words = $("cards-search").value.trim().toLowerCase();
    const cards = Object.values(room.state.cards);
    return words ? cards.filter((card) => `${card.id} ${card.sku ?? ""} ${room.titleOf(card)}`.toLowerCase().includes(words)) : cards;
  }

  function draw() {
    const focused = document.activeElement?.closest?.("#cards li");
    const focus = focused && { card: focused.dataset.card, at: [...focused.querySelectorAll("button")].indexOf(document.activeElement) };
    const airings = new Map(room.onAir().map((airing) => [airing.cardId, airing]));
    const cards = found(), all = Object.keys(room.state.cards).length;
    // What is on air is there however long the list.
    const wanted = cards.filter((card, n) => n < shown || airings.has(card.id));
    const kept = new Set();
    const can = ["producer", "assistant"].map(room.can).concat(room.canAdd(), room.channel());
    const list = wanted.map((card) => {
      const airing = airings.get(card.id);
      const text = JSON.stringify([card, room.state.products[card.sku]?.title, airing?.id, airing?.step, airing?.isPinned, steps(card), can]);
      let one = rows.get(card.id);
      if (one?.text !== text) {
        if (one) sight.unobserve(one.image);
        const before = one?.image.src;
        one = { text, ...row(card, airing) };
        if (before) one.image.src = before;
        rows.set(card.id, one);
        sight.observe(one.image);
      } else if (one.image.dataset.picture && !room.previews.has(card)) {
        delete one.image.dataset.picture;
        sight.observe(one.image);
      }
      kept.add(card.id);
      return one.made;
    });
    for (const [id, one] of rows) if (!kept.has(id)) { sight.unobserve(one.image); rows.delete(id); }
    const now = $("cards").children;
    if (now.length !== list.length || list.some((made, n) => now[n] !== made)) $("cards").replaceChildren(...list);
    if (focus && !document.activeElement?.closest?.("#cards")) rows.get(focus.card)?.made.querySelectorAll("button")[focus.at]?.focus();
    $("empty").hidden = all > 0;
    $("cards-tools").hidden = all < 8;
    const count = t("{n} of {all} cards", { n: cards.length, all });
    if ($("cards-count").textContent !== count) $("cards-count").textContent = count;
    $("cards-more").hidden = cards.length <= shown;
  }

  $("cards-search").addEventListener("input", () => { shown = SHOWN; draw(); });
  $("cards-more").addEventListener("click", () => { shown += SHOWN * 4; draw(); });
  return { draw };
}
