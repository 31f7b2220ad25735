// Plots of a channel's last minutes. The server keeps the figures, second by second; they are fetched only while somebody
// looks. The newest stands beside each plot in words, for whoever cannot see it.
import { $, element } from "./dom.js";
import { t } from "./i18n.js";

const EVERY_MS = 2000, SHOWN_S = 300, MOST_S = 900;
const whole = (value) => String(Math.round(value));

/** A plot: its figures, their factor, how the newest is said. Where two stand, the second is ours. */
const PLOTS = [
  { title: "Bitrate", unit: "kb/s", of: ["bitrateKbps"], say: whole },
  { title: "Frames a second", unit: "fps", of: ["fps"], say: (value) => value.toFixed(1) },
  { title: "Lost frames", unit: "", of: ["lostFrames", "skippedFrames"], say: whole, isSum: true,
    labels: ["lost on the way", "left out"] },
  { title: "Encode load", unit: "%", of: ["encodeLoad"], factor: 100, say: whole, most: 100 },
  { title: "Delay", unit: "s", of: ["delayMs"], factor: 0.001, say: (value) => value.toFixed(1) },
  { title: "Viewers", unit: "", of: ["viewers"], say: whole },
];
const COLOURS = ["#ffb347", "#ff8b9a"];

/** Joins the panel `#plots-panel`; `channel()` tells which is looked at. */
export function joinPlots(channel) {
  const panel = $("plots-panel");
  let samples, of, timer, plots = [];

  async function look() {
    const wanted = channel();
    const last = of === wanted ? samples?.at.at(-1) : undefined;
    const answer = await fetch(`/api/v1/channels/${encodeURIComponent(wanted)}/samples${last ? `?after=${last}` : ""}`).catch(() => null);
    if (!answer?.ok) return;
    const found = await answer.json();
    // Another channel meanwhile, or an answer that was overtaken.
    if (wanted !== channel() || (last && (of !== wanted || samples.at.at(-1) !== last))) return;
    samples = last ? join(samples, found) : found;
    of = wanted;
    draw();
  }

  function draw() {
    if (!plots.length) plots = PLOTS.map(make);
    const seconds = Number($("plots-span").value);
    const from = samples.at.findIndex((at) => at > samples.at.at(-1) - seconds * 1000);
    for (const { plot, value, spec } of plots) {
      const rows = spec.of.map((name) => samples[name].slice(from).map((one) => (one === null ? null : one * (spec.factor ?? 1))));
      const at = samples.at.slice(from).map((ms) => ms / 1000);
      plot.setData([at, ...rows], false);
      const end = at.at(-1) ?? 0;
      const top = Math.max(spec.most ?? 1, ...rows.flat().filter((one) => one !== null)) * 1.08;
      plot.batch(() => { plot.setScale("x", { min: end - seconds, max: end }); plot.setScale("y", { min: 0, max: top }); });
      value.textContent = sayNewest(spec, rows);
    }
  }

  function make(spec) {
    const box = element("div"), value = element("strong");
    const figure = element("figure", {}, element("figcaption", {}, element("span", { textContent: t(spec.title) }), value), box);
    $("plots").append(figure);
    box.setAttribute("aria-hidden", "true");
    const axis = { stroke: "#b3abbe", grid: { stroke: "#3a3542", width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const plot = new uPlot({
      width: box.clientWidth, height: 96, legend: { show: false }, cursor: { show: false }, padding: [6, 8, 0, 0],
      scales: { x: { auto: false }, y: { auto: false } },
      axes: [{ ...axis, space: 90, size: 22, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 44, space: 28 }],
      series: [{}, ...spec.of.map((_, n) => ({ stroke: COLOURS[n], width: 1.5, points: { show: false }, fill: n ? undefined : "#ffb34722" }))],
    }, [[], ...spec.of.map(() => [])], box);
    new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: 96 })).observe(box);
    return { plot, value, spec };
  }

  function tend() {
    clearInterval(timer);
    if (!panel.open) return;
    look();
    timer = setInterval(look, EVERY_MS);
  }
  panel.addEventListener("toggle", tend);
  $("plots-span").addEventListener("change", () => samples && draw());
  $("plots-span").value = String(SHOWN_S);
  return { look: () => { if (panel.open) look(); } };
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** `more` after `all`, of both the last quarter of an hour. */
function join(all, more) {
  const lists = Object.keys(all).filter((name) => Array.isArray(all[name]));
  return Object.fromEntries(lists.map((name) => [name, [...all[name], ...more[name]].slice(-MOST_S)]));
}

/** The newest figure, or of what is counted the sum of all that is shown. */
function sayNewest(spec, rows) {
  const of = (row) => (spec.isSum ? row.reduce((sum, one) => sum + one, 0) : row.at(-1));
  const said = rows.map((row, n) => {
    const value = of(row);
    if (value === null || value === undefined) return "–";
    return [`${spec.say(value)}${spec.unit && ` ${spec.unit}`}`, spec.labels && t(spec.labels[n])].filter(Boolean).join(" ");
  });
  return said.join(", ");
}
