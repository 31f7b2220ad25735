// The page beside the camera: what is on air, what comes next, and what the producer wrote for the host. It only shows.
import { $, element } from "./dom.js";
import { Connection } from "./connection.js";
import { isSignedIn, signIn } from "./people.js";
import { emptyState, reduce, titleOf } from "./state.js";
import { language, t } from "./i18n.js";

const state = emptyState();
const channel = new URLSearchParams(location.search).get("channel") ?? "main";
let digits = {}, clockOffsetMs = 0, isConnected = false;

function start() {
  $("login").hidden = true;
  $("host").hidden = false;
  fetch("/api/v1/currencies").then((response) => response.json()).then((table) => { digits = table; draw(); });
  new Connection({
    open: () => { isConnected = true; draw(); },
    event(name, data) {
      reduce(state, name, data);
      if (name === "StateSnapshot") clockOffsetMs = data.now - Date.now();
      draw();
    },
    closed(reason, isFinal) {
      isConnected = false;
      draw();
      if (isFinal) location.reload();
    },
  });
}

function price(product) {
  const places = digits[product.currency];
  if (places === undefined) return "";
  const format = new Intl.NumberFormat(language, { style: "currency", currency: product.currency, minimumFractionDigits: places, maximumFractionDigits: places });
  return format.format(product.priceMinor / 10 ** places);
}

function stock(product) {
  if (product.stock == null) return [];
  const few = product.stock <= 5 ? "few" : "";
  return [element("span", { className: `stock ${few}`, textContent: product.stock ? t("{n} left", { n: product.stock }) : t("Sold out") })];
}

/** A card's title, with the price and the stock of each of its products. */
function words(card) {
  const products = [card.sku, ...(card.skus ?? [])].map((sku) => state.products[sku]).filter(Boolean);
  return [
    element("strong", { textContent: titleOf(state, card) }),
    ...products.map((product) => element("p", {}, element("span", { className: "price", textContent: price(product) }), ...stock(product))),
  ];
}

const notesOf = (cardId, rundown) => rundown?.items.find((one) => one.cardId === cardId)?.notes ?? "";

function draw() {
  const cue = state.cues[channel], rundown = state.rundowns[cue?.rundownId];
  const airings = state.airings.filter((one) => one.channel === channel && state.cards[one.cardId]);
  $("on-air").replaceChildren(...airings.map((airing) => element("li", {}, ...(airing.isPinned ? [element("span", { className: "pinned", textContent: t("Explain this now") })] : []), ...words(state.cards[airing.cardId]),
    element("p", { className: "notes", textContent: notesOf(airing.cardId, rundown) }))));
  $("nothing").hidden = airings.length > 0;
  const isPractice = state.practice.includes(channel);
  $("practice").hidden = !isPractice;
  document.body.classList.toggle("is-on", isConnected && airings.length > 0 && !isPractice);
  const items = rundown?.items ?? [], at = items.findIndex((one) => one.itemId === cue?.itemId);
  const card = state.cards[items[at]?.cardId];
  $("next").replaceChildren(...(card ? words(card) : []));
  $("next-notes").textContent = items[at]?.notes ?? "";
  $("next-none").hidden = Boolean(card);
  const then = items.slice(at + 1).filter((one) => state.cards[one.cardId] && !one.isDraft).slice(0, 3);
  $("then").replaceChildren(...(at < 0 ? [] : then).map((one) => element("li", { textContent: titleOf(state, state.cards[one.cardId]) })));
  const status = state.channels.find((one) => one.id === channel);
  const isLive = status?.showing === "live";
  $("live").textContent = t(!isConnected ? "Not connected: trying again…" : isLive ? "You are live" : "Viewers do not see you");
  $("live").className = !isConnected || !isLive ? "pill bad" : "pill live";
}

function tick() {
  const now = Date.now() + clockOffsetMs;
  $("time").textContent = new Date(now).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const first = state.airings.filter((one) => one.channel === channel).at(-1);
  const seconds = first && Math.max(0, Math.floor((now - first.since) / 1000));
  $("since").textContent = first ? t("on air for {time}", { time: `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}` }) : "";
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try { await signIn($("name").value.trim(), $("password").value); start(); } catch (error) { $("login-error").textContent = error.message; }
});
setInterval(tick, 500);
if (await isSignedIn()) start();
else $("login").hidden = false;
