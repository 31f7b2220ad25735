// The control page. It shows what the server says and nothing else: a button does not change the page, the
// event that follows does.
import { $, element } from "./dom.js";
import { Connection } from "./connection.js";
import { play } from "./player.js";
import { openCard } from "./cards.js";
import { joinCards } from "./cardlist.js";
import { FIELDS, joinCatalogue } from "./catalogue.js";
import { fromMinor, openEditor } from "./editor.js";
import { watchProgramme } from "./monitor.js";
import { makePreviews } from "./previews.js";
import { joinPlots } from "./plots.js";
import { joinRundown } from "./rundown.js";
import { joinShows } from "./shows.js";
import { emptyState, reduce, titleOf as nameOf } from "./state.js";
import { drawPresence, isSignedIn, joinPeople, may, signIn } from "./people.js";
import { drawKeys, drawPublishers, joinForms } from "./publishers.js";
import { said, t } from "./i18n.js";

const state = emptyState();
let connection, channel, monitor, player, digits = {}, clockOffsetMs = 0, isConnected = false;

/** Opens the room for whoever has signed in. */
function start() {
  $("login").hidden = true;
  $("room").hidden = false;
  connection = new Connection({
    open: () => setConnected(true),
    event: receive,
    closed(reason, isFinal) {
      setConnected(false);
      if (!isFinal) return;
      $("room").hidden = true;
      $("login").hidden = false;
      $("login-error").textContent = t("You are signed out.");
    },
  });
}

async function enter(name, password) {
  $("login-error").textContent = "";
  try {
    await signIn(name, password);
  } catch (error) {
    $("login").hidden = false;
    $("login-error").textContent = error.message;
    return;
  }
  // A page that was signed out has an ended connection and old pictures: it begins anew.
  if (connection) location.reload();
  else start();
}

/** Whether this person may do what `role` may. */
const can = (role) => isConnected && may(state.you?.role ?? "viewer", role);

function setConnected(is) {
  isConnected = is;
  $("connection").textContent = t(is ? "Connected" : "Not connected: trying again…");
  $("connection").className = is ? "pill well" : "pill bad";
  for (const button of document.querySelectorAll("#room button:not([data-close], #cards *)")) {
    button.disabled = !is || button.dataset.own === "no" || !can(button.dataset.needs ?? "viewer");
  }
  for (const part of document.querySelectorAll("[data-only]")) part.hidden = !may(state.you?.role, part.dataset.only);
  if (state.channels.length) draw();
  else drawOnAir();
}

function receive(name, data) {
  reduce(state, name, data);
  switch (name) {
    case "StateSnapshot":
      clockOffsetMs = data.now - Date.now();
      previews.clear();
      chooseChannel();
      setConnected(isConnected);
      drawPresence(state.you, state.present);
      fetch("/api/v1/currencies").then((response) => response.json()).then((table) => { digits = table; });
      break;
    case "ProductChanged": previews.forgetProduct(data.product.sku); break;
    case "CardChanged": previews.forget(data.card.id); break;
    case "TemplatesChanged": previews.clear(); break;
    case "PresenceChanged": drawPresence(state.you, state.present); return;
    case "ImportChanged": catalogue.draw(); return;
    case "QuestionsChanged": drawQuestions(); return;
    case "ChannelStatusChanged": drawStatus(); drawOnAir(); return;
  }
  draw();
}

/** Where viewers of `name` are, signed where that is wanted. */
async function signature(name) {
  const response = await fetch(`/api/v1/channels/${encodeURIComponent(name)}/links`, { method: "POST" });
  return response.ok ? (await response.json()).prefix : "";
}

/** The picture as it is composed; who wants to hear it too gets what viewers get, seconds later. */
function openMonitor() {
  monitor?.end();
  monitor = watchProgramme($("monitor"), channel, (isOn) => {
    $("monitor-state").textContent = isOn ? "" : t("No picture: trying again…");
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

function tellHostPage() {
  $("host-page").href = `/host?channel=${encodeURIComponent(channel)}`;
}

function chooseChannel() {
  const names = state.channels.map((c) => c.id);
  if (!names.includes(channel)) {
    channel = names.includes("main") ? "main" : names[0];
    openMonitor();
  }
  tellHostPage();
  $("channel").hidden = names.length < 2;
  $("channel").replaceChildren(...names.map((name) => new Option(name, name, name === channel, name === channel)));
}

$("channel").addEventListener("change", () => {
  channel = $("channel").value;
  tellHostPage();
  openMonitor();
  plots.look();
  previews.clear();
  draw();
});

const onAir = () => state.airings.filter((airing) => airing.channel === channel);
const titleOf = (card) => nameOf(state, card);
const previews = makePreviews(state, () => channel, (card) => t("{card} cannot be drawn", { card: card.id }));

let isDrawn = true;

/** Draws what is there at the next picture of the screen, however much comes until then. */
function draw() {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(() => { isDrawn = true; drawAll(); });
}

function drawAll() {
  cards.draw();
  drawOnAir();
  drawPractice();
  drawStatus();
  drawQuestions();
  rundown.draw();
  catalogue.draw();
  $("faults").hidden = !state.faults.length;
  $("faults").replaceChildren(...state.faults.map((fault) => element("li", { textContent: t("Template {fault}", { fault: said(fault) }) })));
  drawKeys(state.streamKeys, channel, ask, can("owner"));
}

const PHASES = { coming: "COMING ON", onAir: "ON AIR", going: "GOING OFF", practice: "PRACTICE" };
function markPhase(item, phase) {
  item.dataset.phase = phase;
  item.prepend(element("span", { className: "phase", textContent: t(PHASES[phase]) }));
}

const isPractice = () => state.practice.includes(channel);

let drawnPractice = "";

/** The cards of a practice, over the picture that viewers see without them. */
function drawPractice() {
  const is = isPractice();
  $("practice").setAttribute("aria-pressed", is);
  $("practice").textContent = t(is ? "End the practice" : "Practise: nothing reaches viewers");
  $("practice-note").hidden = !is;
  const wanted = is ? onAir().map((airing) => state.cards[airing.cardId]).filter(Boolean) : [];
  const key = wanted.map((card) => card.id).join(" ");
  if (key === drawnPractice && wanted.every((card) => previews.has(card, "overlay"))) return;
  drawnPractice = key;
  $("practice-cards").replaceChildren(...wanted.map((card) => {
    const image = element("img", { alt: t("{card}, in practice", { card: titleOf(card) }) });
    previews.into(image, card, "overlay");
    return image;
  }));
}

function drawOnAir() {
  const airings = onAir();
  const status = state.channels.find((c) => c.id === channel);
  const phase = (airing) => (isPractice() ? "practice" : status?.cards.find((one) => one.airingId === airing.id)?.phase ?? "coming");
  const count = `${t(isPractice() ? "PRACTICE" : "ON AIR")}: ${airings.length}`;
  $("tally").textContent = !isConnected ? t("On air: unknown") : airings.length || isPractice() ? count : t("Nothing on air");
  $("tally").classList.toggle("is-on", isConnected && airings.length > 0 && !isPractice());
  $("tally").classList.toggle("is-practice", isConnected && isPractice());
  $("on-air").replaceChildren(...airings.map((airing) => {
    const card = state.cards[airing.cardId];
    const seconds = Math.max(0, Math.round((Date.now() + clockOffsetMs - airing.since) / 1000));
    const since = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    const item = element("li", {}, `${card ? titleOf(card) : airing.cardId} · ${t(airing.slot.replace("-", " "))} · ${t("since {time}", { time: since })}`);
    if (airing.isPinned) item.prepend(element("span", { className: "tag is-pinned", textContent: t("EXPLAINED") }));
    markPhase(item, phase(airing));
    return item;
  }));
  for (const { cardId } of status?.cards.filter((one) => one.phase === "going" && !airings.some((airing) => airing.id === one.airingId)) ?? []) {
    const item = element("li", {}, state.cards[cardId] ? titleOf(state.cards[cardId]) : cardId);
    markPhase(item, "going");
    $("on-air").append(item);
  }
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
  const shown = t("Viewers see: {what}.", { what: t(SHOWING[status.showing]) });
  $("publisher").textContent = status.publishers.length ? shown : `${t("Nobody publishes.")} ${shown}`;
  const late = status.behindMs > 500 && t("The programme is {ms} ms late: this machine is too slow.", { ms: status.behindMs });
  const skipped = noteSkips(status) && t("This machine does not keep up: pictures are left out for viewers. Use fewer rungs or a smaller canvas.");
  const last = status.publisher.lastEnd && t("Last publisher: {end}", { end: said(status.publisher.lastEnd) });
  const storage = status.storageProblem && t("{problem}. Viewers cannot go back far.", { problem: said(status.storageProblem) });
  $("publisher-detail").textContent = last || "";
  const lowered = status.loweredPreset && t("The largest picture is coded with preset {preset}, because this machine did not keep up.", { preset: status.loweredPreset });
  const clean = status.cleanProblem && `${said(status.cleanProblem)}${t(".")}`;
  const alarms = [late, skipped, lowered, storage, clean].filter(Boolean).join(" ");
  if ($("alarms").textContent !== alarms) $("alarms").textContent = alarms;
  $("alarms").hidden = !alarms;
  $("viewers").textContent = t("Viewers: {n}", { n: status.viewers });
  $("viewers").hidden = false;
  drawPublishers(status, state.sources);
  const name = (id) => (state.cards[id] ? titleOf(state.cards[id]) : id);
  const notes = status.cardProblems.map((one) => element("li", { className: "bad", textContent: `${name(one.cardId)}: ${said(one.text)}` }));
  for (const { cardId, heights } of status.codes) {
    const said = heights.map(({ height, isScannable }) => `${height}p: ${t(isScannable ? "yes" : "no")}`).join(", ");
    const isBad = heights.some((one) => !one.isScannable);
    notes.push(element("li", { className: isBad ? "bad" : "", textContent: t("{card}: QR scannable at {heights}", { card: name(cardId), heights: said }) }));
  }
  $("card-notes").replaceChildren(...notes);
}

/** What shops told by themselves and nobody has looked at. */
function drawQuestions() {
  const answer = (one, isTaken) => element("button", {
    type: "button", textContent: t(isTaken ? "Take it" : "Leave it"), disabled: !can("producer"),
    onclick: () => ask("AnswerQuestion", { questionId: one.id, isTaken }),
  });
  $("questions").hidden = !state.questions.length;
  $("questions").replaceChildren(...state.questions.map((one) => element("li", {},
    element("span", { textContent: `${one.from}, ${state.products[one.sku]?.title ?? one.sku}: ${doubtful(one.doubts)}` }),
    answer(one, true), answer(one, false))));
}

function say(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

/** Why prices should be looked at, in words. */
const doubtful = (doubts) => doubts.map((one) => `${t(FIELDS[one.field] ?? one.field)}: ${said(one.reason)}`).join("; ");

/** What can be done all the same: what is asked first, and what is sent then. */
const DOUBTS = {
  ifRev: () => [t("Somebody else has changed this meanwhile. Overwrite what they did?"), { ifRev: undefined }],
  confirmed: (doubts) => [`${doubts.map((one) => `${state.products[one.sku]?.title ?? one.sku}: ${doubtful([one])}`).join("\n")}\n\n${t("Is that right?")}`, { confirmed: true }],
};

/** What has to be sent besides, if whoever is asked wants it all the same. */
function doubt({ field, doubts = [] }) {
  const [question, more] = DOUBTS[field]?.(doubts) ?? [];
  return question && confirm(question) ? more : null;
}

/** Asks. Where somebody else was quicker, or a price looks wrong, says so and asks whether to go on. */
async function request(name, data) {
  try {
    return await connection.request(name, data);
  } catch (error) {
    const more = doubt(error);
    if (!more) throw error;
    return request(name, { ...data, ...more });
  }
}

/** Asks and shows what was refused; the answer, or nothing. */
async function ask(name, data) {
  say("");
  try { return await request(name, data); } catch (error) { say(error.message); }
}

async function upload(sku, file) {
  const url = `/api/v1/products/${encodeURIComponent(sku)}/image`;
  const response = await fetch(url, { method: "PUT", body: file });
  if (!response.ok) throw new Error(said((await response.json()).detail));
}

/** A card that is not saved, drawn in its place. */
async function drawDraft(card, inChannel) {
  const url = `/api/v1/preview?view=canvas&guides=true&channel=${encodeURIComponent(inChannel)}`;
  const response = await fetch(url, { method: "POST", body: JSON.stringify(card) });
  if (!response.ok) throw new Error(said((await response.json()).detail));
  return { url: URL.createObjectURL(await response.blob()), problems: JSON.parse(response.headers.get("vitrine-problems") ?? "[]") };
}

/** A picture for a template's field; its id. */
async function send(file) {
  const response = await fetch("/api/v1/pictures", { method: "POST", body: file });
  const answer = await response.json();
  if (!response.ok) throw new Error(said(answer.detail));
  return answer.image;
}

const call = (path, options = {}) => fetch(`/api/v1${path}`, options);
const productForm = (card, product = state.products[card?.sku]) => openEditor({ card, product, isOn: card && isCardOn(card), state, digits, request, upload });
const cardForm = (card) => openCard({ card, isOn: Boolean(card) && isCardOn(card), state, channel, request, draw: drawDraft, send });
const isCardOn = (card) => onAir().some((airing) => airing.cardId === card.id);
const rundown = joinRundown({
  state, ask, say, doubt, titleOf, fetch: call, channel: () => channel, isConnected: () => isConnected, can,
  edit: cardForm,
});
const cards = joinCards({
  state, ask, titleOf, onAir, can, previews, channel: () => channel, canAdd: () => rundown.isOpen(), add: (cardId) => rundown.add(cardId),
  edit: (card) => productForm(card), design: cardForm,
});
const catalogue = joinCatalogue({
  state, request, upload, isConnected: () => isConnected,
  money: (minor, currency) => `${fromMinor(minor, currency, digits)} ${currency}`,
  edit: (product) => productForm(undefined, product),
});
joinForms(ask, () => channel);
const plots = joinPlots(() => channel);
joinShows(signature, (method, path) => call(path, { method }), () => channel);
$("panic").addEventListener("click", () => ask("ClearAll", { channel }));
$("practice").addEventListener("click", () => ask("SetPractice", { channel, isOn: !isPractice() }));
$("undo").addEventListener("click", () => ask("Undo"));
document.addEventListener("keydown", (event) => {
  const isElsewhere = event.target.closest?.("input, select, textarea") || document.querySelector("dialog[open]");
  if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || isElsewhere || !can("assistant")) return;
  event.preventDefault();
  ask("Undo");
});
$("add").addEventListener("click", () => productForm());
$("add-card").addEventListener("click", () => cardForm());
$("login").addEventListener("submit", (event) => { event.preventDefault(); enter($("name").value.trim(), $("password").value); });
joinPeople(request);
setInterval(drawOnAir, 1000);

// The password comes in the fragment, which no server sees; it leaves the address bar at once.
function fromFragment() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return location.hash.slice(1); }
}
const given = fromFragment();
if (location.hash) history.replaceState(null, "", location.pathname);
if (given) enter(null, given);
else if (await isSignedIn()) start();
else $("login").hidden = false;
