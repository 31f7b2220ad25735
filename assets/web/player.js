// Plays a channel in a <video>, by hls.js, or natively where hls.js cannot run (Safari on iPhone).
// Recovers by itself: a fatal error is answered by another try, for ever, ever more slowly up to 5 s.
import { t } from "./i18n.js";

const SLOWEST_RETRY_MS = 5000;

/** Starts playing `url` in `video`; `say(text)` is told what is wrong, "" when nothing is. */
export function play(video, url, say = () => {}) {
  if (window.Hls?.isSupported()) return playByHls(video, url, say);
  video.src = url;
  let wait = 500;
  video.addEventListener("error", () => {
    say(t("Connecting again…"));
    setTimeout(() => { video.src = url; start(video); }, wait);
    wait = Math.min(wait * 2, SLOWEST_RETRY_MS);
  });
  video.addEventListener("playing", () => { wait = 500; say(""); });
  start(video);
  return { end: () => { video.removeAttribute("src"); }, delay: () => null, toLive: () => { video.currentTime = video.seekable.end(video.seekable.length - 1); } };
}

function playByHls(video, url, say) {
  let hls, wait = 500, isEnded = false;
  const open = () => {
    if (isEnded) return;
    // No backBufferLength: when hls.js (1.7.4) trims while a segment is half loaded, it forgets the loaded parts and
    // stalls at the segment's end. The browser itself drops what is old when its buffer is full.
    hls = new window.Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1 });
    hls.on(window.Hls.Events.MANIFEST_PARSED, () => start(video));
    hls.on(window.Hls.Events.ERROR, (_, error) => {
      if (!error.fatal) return;
      say(t("Connecting again…"));
      if (error.type === window.Hls.ErrorTypes.MEDIA_ERROR && wait === 500) {
        hls.recoverMediaError();
      } else {
        hls.destroy();
        setTimeout(open, wait);
      }
      wait = Math.min(wait * 2, SLOWEST_RETRY_MS);
    });
    hls.loadSource(url);
    hls.attachMedia(video);
  };
  video.addEventListener("playing", () => { wait = 500; say(""); });
  open();
  return {
    end: () => { isEnded = true; hls.destroy(); },
    delay: () => (Number.isFinite(hls.latency) && hls.latency > 0 ? hls.latency : null),
    toLive: () => { if (hls.liveSyncPosition) video.currentTime = hls.liveSyncPosition; start(video); },
  };
}

/** Browsers let a page start sound only after a touch; muted it may always play. */
function start(video) {
  video.play().catch(() => { video.muted = true; video.play().catch(() => {}); });
}
