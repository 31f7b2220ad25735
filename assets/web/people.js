// Who may come in, who is here, and what was done. The server refuses what a role may not do; the page only says so before.
import { $, element } from "./dom.js";
import { said, t } from "./i18n.js";

const ROLES = ["viewer", "assistant", "producer", "owner"];

/** Whether `role` is at least `needed`. */
export const may = (role, needed) => ROLES.indexOf(role) >= ROLES.indexOf(needed);

/** Signs in; the server's cookie says who it is from then on. */
export async function signIn(name, password) {
  const response = await fetch("/api/v1/session", { method: "POST", body: JSON.stringify({ name: name || null, password }) });
  if (!response.ok) throw new Error(said((await response.json()).detail));
}

/** Whether this browser has signed in. */
export async function isSignedIn() {
  const response = await fetch("/api/v1/session");
  return Boolean((await response.json()).name);
}

/** Says who else is here. */
export function drawPresence(you, present) {
  const others = present.filter((one) => one.name !== you.name).map((one) => `${one.name} (${t(one.role)})`);
  const mine = present.find((one) => one.name === you.name)?.connections ?? 1;
  if (mine > 1) others.push(t("you in {n} windows", { n: mine }));
  $("you").textContent = you.name === you.role ? you.name : `${you.name} (${t(you.role)})`;
  $("present").textContent = others.length ? t("Also here: {names}", { names: others.join(", ") }) : t("Nobody else is here");
}

const when = (ms) => (ms ? new Date(ms).toLocaleString() : t("never"));
const roleChoice = (chosen) => {
  const select = element("select", {}, ...ROLES.map((role) => new Option(t(role), role, role === chosen, role === chosen)));
  select.setAttribute("aria-label", t("Role"));
  return select;
};

/** Joins the dialog; `request` asks the server. */
export function joinPeople(request) {
  const attempt = async (work) => {
    $("people-error").textContent = "";
    try { await work(); await draw(); } catch (error) { $("people-error").textContent = error.message; }
  };

  function operatorItem({ name, role, lastUsed }) {
    const choice = roleChoice(role);
    choice.onchange = () => attempt(() => request("PutOperator", { name, role: choice.value }));
    const remove = element("button", { type: "button", textContent: t("Remove"), onclick: () => attempt(() => request("RemoveOperator", { name })) });
    remove.setAttribute("aria-label", t("Remove {name}", { name }));
    return element("li", {}, element("strong", { textContent: name }), choice,
      element("span", { className: "quiet", textContent: t("signed in last: {when}", { when: when(lastUsed) }) }), element("span", { className: "spacer" }), remove);
  }

  function tokenItem({ id, name, role, lastUsed }) {
    const revoke = element("button", { type: "button", textContent: t("Revoke"), onclick: () => attempt(() => request("RevokeToken", { tokenId: id })) });
    revoke.setAttribute("aria-label", t("Revoke {key}", { key: name }));
    return element("li", {}, element("strong", { textContent: name }),
      element("span", { className: "quiet", textContent: t("{role}, used last: {when}", { role: t(role), when: when(lastUsed) }) }), element("span", { className: "spacer" }), revoke);
  }

  async function draw() {
    const { operators, tokens } = await request("GetPeople");
    $("operators").replaceChildren(...operators.map(operatorItem));
    $("tokens").replaceChildren(...tokens.map(tokenItem));
  }

  $("operator-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = event.target.elements;
    attempt(async () => {
      await request("PutOperator", { name: field.name.value.trim(), role: field.role.value, password: field.password.value });
      event.target.reset();
    });
  });
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = event.target.elements;
    attempt(async () => {
      const { token } = await request("MakeToken", { name: field.name.value.trim(), role: field.role.value });
      event.target.reset();
      $("new-token").textContent = token;
      $("new-token-row").hidden = false;
    });
  });
  $("people-open").addEventListener("click", () => { attempt(async () => {}); $("people").showModal(); });
  for (const menu of document.querySelectorAll("details.menu")) {
    menu.addEventListener("keydown", (event) => { if (event.key === "Escape") { menu.open = false; menu.querySelector("summary").focus(); } });
    document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  }
  for (const button of document.querySelectorAll(".menu button")) button.addEventListener("click", () => { button.closest("details").open = false; });
  // A secret does not stay on the page.
  $("people").addEventListener("close", () => { $("new-token").textContent = ""; $("new-token-row").hidden = true; });
  joinJournal(request);
  $("sign-out").addEventListener("click", async () => {
    await fetch("/api/v1/session", { method: "DELETE" });
    location.reload();
  });
}

/** What was asked, by whom, at which programme time. */
function joinJournal(request) {
  let before = null;
  const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
  const row = (entry) => {
    const times = Object.entries(entry.programmeMs).map(([channel, ms]) => `${channel} ${clock(ms)}`).join(", ");
    const what = `${entry.request} ${Object.values(entry.data ?? {}).filter((one) => typeof one === "string").join(" ")}`;
    return element("li", { className: entry.refused ? "bad" : "" },
      `${new Date(entry.at).toLocaleTimeString()} · ${entry.who} · ${what}`,
      element("span", { className: "quiet", textContent: entry.refused ? t(" refused: {reason}", { reason: said(entry.refused) }) : t(" programme {times}", { times }) }));
  };
  const more = async () => {
    const page = await request("GetJournal", { before, limit: 50 });
    before = page.before;
    $("journal").append(...page.entries.map(row));
    $("journal-more").hidden = !before;
  };
  $("journal-open").addEventListener("click", () => {
    before = null;
    $("journal").replaceChildren();
    more().catch((error) => { $("journal").textContent = error.message; });
    $("journal-dialog").showModal();
  });
  $("journal-more").addEventListener("click", more);
}
