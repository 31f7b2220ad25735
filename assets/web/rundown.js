// The rundown: a show's cards in order, what is next, and what the keys do. It shows what the server says;
// rows are drawn anew only when they differ, so that 500 of them stay quick.
import { $, element } from "./dom.js";
import { said, t } from "./i18n.js";
import { actionOf, isOfButton, openKeys } from "./keys.js";
import { makeSortable } from "./reorder.js";

/** `room`: `state`, `channel()`, `isConnected()`, `can(role)`, `ask(name, data)`, `titleOf(card)`, `edit(card)`, `fetch(path, options)`, `say(text)`,
 *  `doubt(error)`. */
export function joinRundown(room) {
  // A past show is looked at by whoever chooses it; the channel's own is everybody's.
  let chosen, past;
  const rows = new Map();

  const cue = () => room.state.cues[room.channel()];
  const shown = () => room.state.rundowns[past ?? cue()?.rundownId];
  const ofChannel = (data) => ({ channel: room.channel(), ...data });
  const inRundown = (data) => ({ rundownId: shown().rundownId, ...data });
  const airing = (item) => room.state.airings.find((one) => one.cardId === item.cardId && one.channel === room.channel());
  const card = (item) => room.state.cards[item.cardId];
  const item = () => shown()?.items.find((one) => one.itemId === chosen);
  const words = (one) => (one.cardId ? (card(one) ? room.titleOf(card(one)) : t("{card} (removed)", { card: one.cardId })) : one.title);

  function matches(one) {
    const wanted = $("rundown-search").value.trim().toLowerCase();
    return !wanted || [words(one), one.cardId, one.notes, card(one)?.sku].join(" ").toLowerCase().includes(wanted);
  }

  function row(one, number) {
    const choose = element("button", { type: "button", className: "line", onclick: () => select(one.itemId) });
    const tags = [];
    const air = one.cardId && airing(one);
    if (air) tags.push(air.isPractice ? ["practice", "PRACTICE"] : ["on", "ON AIR"]);
    if (air?.isPinned) tags.push(["pinned", "EXPLAINED"]);
    if (!past && cue()?.itemId === one.itemId) tags.push(["next", "Next"]);
    if (one.isDraft) tags.push(["draft", "Draft"]);
    choose.append(
      element("span", { className: "grip", ariaHidden: "true", textContent: "⠿" }),
      element("span", { className: "number", textContent: number ?? "" }),
      element("span", { className: "words", textContent: words(one) }),
      ...tags.map(([kind, text]) => element("span", { className: `tag is-${kind}`, textContent: t(text) })),
    );
    if (one.notes) choose.append(element("span", { className: "notes", textContent: one.notes }));
    const made = element("li", {}, choose);
    made.className = [one.cardId ? "" : "heading", air ? "is-on" : "", one.itemId === chosen ? "is-chosen" : ""].join(" ");
    choose.setAttribute("aria-current", one.itemId === chosen);
    made.dataset.item = one.itemId;
    return made;
  }

  function draw() {
    drawChoice();
    const rundown = shown();
    $("rundown").hidden = !rundown;
    $("no-rundown").hidden = Boolean(rundown);
    if (!rundown) return drawNext();
    if (!item()) chosen = undefined;
    let number = 0;
    const wanted = [];
    const known = new Set();
    for (const one of rundown.items) {
      if (one.cardId) number += 1;
      if (!matches(one)) continue;
      const text = JSON.stringify([one, number, words(one), airing(one)?.step, airing(one)?.isPinned, cue()?.itemId === one.itemId, chosen === one.itemId, past, room.can("assistant"), room.can("producer")]);
      const before = rows.get(one.itemId);
      const drawn = before?.text === text ? before : { text, made: row(one, one.cardId ? number : undefined) };
      rows.set(one.itemId, drawn);
      known.add(one.itemId);
      wanted.push(drawn.made);
    }
    for (const id of rows.keys()) if (!known.has(id)) rows.delete(id);
    const list = $("items"), focused = document.activeElement?.closest?.("#items li")?.dataset.item;
    const isSame = list.children.length === wanted.length && wanted.every((made, n) => list.children[n] === made);
    if (!isSame) list.replaceChildren(...wanted);
    if (focused && !list.contains(document.activeElement)) rows.get(focused)?.made.querySelector(".line").focus();
    $("rundown-empty").hidden = rundown.items.length > 0;
    drawActions();
    drawNext();
  }

  let drawnChoice = "";

  function drawChoice() {
    const all = Object.values(room.state.rundowns);
    const option = (one) => new Option(one.title, one.rundownId, false, one.rundownId === (past ?? cue()?.rundownId));
    const group = (label, list) => (list.length ? [Object.assign(element("optgroup", {}, ...list.map(option)), { label })] : []);
    const none = new Option(t("No rundown"), "", false, !shown());
    // Only when they are others: a list that is open must not go.
    const key = JSON.stringify([all.map((one) => [one.rundownId, one.title, one.isArchived]), past, cue()?.rundownId]);
    if (key !== drawnChoice) $("rundown-choice").replaceChildren(none, ...group(t("Shows"), all.filter((one) => !one.isArchived)), ...group(t("Past shows"), all.filter((one) => one.isArchived)));
    drawnChoice = key;
    for (const id of ["rundown-rename", "rundown-export", "rundown-archive", "rundown-remove"]) $(id).disabled = !room.can("assistant") || !shown();
    $("rundown-archive").textContent = t(past ? "Bring back" : "The show is over");
    $("rundown-remove").hidden = !past;
  }

  function drawActions() {
    const one = item(), isCard = Boolean(one?.cardId), can = room.can("assistant") && !past, mayTake = room.can("producer");
    $("item-actions").hidden = !one;
    if (!one) return;
    const air = isCard && airing(one);
    const steps = room.state.templates.find((template) => template.id === card(one)?.template)?.steps ?? 1;
    $("item-advance").textContent = t(!air ? "On air" : air.step < steps ? "Next step" : "Out");
    for (const id of ["item-advance", "item-swap", "item-cue", "item-card"]) $(id).hidden = !isCard;
    for (const button of $("item-actions").querySelectorAll("button")) button.disabled = !can;
    $("item-advance").disabled = !can || !mayTake || (one.isDraft && !air);
    $("item-pin").hidden = !card(one)?.sku;
    $("item-pin").disabled = !can || !mayTake;
    $("item-pin").textContent = t(air?.isPinned ? "Explained" : "Explain now");
    $("item-pin").setAttribute("aria-pressed", Boolean(air?.isPinned));
    $("item-cue").disabled = !can || Boolean(one.isDraft);
    $("item-swap").disabled = $("item-cue").disabled || !mayTake;
  }

  let drawnNext = "";

  /** The next card over the picture that is on air now, as it will look. */
  async function drawNext() {
    const next = shown()?.items.find((one) => one.itemId === cue()?.itemId);
    $("take").disabled = !room.can("producer") || Boolean(past) || !next;
    $("all-out").disabled = !room.can("assistant");
    $("next-name").textContent = next ? words(next) : t("Nothing");
    $("next").hidden = !cue() || Boolean(past);
    const key = next && JSON.stringify([room.channel(), card(next), room.state.products[card(next)?.sku]]);
    if (key === drawnNext) return;
    drawnNext = key;
    if (!next) return $("next-card").removeAttribute("src");
    const path = `/cards/${encodeURIComponent(next.cardId)}/preview.png?view=overlay&channel=${encodeURIComponent(room.channel())}`;
    const response = await room.fetch(path).catch(() => undefined);
    if (key !== drawnNext) return;
    if (!response?.ok) return $("next-card").removeAttribute("src");
    URL.revokeObjectURL($("next-card").src);
    $("next-card").src = URL.createObjectURL(await response.blob());
  }

  function select(id) {
    chosen = id;
    draw();
    const made = rows.get(id)?.made;
    made?.scrollIntoView({ block: "nearest" });
    made?.querySelector(".line").focus();
  }

  const visible = () => shown()?.items.filter(matches) ?? [];

  function step(by) {
    const list = visible(), at = list.findIndex((one) => one.itemId === chosen);
    const to = list[Math.max(0, Math.min(list.length - 1, at < 0 ? 0 : at + by))];
    if (to) select(to.itemId);
  }

  const move = (itemId, before) => room.ask("MoveItem", inRundown({ itemId, before }));

  function shift(by) {
    const { items } = shown(), at = items.findIndex((one) => one.itemId === chosen);
    if (at < 0 || at + by < 0 || at + by >= items.length) return;
    move(chosen, items[by < 0 ? at - 1 : at + 2]?.itemId ?? null);
  }

  const advance = (one) => one?.cardId && (!one.isDraft || airing(one)) && room.ask("AdvanceCard", ofChannel({ cardId: one.cardId }));
  const swap = () => item()?.cardId && room.ask("SwapCard", ofChannel({ cardId: item().cardId }));
  const duplicate = () => item() && room.ask("DuplicateItem", inRundown({ itemId: chosen }));
  const pin = () => {
    const one = item(), sku = card(one ?? {})?.sku;
    if (sku) room.ask("PinProduct", ofChannel(airing(one)?.isPinned ? { sku: null } : { sku, cardId: one.cardId }));
  };
  const cueThis = () => item()?.cardId && room.ask("CueItem", ofChannel({ itemId: chosen }));

  function openItem(one) {
    const form = $("item-form"), field = form.elements, isHeading = !one?.cardId, rev = one ? room.state.rev : undefined;
    form.reset();
    $("item-title").textContent = one ? words(one) : t("New heading");
    field.title.value = one?.title ?? "";
    field.title.closest("label").hidden = field.title.disabled = !isHeading;
    field.isDraft.closest("label").hidden = isHeading;
    field.notes.value = one?.notes ?? "";
    field.isDraft.checked = Boolean(one?.isDraft);
    form.onsubmit = () => room.ask("PutItem", inRundown({
      ...one, notes: field.notes.value, isDraft: field.isDraft.checked, ...(isHeading && { title: field.title.value }), ifRev: rev,
    }));
    $("item-editor").showModal();
  }

  function nameOf(title) {
    const stem = title.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40) || "show";
    for (let n = 1; ; n++) {
      const id = n === 1 ? stem : `${stem}-${n}`;
      if (!room.state.rundowns[id]) return id;
    }
  }

  function openName(title, done) {
    const form = $("rundown-form");
    form.elements.title.value = title;
    form.onsubmit = () => done(form.elements.title.value);
    $("rundown-editor").showModal();
  }

  async function begin(rundownId) {
    past = undefined;
    await room.ask("ChooseRundown", ofChannel({ rundownId }));
  }

  $("rundown-choice").onchange = () => {
    const wanted = room.state.rundowns[$("rundown-choice").value];
    past = wanted?.isArchived ? wanted.rundownId : undefined;
    if (!past) begin(wanted?.rundownId ?? null);
    // What stands there until the server has taken it is what is so.
    drawnChoice = "";
    draw();
  };
  $("rundown-new").onclick = () => openName("", async (title) => {
    const rundownId = nameOf(title);
    if (await room.ask("PutRundown", { rundownId, title })) begin(rundownId);
  });
  $("rundown-rename").onclick = () => openName(shown().title, (title) => room.ask("UpdateRundown", inRundown({ title })));
  $("rundown-archive").onclick = async () => {
    const { rundownId, isArchived } = shown();
    await room.ask("UpdateRundown", { rundownId, isArchived: !isArchived });
    if (isArchived) begin(rundownId);
  };
  $("rundown-remove").onclick = () => {
    if (!confirm(t("Delete “{title}” for good?", { title: shown().title }))) return;
    room.ask("RemoveRundown", inRundown());
    past = undefined;
  };
  $("rundown-export").onclick = async () => {
    const bundle = await room.ask("ExportRundown", inRundown());
    if (!bundle) return;
    const link = element("a", { download: `${shown().rundownId}.json`, href: URL.createObjectURL(new Blob([JSON.stringify(bundle, null, 2)], { type: "application/json" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  /** By REST: a whole show is more than a message takes. */
  async function importBundle(bundle) {
    const response = await room.fetch("/rundowns/import", { method: "POST", body: JSON.stringify(bundle) });
    if (response.ok) return;
    const problem = await response.json();
    const more = room.doubt(problem);
    if (!more) throw new Error(said(problem.detail));
    await importBundle({ ...bundle, ...more });
  }
  $("rundown-import").onchange = async () => {
    const [file] = $("rundown-import").files;
    $("rundown-import").value = "";
    if (!file) return;
    let bundle;
    try {
      bundle = JSON.parse(await file.text());
      await importBundle(bundle);
    } catch (error) { return room.say(error.message); }
    room.say("");
    const { rundown } = bundle;
    if (!rundown.isArchived) begin(rundown.rundownId);
  };
  // Among lines that a search has left, a place says nothing of the rundown.
  makeSortable($("items"), () => room.can("assistant") && !past && !$("rundown-search").value.trim(), move);
  $("rundown-search").oninput = draw;
  $("rundown-heading").onclick = () => openItem();
  $("take").onclick = () => room.ask("Take", ofChannel());
  $("all-out").onclick = () => room.ask("HideAll", ofChannel());
  $("item-advance").onclick = () => advance(item());
  $("item-swap").onclick = swap;
  $("item-cue").onclick = cueThis;
  $("item-pin").onclick = pin;
  $("item-card").onclick = () => room.edit(card(item()));
  $("item-edit").onclick = () => openItem(item());
  $("item-duplicate").onclick = duplicate;
  $("item-up").onclick = () => shift(-1);
  $("item-down").onclick = () => shift(1);
  $("item-remove").onclick = () => room.ask("RemoveItem", inRundown({ itemId: chosen }));

  const actions = {
    up: () => step(-1), down: () => step(1), advance: () => advance(item()),
    edit: () => (item()?.cardId ? room.edit(card(item())) : item() && openItem(item())),
    out: () => room.ask("HideAll", ofChannel()),
    take: () => !$("take").disabled && $("take").click(),
    next: cueThis, swap, duplicate, pin,
  };

  /** What a key means here. */
  function meaning(event) {
    if (event.key === "?") return openKeys;
    if (event.altKey) return { ArrowUp: () => shift(-1), ArrowDown: () => shift(1) }[event.key];
    const nth = /^[1-9]$/.test(event.key) && shown()?.items.filter((one) => one.cardId)[event.key - 1];
    return nth ? () => advance(nth) : actions[actionOf(event)];
  }

  document.addEventListener("keydown", (event) => {
    const at = event.target, isLine = at.classList?.contains("line");
    const isWriting = at.closest?.("input, select, textarea, summary, dialog") || document.querySelector("dialog[open], .menu[open]");
    if ($("room").hidden || isWriting || event.ctrlKey || event.metaKey || event.repeat && !["up", "down"].includes(actionOf(event)) && !event.altKey) return;
    // A button that is not a line keeps its own keys.
    if (at.closest?.("button, a") && !isLine && isOfButton(event)) return;
    const act = meaning(event);
    if (!act || past && event.key !== "?" && (event.altKey || !["up", "down"].includes(actionOf(event)))) return;
    event.preventDefault();
    if (room.isConnected()) act();
  });

  return {
    draw,
    /** Puts a card at the end, or behind the chosen line. */
    add(cardId) {
      const items = shown()?.items ?? [], at = items.findIndex((one) => one.itemId === chosen);
      return room.ask("PutItem", inRundown({ cardId, before: at < 0 ? undefined : items[at + 1]?.itemId }));
    },
    isOpen: () => Boolean(shown()) && !past,
    /** The picture behind the next card. */
    behind: (address) => { if (!$("next").hidden) $("next-picture").src = address; },
  };
}
