// The watch page: the player, the way to sound, and the delay to live.
import { play } from "./player.js";

const $ = (id) => document.getElementById(id);
const channel = location.pathname.split("/")[2];
const video = $("video");
document.title = `Live: ${channel}`;

const player = play(video, `/live/${channel}/index.m3u8`, (text) => {
  $("message").textContent = text;
  $("message").hidden = !text;
});

$("sound").addEventListener("click", () => { video.muted = false; video.play(); });
video.addEventListener("volumechange", () => { $("sound").hidden = !video.muted; });
$("edge").addEventListener("click", () => player.toLive());

setInterval(() => {
  const delay = player.delay();
  $("delay").textContent = delay === null ? "" : `${delay.toFixed(1)} s behind`;
  $("edge").hidden = !(delay > 8 || video.paused);
}, 1000);
