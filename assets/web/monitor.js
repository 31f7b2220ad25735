// The picture on air in an <img>, a fraction of a second old: JPEG files over a WebSocket. Connects again by itself.

const RETRY_MS = 1000;

/** Shows what `channel` has on air in `image`; `say(isOn)` is told when pictures come and when they do not. */
export function watchProgramme(image, channel, say) {
  let socket, isEnded = false, last = "";
  const show = (blob) => {
    const address = URL.createObjectURL(blob);
    image.src = address;
    if (last) URL.revokeObjectURL(last);
    last = address;
  };
  const open = () => {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/api/v1/channels/${encodeURIComponent(channel)}/monitor`);
    socket.binaryType = "blob";
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") image.dataset.programmeMs = JSON.parse(data).programmeMs;
      else { show(new Blob([data], { type: "image/jpeg" })); say(true); }
    };
    socket.onclose = () => {
      if (isEnded) return;
      say(false);
      setTimeout(() => { if (!isEnded) open(); }, RETRY_MS);
    };
  };
  open();
  return { end() { isEnded = true; socket.close(); } };
}
