// Who publishes, how well, with which keys, and what the channel fetches itself. Draws what the server says; buttons ask.
import { $, element } from "./dom.js";

const ROLES = { onAir: "ON AIR", standby: "Ready to take over", waiting: "Waiting" };
const PUSH_STATES = { off: "not now", connecting: "connecting…", on: "pushed", waiting: "failed, tried again" };
const SOURCE_STATES = { connecting: "connecting…", on: "on", waiting: "failed, tried again soon" };

/** Numbers of one publisher, as people read them. */
function details(p) {
  const srt = p.srt && `SRT: round trip ${p.srt.rttMs} ms, latency ${p.srt.latencyMs} ms, ` +
    `${p.srt.lost} packets lost, ${p.srt.retransmitted} sent again, ${p.srt.dropped} missing`;
  return [
    p.protocol, p.address, p.encoder,
    [p.videoCodec, p.audioCodec].filter(Boolean).join(" + "),
    p.width && `${p.width}×${p.height}`,
    p.videoCodec && `${p.fps} fps`,
    `${p.bitrateKbps} kb/s`,
    p.keyframeIntervalS && `key frame every ${p.keyframeIntervalS.toFixed(1)} s`,
    p.framesLost > 0 && `${p.framesLost} frames missing`,
    p.framesRepaired > 0 && `${p.framesRepaired} mended`,
    p.timestampRepairs > 0 && `${p.timestampRepairs} timestamps mended`,
    Math.abs(p.driftMs) > 20 && `clock ${Math.abs(p.driftMs)} ms ${p.driftMs > 0 ? "slow" : "fast"}`,
    srt,
  ].filter(Boolean).join(" · ");
}

function publisherItem(p) {
  const role = element("span", { className: p.role === "onAir" ? "pill tally is-on" : "pill", textContent: ROLES[p.role] });
  const advice = p.health.map((one) => element("li", { className: one.level, textContent: one.text }));
  return element("li", {},
    element("div", { className: "row" }, role, element("strong", { textContent: p.keyName ?? "Source" })),
    element("ul", { className: "health" }, ...advice),
    element("p", { className: "quiet", textContent: details(p) }));
}

/** One platform that the programme is pushed to. */
function pushItem(push) {
  const skipped = push.skippedFrames > 0 && `${push.skippedFrames} pictures not taken in time`;
  const detail = [push.url, push.state === "on" && `${push.kbps} kb/s`, skipped, push.error].filter(Boolean).join(" · ");
  return element("li", {},
    element("span", { className: push.state === "on" ? "pill well" : push.state === "waiting" ? "pill bad" : "pill", textContent: PUSH_STATES[push.state] }),
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
    ? `${source.url}: ${SOURCE_STATES[source.state]}${source.error ? `: ${source.error}` : ""}` : "";
  // One from the configuration file ends there.
  $("source-stop").hidden = !sources[status.id];
}

/** Draws the keys of `channel`. `ask` sends a request and says what was refused; `isConnected` enables the buttons. */
export function drawKeys(keys, channel, ask, isConnected) {
  const mine = Object.values(keys).filter((key) => key.channel === channel).sort((a, b) => a.rank - b.rank);
  $("keys").replaceChildren(...mine.map((key) => {
    const rotate = element("button", {
      type: "button", textContent: "New secret", disabled: !isConnected,
      onclick: () => sure(`“${key.name}” gets a new key, and whoever publishes with the old one is ended.`, "New secret",
        async () => show(await ask("RotateStreamKey", { keyId: key.id }))),
    });
    const revoke = element("button", {
      type: "button", textContent: "Revoke", disabled: !isConnected,
      onclick: () => sure(`“${key.name}” is taken back, and whoever publishes with it is ended.`, "Revoke",
        () => ask("RevokeStreamKey", { keyId: key.id })),
    });
    rotate.setAttribute("aria-label", `New secret for ${key.name}`);
    revoke.setAttribute("aria-label", `Revoke ${key.name}`);
    const made = new Date(key.made).toLocaleDateString();
    return element("li", {},
      element("span", {}, element("strong", { textContent: key.name }),
        element("span", { className: "quiet", textContent: ` rank ${key.rank}, made ${made}` })),
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
    ["RTMP server", answer.rtmp.server], ["Stream key", answer.streamKey],
    ...(answer.rtmps ? [["RTMPS server", answer.rtmps.server]] : []), ["SRT address", answer.srt],
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
