// Who publishes, how well, with which keys, and what the channel fetches itself. Draws what the server says; buttons ask.
import { $, element } from "./dom.js";
import { said, t } from "./i18n.js";

const ROLES = { onAir: "ON AIR", standby: "Ready to take over", waiting: "Waiting" };
const PUSH_STATES = { off: "not now", connecting: "connecting…", on: "pushed", waiting: "failed, tried again" };
const SOURCE_STATES = { connecting: "connecting…", on: "on", waiting: "failed, tried again soon" };

/** Numbers of one publisher, as people read them. */
function details(p) {
  const srt = p.srt && t("SRT: round trip {rttMs} ms, latency {latencyMs} ms, {lost} packets lost, {retransmitted} sent again, {dropped} missing", p.srt);
  return [
    p.protocol, p.address, p.encoder,
    [p.videoCodec, p.audioCodec].filter(Boolean).join(" + "),
    p.width && `${p.width}×${p.height}`,
    p.videoCodec && `${p.fps} fps`,
    `${p.bitrateKbps} kb/s`,
    p.keyframeIntervalS && t("key frame every {s} s", { s: p.keyframeIntervalS.toFixed(1) }),
    p.framesLost > 0 && t("{n} frames missing", { n: p.framesLost }),
    p.framesRepaired > 0 && t("{n} mended", { n: p.framesRepaired }),
    p.timestampRepairs > 0 && t("{n} timestamps mended", { n: p.timestampRepairs }),
    Math.abs(p.driftMs) > 20 && t(p.driftMs > 0 ? "clock {ms} ms slow" : "clock {ms} ms fast", { ms: Math.abs(p.driftMs) }),
    srt,
  ].filter(Boolean).join(" · ");
}

function publisherItem(p) {
  const role = element("span", { className: p.role === "onAir" ? "pill tally is-on" : "pill", textContent: t(ROLES[p.role]) });
  const advice = p.health.map((one) => element("li", { className: one.level, textContent: said(one.text) }));
  return element("li", {},
    element("div", { className: "row" }, role, element("strong", { textContent: p.keyName ?? t("Source") })),
    element("ul", { className: "health" }, ...advice),
    element("p", { className: "quiet", textContent: details(p) }));
}

/** One platform that the programme is pushed to. */
function pushItem(push) {
  const skipped = push.skippedFrames > 0 && t("{n} pictures not taken in time", { n: push.skippedFrames });
  const detail = [push.url, push.state === "on" && `${push.kbps} kb/s`, skipped, said(push.error)].filter(Boolean).join(" · ");
  return element("li", {},
    element("span", { className: push.state === "on" ? "pill well" : push.state === "waiting" ? "pill bad" : "pill", textContent: t(PUSH_STATES[push.state]) }),
    element("strong", { textContent: push.name }),
    element("span", { className: "quiet", textContent: detail }));
}

/** Draws the publishers of a channel's `status`. */
export function drawPublishers(status, sources) {
  $("publishers").replaceChildren(...status.publishers.map(publisherItem));
  $("publisher-detail").hidden = status.publishers.length > 0;
  $("pushes").replaceChildren(...status.pushes.map(pushItem));
  const source = status.source;
  $("source-state").textContent = source
    ? `${source.url}: ${t(SOURCE_STATES[source.state])}${source.error ? `: ${said(source.error)}` : ""}` : "";
  // One from the configuration file ends there.
  $("source-stop").hidden = !sources[status.id];
}

/** Draws the keys of `channel`. `ask` sends a request and says what was refused; `isConnected` enables the buttons. */
export function drawKeys(keys, channel, ask, isConnected) {
  const mine = Object.values(keys).filter((key) => key.channel === channel).sort((a, b) => a.rank - b.rank);
  $("keys").replaceChildren(...mine.map((key) => {
    const rotate = element("button", {
      type: "button", textContent: t("New secret"), disabled: !isConnected,
      onclick: () => sure(t("“{key}” gets a new key, and whoever publishes with the old one is ended.", { key: key.name }), t("New secret"),
        async () => show(await ask("RotateStreamKey", { keyId: key.id }))),
    });
    const revoke = element("button", {
      type: "button", textContent: t("Revoke"), disabled: !isConnected,
      onclick: () => sure(t("“{key}” is taken back, and whoever publishes with it is ended.", { key: key.name }), t("Revoke"),
        () => ask("RevokeStreamKey", { keyId: key.id })),
    });
    rotate.setAttribute("aria-label", t("New secret for {key}", { key: key.name }));
    revoke.setAttribute("aria-label", t("Revoke {key}", { key: key.name }));
    const made = new Date(key.made).toLocaleDateString();
    return element("li", {},
      element("span", {}, element("strong", { textContent: key.name }),
        element("span", { className: "quiet", textContent: t(" rank {rank}, made {made}", { rank: key.rank, made }) })),
      element("span", { className: "spacer" }), rotate, revoke);
  }));
  $("no-keys").hidden = mine.length > 0;
}

/** Asks before something that ends a publisher. */
function sure(text, verb, go) {
  $("sure-text").textContent = text;
  $("sure-go").textContent = verb;
  $("sure-go").onclick = () => { $("sure").close(); go(); };
  $("sure").showModal();
}

/** Shows a secret, this once. */
function show(answer) {
  if (!answer) return;
  const rows = [
    [t("RTMP server"), answer.rtmp.server], [t("Stream key"), answer.streamKey],
    ...(answer.rtmps ? [[t("RTMPS server"), answer.rtmps.server]] : []), [t("SRT address"), answer.srt],
  ];
  $("new-key-rows").replaceChildren(...rows.flatMap(([name, value]) =>
    [element("dt", { textContent: name }), element("dd", {}, element("code", { textContent: value }))]));
  $("new-key-copy").onclick = () => navigator.clipboard?.writeText(answer.streamKey);
  $("new-key").showModal();
}

/** Joins the forms; `channel()` tells which is looked at. */
export function joinForms(ask, channel) {
  $("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = event.target.elements;
    const answer = await ask("MakeStreamKey", { channel: channel(), name: field.name.value, rank: Number(field.rank.value) });
    if (answer) event.target.reset();
    show(answer);
  });
  $("source-form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask("SetSource", { channel: channel(), url: event.target.elements.url.value.trim() });
  });
  $("source-stop").addEventListener("click", () => ask("SetSource", { channel: channel(), url: null }));
  // A secret does not stay on the page.
  $("new-key").addEventListener("close", () => $("new-key-rows").replaceChildren());
  for (const button of document.querySelectorAll("dialog [data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
}
