"use strict";
// What is shown and selected: the curve of one video, and one of its intervals. Loaded after plot.js and tables.js.

const LEAST_FRAMES = 4; // that the plot shows when zoomed in
const ZOOM_LENGTHS = 8; // lengths of the selected interval that "Zoom to it" shows

const byId = (id) => document.getElementById(id);
const state = { number: 0, curve: null, selected: null, range: null };

function loadCurve(number) {
  const curve = JSON.parse(byId(`curve-${number}`).textContent);
  return { ...curve, raw: decodeFloats(curve.raw), smoothed: decodeFloats(curve.smoothed) };
}

function redraw() {
  drawCurve(byId("plot"), state.curve, state.selected, state.range);
}

function showCurve(number) {
  state.number = number;
  state.curve = loadCurve(number);
  state.selected = null;
  state.range = fullRange(state.curve);
  byId("curve-choice").value = String(number);
  byId("curve-previous").disabled = number === 0;
  byId("curve-next").disabled = number === byId("curve-choice").options.length - 1;
  byId("plot").setAttribute("aria-label", `Score curve of ${state.curve.label}`);
  byId("plot-summary").textContent = `${state.curve.label}: ${state.curve.summary}`;
  const { threshold } = state.curve;
  byId("threshold").hidden = threshold === null;
  if (threshold !== null) byId("threshold").lastElementChild.textContent = `threshold ${threshold.toPrecision(3)}`;
  const remarks = byId("curve-remarks");
  remarks.replaceChildren(...state.curve.remarks.map((text) => textElement("li", text)));
  remarks.hidden = state.curve.remarks.length === 0;
  markRow(null);
  byId("pictures").hidden = byId("pictures-note").hidden = true;
  byId("expression-zoom").disabled = true;
  redraw();
}

function textElement(name, text, className) {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function expressionRow(number, position) {
  return document.querySelector(`#expressions tr[data-curve="${number}"][data-interval="${position}"]`);
}

function markRow(row) {
  for (const marked of document.querySelectorAll("#expressions tr[aria-current]")) {
    marked.removeAttribute("aria-current");
    marked.querySelector("button").ariaPressed = "false";
  }
  if (!row) return;
  row.setAttribute("aria-current", "true");
  row.querySelector("button").ariaPressed = "true";
}

/** Selects an interval: marks it in plot and table, describes it, and shows its pictures. */
function selectInterval(number, position) {
  if (number !== state.number) showCurve(number);
  state.selected = position;
  const interval = state.curve.intervals[position];
  const details = [describe(interval)];
  if (interval.score !== null) details.push(`score ${interval.score.toFixed(3)}`);
  if (interval.confidence !== null) details.push(`confidence ${interval.confidence.toFixed(2)}`);
  byId("selection").textContent = `${state.curve.label}: ${details.join(", ")}.`;
  showPictures(interval);
  const row = expressionRow(number, position);
  markRow(row);
  scrollInBox(row);
  byId("expression-zoom").disabled = false;
  const [first, last] = state.range;
  if (interval.start < first || interval.end > last) moveTo((interval.start + interval.end) / 2, last - first);
  else redraw();
}

/** Scrolls the box of the table, but not the page, until the row is visible. */
function scrollInBox(row) {
  const box = row.closest(".scroll");
  const above = row.offsetTop - row.closest("table").tHead.offsetHeight;
  const below = row.offsetTop + row.offsetHeight - box.clientHeight;
  if (box.scrollTop > above) box.scrollTop = above;
  else if (box.scrollTop < below) box.scrollTop = below;
}

function picture(name, uri, caption, alternative) {
  const figure = document.createElement("figure");
  if (uri) {
    const image = document.createElement("img");
    image.src = uri;
    image.alt = alternative;
    figure.append(image);
  } else {
    figure.append(textElement("div", `no picture of the ${name}`, "missing"));
  }
  figure.append(textElement("figcaption", caption));
  return figure;
}

function showPictures(interval) {
  const { pictures } = interval;
  byId("pictures").hidden = byId("pictures-note").hidden = !pictures;
  if (!pictures) return;
  const fps = state.curve.fps;
  const shown = ["onset", "apex", "offset"].map((name) => {
    const frame = interval[name];
    const when = frame === null ? "frame unknown" : `frame ${frame}, ${(frame / fps).toFixed(2)} s`;
    const caption = `${name[0].toUpperCase()}${name.slice(1)}: ${when}`;
    return picture(name, pictures[name], caption, `Face at the ${name}`);
  });
  shown.push(picture("flow", pictures.flow, "Movement from onset to apex", "Face at the apex with arrows of its movement since the onset"));
  byId("pictures").replaceChildren(...shown);
  const times = pictures.magnification;
  byId("pictures-note").hidden = !pictures.flow;
  byId("pictures-note").textContent = "The arrows show where each part of the face moved from onset to apex. " +
    (times > 1 ? `They are drawn ${times} times as long as the movement. ` : "") +
    "Where there is no arrow, there was hardly any movement.";
}

// The part of the video that the plot shows

/** Shows `width` seconds around `centre`, as far as the video reaches. */
function moveTo(centre, width) {
  const [first, last] = fullRange(state.curve);
  const span = Math.min(Math.max(width, LEAST_FRAMES / state.curve.fps), last - first);
  const start = Math.min(Math.max(centre - span / 2, first), last - span);
  state.range = [start, start + span];
  redraw();
}

function zoom(how) {
  const [first, last] = state.range;
  const centre = (first + last) / 2;
  const width = last - first;
  if (how === "in") moveTo(centre, width / 2);
  else if (how === "out") moveTo(centre, width * 2);
  else if (how === "earlier") moveTo(centre - width / 2, width);
  else if (how === "later") moveTo(centre + width / 2, width);
  else moveTo(centre, Infinity);
}

function zoomToSelected() {
  const { start, end } = state.curve.intervals[state.selected];
  moveTo((start + end) / 2, ZOOM_LENGTHS * (end - start));
}

/** The interval that a click selects: the clicked one or, on the curve, the one around the clicked point. */
function clickedInterval(point) {
  if (point.data.name !== "smoothed") return point.customdata;
  const hits = state.curve.intervals.map((interval, position) => ({ ...interval, position }))
    .filter((interval) => interval.start <= point.x && point.x <= interval.end)
    .sort((a, b) => Number(a.kind !== "predicted") - Number(b.kind !== "predicted") ||
      Math.abs(a.peak - point.x) - Math.abs(b.peak - point.x));
  return hits.length ? hits[0].position : null;
}

// From one expression to the next, in the order of the table

function step(direction) {
  const rows = shownRows(byId("expressions"));
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.hasAttribute("aria-current"));
  const next = at < 0 ? (direction > 0 ? 0 : rows.length - 1) : (at + direction + rows.length) % rows.length;
  selectRow(rows[next]);
}

function selectRow(row) {
  selectInterval(Number(row.dataset.curve), Number(row.dataset.interval));
}

function startExpressions() {
  const table = byId("expressions");
  for (const button of [byId("expression-previous"), byId("expression-next")]) button.disabled = !table;
  if (!table) return;
  table.tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (!window.getSelection().isCollapsed && !event.target.closest("button")) return; // the user has marked text
    selectRow(row);
    byId("detail").scrollIntoView({ block: "nearest" });
  });
  byId("expression-previous").addEventListener("click", () => step(-1));
  byId("expression-next").addEventListener("click", () => step(1));
  byId("expression-zoom").addEventListener("click", zoomToSelected);
}

function startCurves() {
  const choice = byId("curve-choice");
  const showChosen = (number) => {
    showCurve(number);
    byId("selection").textContent = `${state.curve.label} is shown; no expression is selected.`;
  };
  choice.addEventListener("change", () => showChosen(Number(choice.value)));
  byId("curve-previous").addEventListener("click", () => showChosen(state.number - 1));
  byId("curve-next").addEventListener("click", () => showChosen(state.number + 1));
  showCurve(0);
  byId("js-plotly-tester").setAttribute("aria-hidden", "true"); // Plotly measures text in it
  const plot = byId("plot");
  plot.on("plotly_click", (event) => {
    const position = clickedInterval(event.points[0]);
    if (position !== null) selectInterval(state.number, position);
  });
  plot.on("plotly_relayout", (change) => {
    if (!("xaxis.range[0]" in change)) return;
    state.range = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    redraw();
  });
  plot.on("plotly_doubleclick", () => zoom("all"));
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => zoom(button.dataset.zoom));
  }
  byId("save-plot").addEventListener("click", () => {
    Plotly.downloadImage(plot, { format: "svg", filename: "score", width: plot.clientWidth, height: plot.clientHeight });
  });
  darkMode.addEventListener("change", redraw);
}

if (byId("plot")) {
  startCurves();
  startExpressions();
}
