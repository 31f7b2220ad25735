// casparcg-connection as it is, against a running server: `node amcp.mjs HOST PORT API PASSWORD`.
import assert from "node:assert/strict";
import { CasparCG } from "casparcg-connection";

const [host, port, api, password] = process.argv.slice(2);
const state = async () => (await fetch(`${api}/state`, { headers: { authorization: `Bearer ${password}` } })).json();
const onAir = async () => (await state()).airings.map((one) => one.cardId);

const caspar = new CasparCG({ host, port: Number(port), autoConnect: true });
await new Promise((resolve) => caspar.once("connect", resolve));

/** Sends one; the code that is answered. */
async function code(method, parameters) {
  const { error, request } = await caspar[method](parameters);
  if (error) throw error;
  return (await request).responseCode;
}

const place = { channel: 1, layer: 20 };
assert.equal(await code("version", {}), 201);
const data = { name: "Lin \"the cup\" Marchetti", role: "陶艺家" };
assert.equal(await code("cgAdd", { ...place, cgLayer: 1, playOnLoad: false, template: "lower-third", data }), 202);
assert.deepEqual(await onAir(), []);
const { cards } = await state();
assert.deepEqual(cards["amcp-1-20"].data, data);
assert.equal(await code("cgPlay", { ...place, cgLayer: 1 }), 202);
assert.deepEqual(await onAir(), ["amcp-1-20"]);
assert.equal(await code("cgUpdate", { ...place, cgLayer: 1, data: { role: "Ceramist" } }), 202);
assert.equal((await state()).cards["amcp-1-20"].data.role, "Ceramist");
assert.equal(await code("cgUpdate", { ...place, cgLayer: 1, data: { nosuch: "x" } }), 403, "a field that is not there");
// Another template in the same layer takes its place.
assert.equal(await code("cgAdd", { ...place, cgLayer: 1, playOnLoad: true, template: "product", data: { sku: "cup" } }), 202);
assert.equal((await state()).cards["amcp-1-20"].template, "product");
assert.deepEqual(await onAir(), ["amcp-1-20"]);
assert.equal(await code("cgStop", { ...place, cgLayer: 1 }), 202);
assert.deepEqual(await onAir(), []);
assert.equal(await code("cgRemove", { ...place, cgLayer: 1 }), 202);
assert.equal((await state()).cards["amcp-1-20"], undefined);
assert.equal(await code("cgPlay", { ...place, cgLayer: 1 }), 404, "nothing was added");

// A card of the show, its next step, and everything off.
assert.equal(await code("cgAdd", { ...place, cgLayer: 1, playOnLoad: true, template: "guess" }), 202);
assert.deepEqual(await onAir(), ["guess"]);
assert.equal(await code("cgNext", { ...place, cgLayer: 1 }), 202);
assert.equal((await state()).airings[0].step, 2);
assert.equal(await code("cgAdd", { ...place, cgLayer: 1, playOnLoad: true, template: "nosuch" }), 404);
assert.equal(await code("cgPlay", { channel: 9, layer: 1, cgLayer: 1 }), 404, "nothing there either");
assert.equal(await code("clear", { channel: 1 }), 202);
assert.deepEqual(await onAir(), []);
console.log("ok");
process.exit(0);
