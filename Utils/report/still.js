"use strict";
// Draws the curve as a still picture. It is there at once; Plotly, which then takes its place, takes a second to start.

const STILL_PADDING = 0.05; // above and below the scores, as a part of the panel's height

function svgElement(name, attributes, children = []) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The path of a score: in each column of pixels, a line from its lowest to its highest value. A gap is a gap. */
function scorePath(values, fps, toX, toY) {
  const parts = [];
  let column = null;
  let [low, high, connected] = [Infinity, -Infinity, false];
  const finish = () => {
    if (column === null) return;
    parts.push(`${connected ? "L" : "M"}${column} ${toY(high).toFixed(1)}L${column} ${toY(low).toFixed(1)}`);
    connected = true;
  };
  values.forEach((value, frame) => {
    const x = Math.round(toX(frame / fps));
    const there = Number.isFinite(value);
    if (x !== column || !there) {
      finish();
      [column, low, high] = [null, Infinity, -Infinity];
    }
    if (!there) connected = false;
    else [column, low, high] = [x, Math.min(low, value), Math.max(high, value)];
  });
  finish();
  return parts.join("");
}

/** Draws the curve with the sizes and colours that Plotly will draw it with. Parameters: see `drawCurve`. */
function drawStill(element, curve, selected, range) {
  const colours = themeColours();
  const tracks = trackLayout(curve.there);
  const layout = plotLayout(curve, selected, tracks, colours, range);
  const width = element.clientWidth;
  const inner = { width: width - MARGIN.l - MARGIN.r, height: layout.height - MARGIN.t - MARGIN.b };
  const [bottom, top] = [layout.yaxis.domain[0], 1].map((height) => MARGIN.t + (1 - height) * inner.height);
  const lane = (inner.height * layout.yaxis2.domain[1]) / tracks.total;
  const end = MARGIN.t + inner.height;

  const scores = [...curve.raw, ...curve.smoothed, ...(curve.companion?.smoothed ?? [])].filter(Number.isFinite);
  const [low, high] = scores.reduce(([least, most], s) => [Math.min(least, s), Math.max(most, s)], [Infinity, -Infinity]);
  const toX = (time) => MARGIN.l + (inner.width * (time - range[0])) / (range[1] - range[0]);
  const part = (score) => (high > low ? (score - low) / (high - low) : 0.5);
  const toY = (score) => bottom - (bottom - top) * (STILL_PADDING + (1 - 2 * STILL_PADDING) * part(score));
  const line = (values, name, colour, thickness) =>
    svgElement("path", { class: name, d: scorePath(values, curve.fps, toX, toY), fill: "none", stroke: colour, "stroke-width": thickness });
  const box = (interval, y, height, look) =>
    svgElement("rect", { x: toX(interval.start), width: toX(interval.end) - toX(interval.start), y, height, ...look });

  const drawn = shadedIntervals(curve).map((i) => box(i, top, bottom - top, { fill: i.colour, opacity: colours.shade }));
  if (!isBlind()) {
    drawn.push(line(curve.raw, "raw", colours.raw, 1), line(curve.smoothed, "smoothed", colours.text, 2));
    if (curve.companion) drawn.push(line(curve.companion.smoothed, "companion", colours.accent, 1.2));
    if (curve.threshold !== null) {
      const y = toY(curve.threshold);
      const ends = { x1: MARGIN.l, x2: MARGIN.l + inner.width, y1: y, y2: y };
      drawn.push(svgElement("line", { ...ends, stroke: colours.text, "stroke-width": 1.3, "stroke-dasharray": "9 9" }));
    }
  }
  for (const interval of curve.there) {
    const middle = end - lane * (tracks.total - middleLane(tracks, interval));
    drawn.push(box(interval, middle - (BAR * lane) / 2, BAR * lane, { class: "bar", fill: interval.colour }));
  }
  if (curve.intervals[selected]) {
    const frame = { class: "selected", fill: "none", stroke: colours.accent, "stroke-width": 2.5 };
    drawn.push(box(curve.intervals[selected], MARGIN.t, inner.height, frame));
  }
  const seen = { x: MARGIN.l, y: MARGIN.t, width: inner.width, height: inner.height };
  const clip = svgElement("clipPath", { id: "still-clip" }, [svgElement("rect", seen)]);
  const axes = svgElement("path", {
    d: `M${MARGIN.l} ${MARGIN.t}V${bottom}M${MARGIN.l} ${end}H${MARGIN.l + inner.width}`, fill: "none", stroke: colours.faint,
  });
  const content = [clip, svgElement("g", { "clip-path": "url(#still-clip)" }, drawn), axes];
  element.replaceChildren(svgElement("svg", { class: "still", width, height: layout.height }, content));
}

/** Starts Plotly, whose text the page has as data. The second frame begins when the first one has been painted. */
function startPlotly() {
  return new Promise((started) => {
    requestAnimationFrame(() => requestAnimationFrame(() => {
      document.head.append(Object.assign(document.createElement("script"), { textContent: byId("plotly").textContent }));
      byId("plotly").remove();
      started();
    }));
  });
}
