"use strict";
// Draws one score curve with Plotly: the scores above, tracks of annotated and predicted intervals below.

const LANES = { mouse: 20, finger: 40 }; // height of a lane in the tracks, pixels
const BAR = 0.76; // height of an interval's bar, in lanes
const TRACK_GAP = 0.4; // between the annotated and the predicted track, in lanes
const SCORES = 270; // height of the score panel, pixels
const PANEL_GAP = 10; // between the panels, pixels
const NARROW = 12; // pixels; in a narrower bar the apex gets the bar's colour, otherwise it would hide the bar
const MARGIN = { l: 74, r: 12, t: 12, b: 46 };
const darkMode = window.matchMedia("(prefers-color-scheme: dark)");
const coarsePointer = window.matchMedia("(pointer: coarse)");

/** Numbers from base64 text: 32-bit floats, little-endian. */
function decodeFloats(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** Text that Plotly shows as it is. Plotly would read tags in a name as HTML. */
function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function themeColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["page", "panel", "text", "faint", "rule", "grid", "raw", "accent", "shade"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function withAlpha(hex, alpha) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${red},${green},${blue},${alpha})`;
}

/** The first lane and the number of lanes of each track. Without annotations there is no annotated track. */
function trackLayout(intervals) {
  const lanes = (kind) => Math.max(0, ...intervals.filter((i) => i.kind === kind).map((i) => i.lane + 1));
  const annotated = lanes("annotated");
  const gap = annotated ? TRACK_GAP : 0;
  const predicted = Math.max(1, lanes("predicted"));
  return { starts: { annotated: 0, predicted: annotated + gap }, annotated, predicted, total: annotated + gap + predicted };
}

/** The height of an interval's middle in the tracks, in lanes from the top. */
function middleLane(tracks, interval) {
  return tracks.starts[interval.kind] + interval.lane + 0.5;
}

/** The intervals that are shaded behind the curve: annotated ones; if there are none, predicted ones. */
function shadedIntervals(curve) {
  const annotated = curve.there.filter((i) => i.kind === "annotated");
  return annotated.length ? annotated : curve.there.filter((i) => i.kind === "predicted");
}

function describe(interval) {
  const emotion = isBlind() ? "expression" : interval.emotion ?? "unknown";
  const matched = interval.matched === null || isBlind() ? "" : interval.matched ? ", matched" : ", not matched";
  return `${interval.kind} ${emotion}, ${interval.onset_s.toFixed(2)} to ${interval.offset_s.toFixed(2)} s, ` +
    `frames ${interval.onset} to ${interval.offset}${matched}`;
}

function scoreTraces(curve, colours) {
  const time = Float64Array.from({ length: curve.raw.length }, (_, frame) => frame / curve.fps);
  const common = { type: "scatter", visible: !isBlind(), mode: curve.raw.length > 1 ? "lines" : "markers", x: time, connectgaps: false };
  const other = curve.companion;
  return [
    { ...common, name: "raw", y: curve.raw, line: { color: colours.raw, width: 1 }, hoverinfo: "skip" },
    {
      ...common,
      name: "smoothed",
      y: curve.smoothed,
      customdata: curve.raw,
      line: { color: colours.text, width: 2 },
      hovertemplate: "%{x:.3f} s, frame %{pointNumber}<br>score %{y:.3f}, raw %{customdata:.3f}<extra></extra>",
    },
    ...(other ? [{ ...common, name: other.kind, y: other.smoothed, line: { color: colours.accent, width: 1.2, dash: "dot" }, hoverinfo: "skip" }] : []),
  ];
}

/** Bars in the tracks, and peaks on the curve. `customdata` is the position of the interval in the curve's list. */
function intervalTraces(curve, tracks, colours, pixelsPerSecond) {
  const all = curve.there;
  const lane = (interval) => middleLane(tracks, interval);
  const hover = (intervals) => ({
    customdata: intervals.map((i) => i.position),
    hovertext: intervals.map((i) => plain(describe(i))),
    hovertemplate: "%{hovertext}<extra></extra>",
  });
  const isNarrow = (interval) => (interval.end - interval.start) * pixelsPerSecond < NARROW;
  const apexColour = (interval) => (isNarrow(interval) ? interval.colour : colours.text);
  const bars = {
    type: "bar", orientation: "h", name: "intervals", yaxis: "y2", width: BAR,
    base: all.map((i) => i.start), x: all.map((i) => i.end - i.start), y: all.map(lane), ...hover(all),
    marker: {
      color: all.map((i) => i.colour), opacity: all.map((i) => (i.status === "rejected" ? 0.25 : 1)),
      line: { color: all.map((i) => i.colour), width: 1.5 },
      pattern: { shape: all.map((i) => (i.matched === false && !isBlind() ? "/" : "")), fillmode: "replace", size: 6, solidity: 0.35 },
    },
  };
  const apexes = {
    type: "scatter", mode: "markers", name: "apexes", yaxis: "y2", x: all.map((i) => i.peak), y: all.map(lane),
    marker: { symbol: "line-ns", size: coarsePointer.matches ? 22 : 10, line: { color: all.map(apexColour), width: 2 } }, ...hover(all),
  };
  const peaks = isBlind() ? [] : all.filter((i) => i.kind === "predicted" && Number.isFinite(curve.smoothed[i.peak_frame]));
  const dots = {
    type: "scatter", mode: "markers", name: "peaks", x: peaks.map((i) => i.peak),
    y: peaks.map((i) => curve.smoothed[i.peak_frame]), ...hover(peaks),
    marker: {
      size: 10, symbol: peaks.map((i) => (i.matched === false ? "circle-open" : "circle")),
      color: peaks.map((i) => i.colour),
      line: {
        color: peaks.map((i) => (i.matched === false ? i.colour : colours.text)),
        width: peaks.map((i) => (i.matched === false ? 2.5 : 1)),
      },
    },
  };
  return [bars, apexes, dots];
}

/** Shades behind the curve, threshold, selection. */
function shapes(curve, selected, colours) {
  const drawn = shadedIntervals(curve).map((i) => ({
    type: "rect", layer: "below", xref: "x", yref: "y domain", x0: i.start, x1: i.end, y0: 0, y1: 1,
    fillcolor: withAlpha(i.colour, colours.shade), line: { width: 0 },
  }));
  if (curve.threshold !== null && !isBlind()) {
    drawn.push({
      type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: curve.threshold, y1: curve.threshold,
      line: { color: colours.text, width: 1.3, dash: "dash" },
    });
  }
  const chosen = curve.intervals[selected];
  if (chosen) {
    drawn.push({
      type: "rect", xref: "x", yref: "paper", x0: chosen.start, x1: chosen.end, y0: 0, y1: 1,
      fillcolor: "rgba(0,0,0,0)", line: { color: colours.accent, width: 2.5 },
    });
  }
  return drawn;
}

/** The first and the last second of the plot: the whole video, and intervals that reach beyond it. */
function fullRange(curve) {
  const starts = curve.there.map((i) => i.start);
  const ends = curve.there.map((i) => i.end);
  return [Math.min(-0.5 / curve.fps, ...starts), Math.max((curve.raw.length - 0.5) / curve.fps, ...ends)];
}

function plotLayout(curve, selected, tracks, colours, range) {
  const tracksHeight = tracks.total * (coarsePointer.matches ? LANES.finger : LANES.mouse);
  const height = SCORES + tracksHeight + MARGIN.t + MARGIN.b + PANEL_GAP;
  const inner = height - MARGIN.t - MARGIN.b;
  const axis = { gridcolor: colours.grid, linecolor: colours.faint, zeroline: false, tickfont: { color: colours.text } };
  const middle = (kind) => tracks.starts[kind] + tracks[kind] / 2;
  const named = tracks.annotated ? ["annotated", "predicted"] : ["predicted"];
  const [first, last] = fullRange(curve);
  return {
    height, margin: MARGIN, showlegend: false, hovermode: "closest", hoverdistance: 24, barmode: "overlay",
    dragmode: coarsePointer.matches ? false : "zoom", // on a touch screen, dragging scrolls the page
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colours.text, family: "system-ui, sans-serif", size: 13 },
    hoverlabel: { bgcolor: colours.panel, bordercolor: colours.faint, font: { color: colours.text }, align: "left", namelength: -1 },
    xaxis: { ...axis, anchor: "y2", title: { text: "time (s)", standoff: 6 }, range, minallowed: first, maxallowed: last, showline: true, nticks: 12 },
    yaxis: { ...axis, domain: [(tracksHeight + PANEL_GAP) / inner, 1], visible: !isBlind(), title: { text: "score" }, fixedrange: true, nticks: 7, showline: true },
    yaxis2: { ...axis, domain: [0, tracksHeight / inner], range: [tracks.total, 0], fixedrange: true, showgrid: false,
      tickvals: named.map(middle), ticktext: named, ticks: "" },
    shapes: shapes(curve, selected, colours),
  };
}

/** Draws the curve between the two times of `range` (seconds), with an outline around the selected interval. */
function drawCurve(element, curve, selected, range) {
  if (!window.Plotly) return drawStill(element, curve, selected, range);
  const colours = themeColours();
  const tracks = trackLayout(curve.there);
  const pixelsPerSecond = (element.clientWidth - MARGIN.l - MARGIN.r) / (range[1] - range[0]);
  const traces = [...scoreTraces(curve, colours), ...intervalTraces(curve, tracks, colours, pixelsPerSecond)];
  const config = { displayModeBar: false, responsive: true, showTips: false, doubleClick: false };
  return Plotly.react(element, traces, plotLayout(curve, selected, tracks, colours, range), config);
}
