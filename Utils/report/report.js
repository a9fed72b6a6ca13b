"use strict";
// What is shown and selected: the curve of one video, and one of its intervals. Loaded after the other scripts.

const LEAST_FRAMES = 4; // that the plot shows when zoomed in
const ZOOM_LENGTHS = 8; // lengths of the selected interval that "Zoom to it" shows
const JUMP_BEFORE = 0.5; // seconds before the onset at which a video is opened

const byId = (id) => document.getElementById(id);
const state = { number: 0, curve: null, selected: null, range: null };

function loadCurve(number) {
  const curve = JSON.parse(byId(`curve-${number}`).textContent);
  const [kind, other] = curve.companion ?? [];
  const companion = kind ? { kind, smoothed: decodeFloats(other) } : null;
  const floats = { raw: decodeFloats(curve.raw), smoothed: decodeFloats(curve.smoothed), companion };
  return reviewedCurve({ ...curve, ...floats }, number);
}

function redraw() {
  drawCurve(byId("plot"), state.curve, state.selected, state.range);
  placeHandles();
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
  showSummary();
  const { threshold } = state.curve;
  byId("threshold").hidden = threshold === null;
  if (threshold !== null) byId("threshold").lastElementChild.textContent = `threshold ${threshold.toPrecision(3)}`;
  const remarks = byId("curve-remarks");
  remarks.replaceChildren(...state.curve.remarks.map((text) => textElement("li", text)));
  remarks.hidden = state.curve.remarks.length === 0;
  markRow(null);
  hideClip();
  showJumps(null);
  byId("expression-zoom").disabled = true;
  redraw();
}

function showSummary() {
  const { label, summary, blind_summary } = state.curve;
  byId("plot-summary").textContent = `${label}: ${isBlind() ? blind_summary : summary}`;
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

/** The fragment of the page's address that names an interval, and what it names. */
const fragmentOf = (number, position) => `#expression-${number}-${position}`;

function intervalOfFragment() {
  const found = /^#expression-(\d+)-(\d+)$/.exec(location.hash);
  if (!found) return null;
  const [number, position] = found.slice(1).map(Number);
  return expressionRow(number, position) ? [number, position] : null;
}

/** Selects an interval: marks it in plot and table, describes it, and shows it moving. */
function selectInterval(number, position) {
  if (number !== state.number) showCurve(number);
  state.selected = position;
  const interval = state.curve.intervals[position];
  showSelection();
  const row = expressionRow(number, position);
  markRow(row);
  scrollInBox(row);
  byId("expression-zoom").disabled = false;
  const [first, last] = state.range;
  if (interval.start < first || interval.end > last) moveTo((interval.start + interval.end) / 2, last - first);
  else redraw();
  showJumps(interval);
  showForm();
  history.replaceState(null, "", fragmentOf(number, position));
  return showClip(number, position).then(bringIntoView);
}

function showSelection() {
  byId("selection").textContent = `${state.curve.label}: ${detailsOf(state.curve.intervals[state.selected]).join(", ")}.`;
}

/** What is known of an interval, in words. */
function detailsOf(interval) {
  const details = [describe(interval)];
  if (interval.status && interval.status !== UNREVIEWED) details.push(interval.status);
  if (isBlind()) return details;
  if (interval.p_micro !== null) details.push(`p(micro) ${interval.p_micro.toFixed(2)}`);
  if (interval.motion_px !== null) details.push(`movement ${interval.motion_px.toFixed(2)} px`);
  if (interval.score !== null) details.push(`score ${interval.score.toFixed(3)}`);
  if (interval.confidence !== null) details.push(`confidence ${interval.confidence.toFixed(2)}`);
  if (interval.flags) details.push(interval.flags);
  return details;
}

/** Links that open the videos at the interval. */
function showJumps(interval) {
  if (!byId("jump")) return;
  byId("jump").hidden = interval === null;
  if (interval === null) return;
  const times = [interval.onset_s - JUMP_BEFORE, interval.offset_s + JUMP_BEFORE].map((time) => Math.max(0, time).toFixed(2));
  for (const link of document.querySelectorAll("#jump a")) link.href = `${link.dataset.video}#t=${times.join(",")}`;
}

/** Scrolls as little as needed until the selected expression is visible, with its controls if the screen is high enough. */
function bringIntoView() {
  const { top, bottom } = byId("detail").getBoundingClientRect();
  if (top >= 0 && bottom <= window.innerHeight) return;
  byId("detail").scrollIntoView({ block: bottom - top <= window.innerHeight ? "nearest" : "start" });
}

/** Scrolls the box of the table, but not the page, until the row is visible. */
function scrollInBox(row) {
  const box = row.closest(".scroll");
  const above = row.offsetTop - row.closest("table").tHead.offsetHeight;
  const below = row.offsetTop + row.offsetHeight - box.clientHeight;
  if (box.scrollTop > above) box.scrollTop = above;
  else if (box.scrollTop < below) box.scrollTop = below;
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
  const hits = state.curve.there
    .filter((interval) => interval.start <= point.x && point.x <= interval.end)
    .sort((a, b) => Number(a.kind !== "predicted") - Number(b.kind !== "predicted") ||
      Math.abs(a.peak - point.x) - Math.abs(b.peak - point.x));
  return hits.length ? hits[0].position : null;
}

// From one expression to the next, in the order of the table

function step(direction) {
  const rows = byId("expressions") ? shownRows(byId("expressions")) : [];
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
  });
  byId("expression-previous").addEventListener("click", () => step(-1));
  byId("expression-next").addEventListener("click", () => step(1));
  byId("expression-zoom").addEventListener("click", zoomToSelected);
}

/** Draws the curve with Plotly from now on, and lets it be clicked and dragged. */
function usePlotly() {
  const plot = byId("plot");
  plot.replaceChildren();
  redraw();
  byId("js-plotly-tester").setAttribute("aria-hidden", "true"); // Plotly measures text in it
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
  byId("save-plot").disabled = false;
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
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => zoom(button.dataset.zoom));
  }
  byId("save-plot").addEventListener("click", () => {
    const plot = byId("plot");
    Plotly.downloadImage(plot, { format: "svg", filename: "score", width: plot.clientWidth, height: plot.clientHeight });
  });
  darkMode.addEventListener("change", redraw);
  startPlotly().then(() => window.Plotly && usePlotly()); // without it, the curve stays a still picture
}

/** Whether a key already has a meaning where it was pressed. */
function hasMeaning(key, element) {
  if (element.matches("select, textarea, input:not([type=range], [type=checkbox])")) return true;
  if (element.matches("input[type=range]")) return key.startsWith("Arrow");
  return key === " " && Boolean(element.closest("button, summary, a, input"));
}

/** What a key does on the page. */
function pageKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || hasMeaning(event.key, event.target)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "n") step(1);
  else if (key === "p") step(-1);
  else if (!reviewKey(key) && !playerKey(key)) return;
  event.preventDefault();
}

function selectFromAddress() {
  const named = intervalOfFragment();
  if (named) selectInterval(...named);
}

if (byId("plot")) {
  startReview(); // before the curve is drawn, so that it is drawn once, as it was reviewed
  startCurves();
  showReview();
  startExpressions();
  startPlayer();
  document.addEventListener("keydown", pageKey);
  window.addEventListener("hashchange", selectFromAddress);
  selectFromAddress();
}
