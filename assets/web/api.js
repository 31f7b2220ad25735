// The API's description as a page, made of /api/v1/openapi.json; whoever has signed in can try each request here.
import { $, element } from "./dom.js";

const api = await (await fetch("/api/v1/openapi.json")).json();
const { name } = await (await fetch("/api/v1/session")).json();
$("about").textContent = api.info.description;
$("who").replaceChildren(name ? `You are ${name}: what you send here is done.` : element("a", { href: "/control", textContent: "Sign in to try requests here." }));

/** What a schema refers to. */
const resolved = (schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema) ?? {};

/** A type in a few words. */
function kind(schema) {
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(", ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const some = schema.anyOf ?? schema.oneOf;
  if (some) return some.map((one) => kind(resolved(one))).join(" or ");
  if (schema.type === "array") return `list of ${schema.items ? kind(resolved(schema.items)) : "anything"}`;
  return [schema.type ?? "anything"].flat().join(" or ");
}

function fields(schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([field, given]) => {
    const is = resolved(given);
    const needed = schema.required?.includes(field) ? "needed" : "";
    return element("tr", {}, element("td", {}, element("code", { textContent: field })), element("td", { textContent: kind(is) }),
      element("td", { textContent: needed }), element("td", { textContent: given.description ?? is.description ?? "" }));
  });
  const head = element("tr", {}, ...["Field", "Type", "", "Meaning"].map((textContent) => element("th", { textContent, scope: "col" })));
  return rows.length ? element("table", {}, head, ...rows) : "";
}

/** A body with what is needed, to begin with. */
function sample(schema) {
  const value = (given) => {
    const is = resolved(given);
    const type = [is.type].flat()[0];
    return is.enum?.[0] ?? { string: "", integer: 0, number: 0, boolean: false, array: [], object: {} }[type] ?? null;
  };
  return Object.fromEntries((schema.required ?? []).map((field) => [field, value(schema.properties[field])]));
}

function operationItem(method, path, operation) {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const isFile = operation.requestBody && !body;
  const inputs = (operation.parameters ?? []).filter((one) => one.in !== "header").map((one) => {
    const input = element("input", { name: one.name, required: one.required, autocomplete: "off" });
    const about = one.description ? `: ${one.description}` : "";
    return element("label", {}, `${one.name}${about} (${one.in}, ${kind(one.schema)})`, input);
  });
  const text = body && element("textarea", { name: "body", value: JSON.stringify(sample(resolved(body)), null, 2), spellcheck: false });
  const answer = element("pre", { hidden: true, tabIndex: 0 });
  const form = element("form", {}, ...inputs,
    ...(text ? [element("label", {}, "Body", text), fields(resolved(body))] : []),
    ...(isFile ? [element("label", {}, "File", element("input", { name: "file", type: "file", required: true }))] : []),
    element("button", { textContent: "Send", disabled: !name && !path.startsWith("/session") }), answer);
  form.onsubmit = (event) => {
    event.preventDefault();
    send(form, method, path, operation).then((told) => { answer.hidden = false; answer.textContent = told; });
  };
  return element("details", {},
    element("summary", {}, element("span", { className: `method ${method}`, textContent: method.toUpperCase() }),
      element("code", { textContent: path }), element("span", { className: "quiet", textContent: operation.summary })), form);
}

async function send(form, method, path, operation) {
  const value = (parameter) => form.elements[parameter.name]?.value ?? "";
  const places = (operation.parameters ?? []).filter((one) => one.in === "path");
  const filled = places.reduce((text, one) => text.replace(`{${one.name}}`, encodeURIComponent(value(one))), path);
  const query = new URLSearchParams((operation.parameters ?? []).filter((one) => one.in === "query" && value(one)).map((one) => [one.name, value(one)]));
  const body = form.elements.file?.files[0] ?? form.elements.body?.value;
  const address = `/api/v1${filled}${query.size ? `?${query}` : ""}`;
  const response = await fetch(address, { method: method.toUpperCase(), body });
  const type = response.headers.get("content-type") ?? "";
  const what = /json/.test(type) ? JSON.stringify(await response.json(), null, 2) : /text/.test(type) ? await response.text() : `${(await response.blob()).size} bytes of ${type || "nothing"}`;
  return `${response.status} ${response.statusText}\n${what}`;
}

const rows = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ method, path, operation })));

function draw() {
  const words = $("search").value.trim().toLowerCase();
  const found = rows.filter(({ path, operation }) => `${path} ${operation.summary} ${operation.operationId}`.toLowerCase().includes(words));
  const groups = new Map();
  for (const row of found) groups.set(row.operation.tags[0], [...(groups.get(row.operation.tags[0]) ?? []), row]);
  $("groups").replaceChildren(...[...groups].map(([group, of]) => element("section", {}, element("h2", { textContent: group }),
    ...of.map(({ method, path, operation }) => operationItem(method, path, operation)))));
}
$("search").addEventListener("input", draw);
draw();
