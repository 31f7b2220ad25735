// The keys that take a show through: shown with ?, and changed there. They are this browser's own: a Stream Deck or a small
// keyboard beside it types what it was made for.
import { $, element } from "./dom.js";
import { t } from "./i18n.js";

/** Each action: its usual key, and what it does. */
const ACTIONS = {
  up: ["ArrowUp", "the line before"], down: ["ArrowDown", "the line after"],
  advance: [" ", "on air, next step, out"], take: ["t", "take what is next"], next: ["n", "this line is next"],
  swap: ["s", "this card alone on air"], pin: ["p", "explain this product now"], edit: ["Enter", "edit"], duplicate: ["d", "duplicate"], out: ["Escape", "everything out"],
};
const FIXED = [["Alt ↑ ↓", "move the line"], ["1 – 9", "the first nine cards: on air, next step, out"], ["Ctrl Z", "take back your last edit"], ["?", "these keys"]];
const NAMES = { " ": "Space", ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" };
const KEPT = /^([1-9?]|Tab|Shift|Control|Alt|Meta|F5)$/;

const usual = () => Object.fromEntries(Object.entries(ACTIONS).map(([action, [key]]) => [action, key]));
const plain = (key) => (key.length === 1 ? key.toLowerCase() : key);
const shown = (key) => (key === "" ? "–" : null) ?? NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);

let keys = usual(), asked = null;
try {
  const kept = JSON.parse(localStorage.getItem("keys") ?? "{}");
  // An action that came later has no key where somebody had given its own to another.
  for (const action of Object.keys(keys)) if (!kept[action] && Object.values(kept).includes(keys[action])) keys[action] = "";
  keys = { ...keys, ...kept };
} catch { /* as at first */ }

/** What a key does, if anything. */
export const actionOf = (event) => Object.keys(keys).find((action) => keys[action] === plain(event.key));

/** Whether `event` is the key of a line's own button. */
export const isOfButton = (event) => [" ", "Enter"].includes(event.key);

function save() {
  localStorage.setItem("keys", JSON.stringify(keys));
  draw();
}

/** The key is this action's from now on; whose it was gets the other. */
function give(action, key) {
  const other = Object.keys(keys).find((one) => keys[one] === key);
  if (other) keys[other] = keys[action];
  keys[action] = key;
  save();
}

function draw() {
  const row = (key, what, ...more) => [element("dt", {}, element("kbd", { textContent: key })), element("dd", {}, t(what), ...more)];
  $("keys-list").replaceChildren(...Object.entries(ACTIONS).flatMap(([action, [, what]]) => {
    const change = element("button", {
      type: "button", textContent: t(asked === action ? "Press a key…" : "Change"),
      onclick: () => { asked = action; draw(); $("keys-list").querySelector(`[data-action="${action}"]`).focus(); },
    });
    change.setAttribute("aria-label", `${change.textContent}: ${t(what)}`);
    change.dataset.action = action;
    return row(shown(keys[action]), what, " ", change);
  }), ...FIXED.flatMap(([key, what]) => row(key, what)));
}

export function openKeys() {
  asked = null;
  draw();
  $("keys-dialog").showModal();
}

$("keys-reset").addEventListener("click", () => { keys = usual(); asked = null; save(); });
$("keys-help").addEventListener("click", openKeys);
// Before the dialog and its buttons have it.
$("keys-dialog").addEventListener("keydown", (event) => {
  if (!asked || KEPT.test(event.key)) return;
  event.preventDefault();
  const action = asked;
  asked = null;
  give(action, plain(event.key));
}, true);
$("keys-dialog").addEventListener("cancel", (event) => { if (asked) event.preventDefault(); });
