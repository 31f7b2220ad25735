// obs-websocket-js as it is, against a running server: `node obs.mjs json|msgpack ADDRESS PASSWORD`. Fails with the first
// thing that is not as its users expect; prints what it saw.
import assert from "node:assert/strict";

const [encoding, address, password] = process.argv.slice(2);
const { default: OBSWebSocket } = await import(encoding === "json" ? "obs-websocket-js/json" : "obs-websocket-js/msgpack");

const obs = new OBSWebSocket();
const events = [];
for (const name of ["StateSnapshot", "CardShown", "CardHidden"]) obs.on(name, (data) => events.push([name, data]));
const shown = new Promise((resolve) => obs.once("CardShown", resolve));
const hello = await obs.connect(address, password, { rpcVersion: 1 });
assert.equal(hello.negotiatedRpcVersion, 1);

const version = await obs.call("GetVersion");
assert.ok(version.availableRequests.includes("ShowCard"));
await obs.call("PutProduct", { sku: "mug", title: "Mug 马克杯", priceMinor: 1990, currency: "EUR" });
await obs.call("PutCard", { id: "mug", sku: "mug" });
const { rev } = await obs.call("ShowCard", { cardId: "mug" });
assert.equal((await shown).airing.cardId, "mug");
await assert.rejects(obs.call("ShowCard", {}), { code: 300, message: /cardId/ });

const batch = await obs.callBatch(
  [{ requestType: "HideCard", requestData: { cardId: "mug" } }, { requestType: "Dance" }, { requestType: "GetVersion" }],
  { haltOnFailure: true },
);
assert.deepEqual(batch.map((one) => one.requestStatus.code), [100, 204], "what follows a failure is left out");

// Nothing more is told once nothing is wanted.
await obs.reidentify({ eventSubscriptions: 0 });
const before = events.length;
await obs.call("ToggleCard", { cardId: "mug" });
await obs.call("ToggleCard", { cardId: "mug" });
assert.equal(events.length, before);
await obs.disconnect();
await assert.rejects(obs.connect(address, `${password}!`), { code: 4009 });
console.log(encoding, "rev", rev, events.map(([name]) => name).join(" "));
