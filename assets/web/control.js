// The control page. It shows what the server says and nothing else: a button does not change the page, the
// event that follows does.
import { $, element } from "./dom.js";
import { Connection } from "./connection.js";
import { play } from "./player.js";
import { openCard } from "./cards.js";
import { openEditor } from "./editor.js";
import { watchProgramme } from "./monitor.js";
import { joinRundown } from "./rundown.js";
import { joinShows } from "./shows.js";
import { drawKeys, drawPublishers, joinForms } from "./publishers.js";

const state = { products: {}, cards: {}, airings: [], channels: [], streamKeys: {}, sources: {}, rundowns: {}, cues: {}, templates: [], faults: [] };
let connection, token, channel, monitor, player, digits = {}, clockOffsetMs = 0, isConnected = false;

function start(password) {
  token = password;
  $("login").hidden = true;
  $("room").hidden = false;
  connection = new Connection(password, {
    open: () => setConnected(true),
    event: receive,
    closed(reason, isFinal) {
      setConnected(false);
      if (!isFinal) return;
      sessionStorage.removeItem("token");
      $("room").hidden = true;
      $("login").hidden = false;
      $("login-error").textContent = "The password is not right.";
    },
  });
}

function setConnected(is) {
  isConnected = is;
  $("connection").textContent = is ? "Connected" : "Not connected: trying again…";
  $("connection").className = is ? "pill well" : "pill bad";
  for (const button of document.querySelectorAll("#room button")) button.disabled = !is;
  if (state.channels.length) draw();
  else drawOnAir();
}

function receive(name, data) {
  switch (name) {
    case "StateSnapshot":
      Object.assign(state, data);
      clockOffsetMs = data.now - Date.now();
      previews.clear();
      chooseChannel();
      sessionStorage.setItem("token", token);
      fetch("/api/v1/currencies", { headers: { authorization: `Bearer ${token}` } })
        .then((response) => response.json()).then((table) => { digits = table; });
      break;
    case "ProductChanged": state.products[data.product.sku] = data.product; forget(data.product.sku); break;
    case "ProductRemoved": delete state.products[data.sku]; break;
    case "CardChanged": state.cards[data.card.id] = data.card; previews.delete(data.card.id); break;
    case "CardRemoved": delete state.cards[data.cardId]; break;
    case "CardShown":
      state.airings = [...state.airings.filter((a) => a.id !== data.airing.id), data.airing];
      break;
    case "TemplatesChanged": Object.assign(state, data); previews.clear(); break;
    case "CardMoved": case "CardStepped": state.airings = state.airings.map((a) => (a.id === data.airing.id ? data.airing : a)); break;
    case "CardHidden": state.airings = state.airings.filter((a) => a.id !== data.airing.id); break;
    case "StreamKeyChanged": state.streamKeys[data.key.id] = data.key; break;
    case "StreamKeyRevoked": delete state.streamKeys[data.keyId]; break;
    case "SourceChanged":
      if (data.source) state.sources[data.channel] = data.source;
      else delete state.sources[data.channel];
      break;
    case "RundownChanged": state.rundowns[data.rundown.rundownId] = data.rundown; break;
    case "RundownRemoved": delete state.rundowns[data.rundownId]; break;
    case "CueChanged":
      if (data.cue) state.cues[data.channel] = data.cue;
      else delete state.cues[data.channel];
      break;
    case "ChannelStatusChanged":
      state.channels = state.channels.map((c) => (c.id === data.id ? data : c));
      drawStatus();
      return;
  }
  draw();
}

/** Where viewers of `name` are, signed where that is wanted. */
async function signature(name) {
  const response = await fetch(`/api/v1/channels/${encodeURIComponent(name)}/links`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  return response.ok ? (await response.json()).prefix : "";
}

/** The picture as it is composed; who wants to hear it too gets what viewers get, seconds later. */
function openMonitor() {
  monitor?.end();
  monitor = watchProgramme($("monitor"), channel, token, (isOn) => {
    $("monitor-state").textContent = isOn ? "" : "No picture: trying again…";
    $("monitor-state").hidden = isOn;
    if (isOn) rundown.behind($("monitor").src);
  });
  if ($("as-viewers").getAttribute("aria-pressed") === "true") openPlayer();
}

async function openPlayer() {
  const wanted = channel;
  const before = await signature(wanted);
  if (wanted !== channel) return;
  closePlayer();
  player = play($("video"), `${before}/live/${channel}/index.m3u8`);
}

function closePlayer() {
  player?.end();
  player = undefined;
  const again = $("video").cloneNode();
  $("video").replaceWith(again);
}

$("as-viewers").addEventListener("click", () => {
  const isWanted = $("as-viewers").getAttribute("aria-pressed") !== "true";
  $("as-viewers").setAttribute("aria-pressed", isWanted);
  $("video").hidden = !isWanted;
  $("monitor").hidden = isWanted;
  if (isWanted) openPlayer(); else closePlayer();
});

function chooseChannel() {
  const names = state.channels.map((c) => c.id);
  if (!names.includes(channel)) {
    channel = names.includes("main") ? "main" : names[0];
    openMonitor();
  }
  $("channel").hidden = names.length < 2;
  $("channel").replaceChildren(...names.map((name) => new Option(name, name, name === channel, name === channel)));
}

$("channel").addEventListener("change", () => {
  channel = $("channel").value;
  openMonitor();
  previews.clear();
  draw();
});

// Card pictures, drawn by the server exactly as they go on air; kept until the card or its product changes.
const previews = new Map();

function forget(sku) {
  for (const card of Object.values(state.cards)) if (card.sku === sku) previews.delete(card.id);
}

async function preview(card, image) {
  if (!previews.has(card.id)) previews.set(card.id, fetchPreview(card.id));
  try { image.src = await previews.get(card.id); } catch { image.alt = `${card.id} cannot be drawn`; }
}

async function fetchPreview(id) {
  const url = `/api/v1/cards/${encodeURIComponent(id)}/preview.png?channel=${encodeURIComponent(channel)}`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(response.statusText);
  return URL.createObjectURL(await response.blob());
}

const onAir = () => state.airings.filter((airing) => airing.channel === channel);
const titleOf = (card) => card.title ?? state.products[card.sku]?.title ?? card.data?.headline ?? card.data?.name ?? card.id;

function cardItem(card) {
  const isOn = onAir().some((airing) => airing.cardId === card.id);
  const image = element("img", { alt: titleOf(card), width: 672, height: 184 });
  preview(card, image);
  const take = element("button", {
    type: "button", className: "take", textContent: isOn ? "Take off air" : "Put on air", disabled: !isConnected,
    onclick: () => ask(isOn ? "HideCard" : "ShowCard", { cardId: card.id, channel }),
  });
  take.dataset.card = card.id;
  take.setAttribute("aria-pressed", isOn);
  const edit = element("button", {
    type: "button", textContent: "Edit", disabled: !isConnected, hidden: !card.sku,
    onclick: () => openEditor({ card, product: state.products[card.sku], isOn, state, digits, request, upload }),
  });
  const design = element("button", {
    type: "button", textContent: "Card…", disabled: !isConnected,
    onclick: () => openCard({ card, isOn, state, channel, request, draw: drawDraft, send }),
  });
  const steps = state.templates.find((template) => template.id === card.template)?.steps ?? 1;
  const airing = onAir().find((one) => one.cardId === card.id);
  const next = element("button", {
    type: "button", textContent: "Next step", disabled: !isConnected || !airing || airing.step >= steps, hidden: steps < 2,
    onclick: () => ask("NextStep", { cardId: card.id, channel }),
  });
  const toRundown = element("button", {
    type: "button", textContent: "To rundown", disabled: !isConnected, hidden: !rundown.isOpen(), onclick: () => rundown.add(card.id),
  });
  const item = element("li", { className: isOn ? "is-on" : "" },
    image, element("div", { className: "name", textContent: titleOf(card) }),
    element("div", { className: "row" }, take, next, edit, design, toRundown));
  item.dataset.card = card.id;
  return item;
}

function draw() {
  const focused = document.activeElement?.dataset?.card;
  const cards = Object.values(state.cards);
  $("cards").replaceChildren(...cards.map(cardItem));
  $("empty").hidden = cards.length > 0;
  if (focused) $("cards").querySelector(`button[data-card="${CSS.escape(focused)}"]`)?.focus();
  drawOnAir();
  drawStatus();
  rundown.draw();
  $("faults").hidden = !state.faults.length;
  $("faults").replaceChildren(...state.faults.map((fault) => element("li", { textContent: `Template ${fault}` })));
  drawKeys(state.streamKeys, channel, ask, isConnected);
}

function drawOnAir() {
  const airings = onAir();
  $("tally").textContent = !isConnected ? "On air: unknown" : airings.length ? `ON AIR: ${airings.length}` : "Nothing on air";
  $("tally").classList.toggle("is-on", isConnected && airings.length > 0);
  $("on-air").replaceChildren(...airings.map((airing) => {
    const card = state.cards[airing.cardId];
    const seconds = Math.max(0, Math.round((Date.now() + clockOffsetMs - airing.since) / 1000));
    const since = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    return element("li", {}, `${card ? titleOf(card) : airing.cardId} · ${airing.slot} · since ${since}`);
  }));
  if (!airings.length) $("on-air").replaceChildren();
}

const SHOWING = { startingSoon: "slate “Starting soon”", live: "live picture", held: "last picture, held", backSoon: "slate “We’ll be right back”" };

/** Whether pictures were left out within the last half minute. */
const noteSkips = (() => {
  let seen = { count: Infinity, at: 0 };
  return ({ skippedFrames }) => {
    if (skippedFrames > seen.count) seen.at = Date.now();
    seen.count = skippedFrames;
    return Date.now() - seen.at < 30_000;
  };
})();

function drawStatus() {
  const status = state.channels.find((c) => c.id === channel);
  if (!status) return;
  const shown = `Viewers see: ${SHOWING[status.showing]}.`;
  $("publisher").textContent = status.publishers.length ? shown : `Nobody publishes. ${shown}`;
  const late = status.behindMs > 500 && `The programme is ${status.behindMs} ms late: this machine is too slow.`;
  const skipped = noteSkips(status) && "This machine does not keep up: pictures are left out for viewers. Use fewer rungs or a smaller canvas.";
  const last = status.publisher.lastEnd && `Last publisher: ${status.publisher.lastEnd}`;
  const storage = status.storageProblem && `${status.storageProblem}. Viewers cannot go back far.`;
  $("publisher-detail").textContent = last || "";
  const lowered = status.loweredPreset && `The largest picture is coded with preset ${status.loweredPreset}, because this machine did not keep up.`;
  const clean = status.cleanProblem && `${status.cleanProblem}.`;
  const alarms = [late, skipped, lowered, storage, clean].filter(Boolean).join(" ");
  if ($("alarms").textContent !== alarms) $("alarms").textContent = alarms;
  $("alarms").hidden = !alarms;
  drawPublishers(status, state.sources);
  const name = (id) => (state.cards[id] ? titleOf(state.cards[id]) : id);
  const notes = status.cardProblems.map((one) => element("li", { className: "bad", textContent: `${name(one.cardId)}: ${one.text}` }));
  for (const { cardId, heights } of status.codes) {
    const said = heights.map(({ height, isScannable }) => `${height}p: ${isScannable ? "yes" : "no"}`).join(", ");
    const isBad = heights.some((one) => !one.isScannable);
    notes.push(element("li", { className: isBad ? "bad" : "", textContent: `${name(cardId)}: QR scannable at ${said}` }));
  }
  $("card-notes").replaceChildren(...notes);
}

function say(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

const request = (name, data) => connection.request(name, data);

/** Asks and shows what was refused; the answer, or nothing. */
async function ask(name, data) {
  say("");
  try { return await request(name, data); } catch (error) { say(error.message); }
}

async function upload(sku, file) {
  const url = `/api/v1/products/${encodeURIComponent(sku)}/image`;
  const response = await fetch(url, { method: "PUT", body: file, headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error((await response.json()).detail);
}

/** A card that is not saved, drawn in its place. */
async function drawDraft(card, inChannel) {
  const url = `/api/v1/preview?view=canvas&guides=true&channel=${encodeURIComponent(inChannel)}`;
  const response = await fetch(url, { method: "POST", body: JSON.stringify(card), headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error((await response.json()).detail);
  return { url: URL.createObjectURL(await response.blob()), problems: JSON.parse(response.headers.get("vitrine-problems") ?? "[]") };
}

/** A picture for a template's field; its id. */
async function send(file) {
  const response = await fetch("/api/v1/pictures", { method: "POST", body: file, headers: { authorization: `Bearer ${token}` } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer.image;
}

const call = (path, options = {}) => fetch(`/api/v1${path}`, { ...options, headers: { authorization: `Bearer ${token}` } });
const isCardOn = (card) => onAir().some((airing) => airing.cardId === card.id);
const rundown = joinRundown({
  state, ask, say, titleOf, fetch: call, channel: () => channel, isConnected: () => isConnected,
  edit: (card) => openCard({ card, isOn: isCardOn(card), state, channel, request, draw: drawDraft, send }),
});
joinForms(ask, () => channel);
joinShows(signature, (method, path) => call(path, { method }), () => channel);
$("panic").addEventListener("click", () => ask("ClearAll", { channel }));
$("add").addEventListener("click", () => openEditor({ state, digits, request, upload }));
$("add-card").addEventListener("click", () => openCard({ state, channel, request, draw: drawDraft, send }));
$("login").addEventListener("submit", (event) => { event.preventDefault(); start($("password").value); });
setInterval(drawOnAir, 1000);

// The password comes in the fragment, which no server sees; it leaves the address bar at once.
function fromFragment() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return location.hash.slice(1); }
}
const given = fromFragment() || sessionStorage.getItem("token");
if (location.hash) history.replaceState(null, "", location.pathname);
if (given) start(given);
else $("login").hidden = false;
