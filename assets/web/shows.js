// Shows that were on air: to watch, to download, to delete, and each product's part of them.
import { $, element } from "./dom.js";
import { t } from "./i18n.js";

function clock(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

function size(bytes) {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Lists the shows of `channel()` whenever the list is opened; `call(method, path)` asks the API, `signature(channel)` for
 *  what stands before viewers' addresses. */
export function joinShows(signature, call, channel) {
  const draw = async () => {
    const response = await call("GET", `/channels/${encodeURIComponent(channel())}/shows`);
    const { shows } = await response.json();
    const before = await signature(channel());
    $("no-shows").hidden = shows.length > 0;
    $("shows").replaceChildren(...shows.map((show) => item(show, call, channel(), before, draw)));
  };
  $("shows-panel").addEventListener("toggle", () => { if ($("shows-panel").open) draw(); });
}

function item(show, call, channel, before, draw) {
  const date = new Date(show.start).toLocaleString();
  const length = show.isRunning ? t("going on") : clock(show.end - show.start);
  const watch = `${before}/watch/${encodeURIComponent(channel)}?show=${show.id}`;
  const chapters = show.chapters.map((chapter) => element("li", {},
    `${clock(chapter.start - show.start)} `,
    element("a", { href: `${watch}&clip=${chapter.airingId}`, target: "_blank", textContent: chapter.title })));
  const remove = element("button", {
    type: "button", textContent: t("Delete"), hidden: show.isRunning,
    onclick: async () => {
      if (!confirm(t("Delete the show of {date} for good?", { date }))) return;
      await call("DELETE", `/channels/${encodeURIComponent(channel)}/shows/${show.id}`);
      draw();
    },
  });
  return element("li", {},
    element("span", { textContent: `${date} · ${length} · ${size(show.bytes)}` }),
    element("a", { href: watch, target: "_blank", textContent: t("Watch") }),
    element("a", { href: `${before}${show.download}`, textContent: t("Download MP4") }),
    remove,
    element("details", { hidden: !chapters.length }, element("summary", { textContent: t(chapters.length === 1 ? "1 product" : "{n} products", { n: chapters.length }) }), element("ul", {}, ...chapters)));
}
