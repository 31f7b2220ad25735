// The watch page: the player, the way to sound, and the delay to live. With ?show=ID it plays a show that is over, with
// &clip=AIRING the part of it in which one product was on air.
import { $ } from "./dom.js";
import { play } from "./player.js";
import { t } from "./i18n.js";

// A signed address begins with its signature, which playlists and media need too.
const [signature, rest] = location.pathname.split("/watch/");
const channel = rest.split("/")[0];
const video = $("video");
const query = new URLSearchParams(location.search);
const show = query.get("show"), clip = query.get("clip");
const folder = `${signature}/vod/${channel}/${encodeURIComponent(show)}/`;
const past = clip ? `${folder}clips/${encodeURIComponent(clip)}/index.m3u8` : `${folder}index.m3u8`;
document.title = t(show ? "Show: {channel}" : "Live: {channel}", { channel });

if (!show) video.poster = `${signature}/live/${channel}/poster.jpg`;

const player = play(video, show ? past : `${signature}/live/${channel}/index.m3u8`, (text) => {
  $("message").textContent = text;
  $("message").hidden = !text;
});

$("sound").addEventListener("click", () => { video.muted = false; video.play(); });
video.addEventListener("volumechange", () => { $("sound").hidden = !video.muted; });
$("edge").addEventListener("click", () => player.toLive());

if (show) {
  $("title").textContent = t("Show");
  $("title").className = "";
}
if (show && !clip) {
  fetch(`${folder}chapters.json`).then((response) => response.json()).then((chapters) => {
    $("chapters").hidden = !chapters.length;
    $("chapters").querySelector("ol").replaceChildren(...chapters.map((chapter) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = chapter.titles[0].title;
      button.addEventListener("click", () => { video.currentTime = chapter["start-time"]; video.play(); });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  });
}

if (!show) setInterval(() => {
  const delay = player.delay();
  $("delay").textContent = delay === null ? "" : t("{s} s behind", { s: delay.toFixed(1) });
  $("edge").hidden = !(delay > 8 || video.paused);
}, 1000);
