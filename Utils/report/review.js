"use strict";
// Review of the predictions by a person: decisions are kept in this browser, can be undone, and are saved as files.

const UNREVIEWED = "unreviewed";
const SAVED_FOR_ELAN = ["accepted", "added"]; // what is saved for ELAN
const STORE = "mean-review"; // first part of the names under which reviews are kept in the browser
const MOST_UNDONE = 500; // steps
const CSV_BREAKS = /[",\r\n]/;

const review = { about: null, rows: new Map(), coder: "", blind: false, undo: [], store: null };

const rowName = (number, position) => `${number}-${position}`;
const isBlind = () => review.blind;
const isReviewing = () => review.about !== null && byId("review-bar").open;

/** The rows as the program predicted them: name -> row. */
function predictedRows() {
  const rows = new Map();
  for (const [number] of Array.from(byId("curve-choice").options).entries()) {
    const curve = JSON.parse(byId(`curve-${number}`).textContent);
    for (const [position, interval] of curve.intervals.entries()) {
      if (interval.kind !== "predicted") continue;
      rows.set(rowName(number, position), {
        curve: number, subject: curve.subject, video: curve.video, face: curve.face,
        onset: interval.onset, apex: interval.apex, offset: interval.offset, score: interval.score,
        emotion: interval.emotion, confidence: interval.confidence, kind: "micro",
        status: UNREVIEWED, coder: "", reviewed_at: "", note: "", fps: curve.fps, frames: curve.frames,
      });
    }
  }
  return rows;
}

// What the browser keeps

function storedReview(text) {
  const stored = JSON.parse(text);
  if (!Array.isArray(stored.rows) || typeof stored.coder !== "string") throw new Error("not a review");
  for (const [name, row] of stored.rows) {
    if (typeof name !== "string" || typeof row.status !== "string" || !Number.isInteger(row.onset)) throw new Error("not a review");
  }
  return stored;
}

/** Reads what this browser keeps for this page. Whatever cannot be used is left where it is, and said. */
function restoreReview() {
  const page = `${STORE}:${location.pathname}`;
  review.store = `${page}#${review.about.run}`;
  let text = null;
  try {
    text = localStorage.getItem(review.store);
    const others = Object.keys(localStorage).filter((name) => name.startsWith(`${page}#`) && name !== review.store);
    for (const name of others) offerOther(name);
  } catch {
    review.store = null;
    tellReview("This browser keeps nothing for this page. Save the files before you close it.");
  }
  if (text === null) return;
  try {
    const stored = storedReview(text);
    for (const [name, row] of stored.rows) review.rows.set(name, row);
    Object.assign(review, { coder: stored.coder, blind: stored.blind === true });
    byId("review-bar").open = stored.open === true;
  } catch {
    tellReview("The review that this browser keeps for this page cannot be read. It is left as it is; a new one begins.");
    review.store += `#${Date.now()}`;
  }
}

/** Tells of a review of other results at the same place, and offers it as a file. */
function offerOther(name) {
  try {
    const stored = storedReview(localStorage.getItem(name));
    const decided = stored.rows.filter(([, row]) => row.status !== UNREVIEWED).length;
    if (!decided) return;
    tellReview(`This browser also keeps a review of other results of this page, with ${decided} decisions. It is not used here, and kept. `);
    const button = textElement("button", "Save it as CSV");
    button.type = "button";
    button.addEventListener("click", () => saveFile("reviewed-earlier.csv", csvOf(stored.rows.map(([, row]) => row)), "text/csv"));
    byId("review-messages").append(button);
  } catch {
    // it is not ours
  }
}

function tellReview(text) {
  byId("review-messages").append(textElement("p", text));
  byId("review-messages").hidden = false;
}

function keepReview() {
  if (!review.store) return;
  const { coder, blind, rows } = review;
  const { open } = byId("review-bar");
  try {
    localStorage.setItem(review.store, JSON.stringify({ coder, blind, open, rows: [...rows] }));
  } catch {
    review.store = null;
    tellReview("This browser keeps no more for this page. Save the files before you close it.");
  }
}

// Changes

/** The name of the selected row; null if nothing that can be reviewed is selected. */
function selectedName() {
  if (state.selected === null) return null;
  const name = rowName(state.number, state.selected);
  return review.rows.has(name) ? name : null;
}

/** Changes a row, or adds or removes it (null), so that it can be undone. */
function changeRow(name, row) {
  review.undo.push([name, review.rows.get(name) ?? null]);
  if (review.undo.length > MOST_UNDONE) review.undo.shift();
  putRow(name, row);
}

function putRow(name, row) {
  if (row) review.rows.set(name, row);
  else review.rows.delete(name);
  keepReview();
  refreshReview();
}

/** Changes fields of the selected row. Whoever changes something has looked at it, so it counts as accepted. */
function decide(fields) {
  const name = selectedName();
  if (!name) return;
  const before = review.rows.get(name);
  const hidden = isBlind() && before.status === UNREVIEWED ? { emotion: null } : {}; // it was not seen, so it is not confirmed
  const status = before.status === UNREVIEWED || before.status === "rejected" ? "accepted" : before.status;
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  changeRow(name, { ...before, ...hidden, status, ...fields, coder: review.coder, reviewed_at: now });
}

function accept() {
  const name = selectedName();
  if (name) decide({ status: review.rows.get(name).added ? "added" : "accepted" });
}

function reject() {
  const name = selectedName();
  if (name && review.rows.get(name).added) { // what a person added and takes back is as if it had not been
    changeRow(name, null);
    showCurve(state.number);
    byId("selection").textContent = "The added expression was removed.";
  } else if (name) {
    decide({ status: "rejected" });
  }
}

/** Sets onset and offset (frames) of the selected row. The apex stays between them. */
function moveEnds(onset, offset) {
  const name = selectedName();
  if (!name || !Number.isInteger(onset) || !Number.isInteger(offset)) return refreshReview();
  const row = review.rows.get(name);
  const [first, last] = [Math.min(0, row.onset), Math.max(row.frames - 1, row.offset)]; // predictions can reach beyond
  const [from, to] = [onset, offset].map((frame) => Math.min(Math.max(first, frame), last));
  if (from > to || (from === row.onset && to === row.offset)) return refreshReview(); // shows what was there before
  const apex = row.apex === null ? null : Math.min(Math.max(row.apex, from), to);
  return decide({ onset: from, offset: to, apex });
}

function undoLast() {
  const last = review.undo.pop();
  if (!last) return;
  const [name, row] = last;
  putRow(name, row);
  const [number, position] = name.split("-").map(Number);
  if (row || position < JSON.parse(byId(`curve-${number}`).textContent).intervals.length) selectInterval(number, position);
  else showCurve(state.number);
}

/** Adds an expression that was missed, at the frame that is shown or in the middle of the plot, and selects it. */
function addMissed() {
  const { curve, number, range } = state;
  const centre = player.clip && state.selected !== null ? player.clip.frames[player.at]
    : Math.round(((range[0] + range[1]) / 2) * curve.fps);
  const last = curve.raw.length - 1;
  const [onset, offset] = [Math.max(0, centre - curve.k_prime), Math.min(last, centre + curve.k_prime)];
  const position = Math.max(curve.intervals.length, ...[...review.rows.keys()]
    .map((name) => name.split("-").map(Number)).filter(([of]) => of === number).map(([, at]) => at + 1));
  changeRow(rowName(number, position), {
    curve: number, subject: curve.subject, video: curve.video, face: curve.face, onset, apex: centre, offset,
    score: null, emotion: null, confidence: null, kind: "micro", status: "added", added: true, coder: review.coder,
    reviewed_at: new Date().toISOString().replace(/\.\d+Z$/, "Z"), note: "", fps: curve.fps, frames: curve.frames,
  });
  selectInterval(number, position);
}

// What is shown

/** An interval of a curve as the review has it. */
function reviewedInterval(interval, row, fps) {
  const emotion = isBlind() ? null : row.emotion;
  return {
    ...interval, onset: row.onset, apex: row.apex, offset: row.offset, emotion, status: row.status,
    onset_s: row.onset / fps, offset_s: row.offset / fps, start: (row.onset - 0.5) / fps, end: (row.offset + 0.5) / fps,
    colour: isBlind() ? review.about.grey : review.about.colours[row.emotion] ?? review.about.grey,
  };
}

/** A curve with what the review changed and added. */
function reviewedCurve(curve, number) {
  const intervals = curve.intervals.map((interval, position) => {
    const row = review.rows.get(rowName(number, position));
    if (row) return reviewedInterval(interval, row, curve.fps);
    return isBlind() ? { ...interval, emotion: null, colour: review.about.grey } : interval;
  });
  for (const [name, row] of review.rows) {
    const [of, position] = name.split("-").map(Number);
    if (of !== number || !row.added) continue;
    const none = { kind: "predicted", score: null, confidence: null, matched: null, p_micro: null, motion_px: null, flags: "", lane: 0 };
    const middle = row.apex ?? Math.round((row.onset + row.offset) / 2);
    intervals[position] = reviewedInterval({ ...none, peak: middle / curve.fps, peak_frame: middle }, row, curve.fps);
  }
  const there = intervals.map((interval, position) => ({ ...interval, position })).filter((interval) => interval.kind);
  return { ...curve, intervals, there };
}

/** Shows curve, table and form again, after a change. */
function refreshReview() {
  state.curve = loadCurve(state.number);
  showReview();
  redraw();
}

/** Shows the review in the table and in the form. */
function showReview() {
  const rows = [...review.rows.values()];
  const decided = rows.filter((row) => row.status !== UNREVIEWED).length;
  byId("review-count").textContent = `${decided} of ${rows.length} reviewed`;
  byId("undo").disabled = review.undo.length === 0;
  showAddedRows();
  for (const [name, row] of review.rows) showRowReview(name, row);
  document.body.classList.toggle("blind", isBlind());
  showForm();
  if (state.selected !== null && state.curve.intervals[state.selected]) showSelection();
}

function showRowReview(name, row) {
  const line = expressionRow(...name.split("-"));
  if (!line) return;
  line.dataset.status = row.status;
  line.querySelector(".status").textContent = row.status === UNREVIEWED ? "–" : row.status;
  const changed = { emotion: row.emotion ?? "unknown", onset_s: (row.onset / row.fps).toFixed(2), offset_s: (row.offset / row.fps).toFixed(2) };
  for (const [key, text] of Object.entries(changed)) {
    const cell = line.querySelector(`[data-cell="${key}"]`);
    const words = key === "emotion" ? cell.querySelector("bdi") : cell;
    words.textContent = text;
    if (key !== "emotion") cell.dataset.value = text;
  }
  line.querySelector(".swatch").style.setProperty("--colour", review.about.colours[row.emotion] ?? review.about.grey);
}

/** Rows of the table for what was added, made from a copy of another row. */
function showAddedRows() {
  const body = byId("expressions").tBodies[0];
  for (const line of Array.from(body.rows).filter((l) => l.dataset.added)) {
    if (!review.rows.has(rowName(line.dataset.curve, line.dataset.interval))) line.remove();
  }
  for (const [name, row] of review.rows) {
    if (!row.added || expressionRow(...name.split("-"))) continue;
    const line = byId("added-row").content.firstElementChild.cloneNode(true);
    [line.dataset.curve, line.dataset.interval] = name.split("-");
    line.dataset.added = "yes";
    line.querySelector(".choose").append(textElement("span", `, show what was added at ${(row.onset / row.fps).toFixed(2)} s`, "hidden"));
    for (const key of ["video", "face"]) {
      const cell = line.querySelector(`[data-cell="${key}"]`);
      if (cell) cell.textContent = key === "video" && row.subject ? `${row.subject}/${row.video}` : row[key];
    }
    body.append(line);
    labelCells(line);
  }
}

/** Shows an emotion in the list, and adds it if it is none of the classes. */
function showEmotion(emotion) {
  const list = byId("review-emotion");
  if (!Array.from(list.options).some((option) => option.value === emotion)) list.add(new Option(emotion, emotion));
  list.value = emotion;
}

/** Where the plot's time axis is, in pixels of the box around the plot. */
function plotFrame() {
  const { xaxis, yaxis, yaxis2 } = byId("plot")._fullLayout;
  const bottom = yaxis2._offset + yaxis2._length;
  return { left: xaxis._offset, width: xaxis._length, top: yaxis._offset, height: bottom - yaxis._offset };
}

/** Puts the handles on the borders of the selected expression, if it can be reviewed and the borders are in sight. */
function placeHandles() {
  const frame = plotFrame();
  const [first, last] = state.range;
  const chosen = isReviewing() && selectedName() ? state.curve.intervals[state.selected] : null;
  for (const handle of document.querySelectorAll("#plot-box .handle")) {
    const time = chosen && (handle.dataset.end === "onset" ? chosen.start : chosen.end);
    handle.hidden = !chosen || time < first || time > last;
    if (handle.hidden) continue;
    handle.style.left = `${frame.left + (frame.width * (time - first)) / (last - first)}px`;
    handle.style.top = `${frame.top}px`;
    handle.style.height = `${frame.height}px`;
  }
}

/** Lets a border of the selected expression be dragged. The other border stays. */
function startHandle(handle) {
  const within = (event) => {
    const frame = plotFrame();
    const x = event.clientX - byId("plot-box").getBoundingClientRect().left;
    return { x: Math.min(Math.max(x, frame.left), frame.left + frame.width), frame };
  };
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.setPointerCapture(event.pointerId);
    handle.classList.add("held");
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.classList.contains("held")) handle.style.left = `${within(event).x}px`;
  });
  handle.addEventListener("pointerup", (event) => {
    if (!handle.classList.contains("held")) return;
    handle.classList.remove("held");
    const { x, frame } = within(event);
    const [first, last] = state.range;
    const time = first + ((last - first) * (x - frame.left)) / frame.width;
    const row = review.rows.get(selectedName());
    const { fps } = state.curve;
    if (handle.dataset.end === "onset") moveEnds(Math.min(row.offset, Math.round(time * fps + 0.5)), row.offset);
    else moveEnds(row.onset, Math.max(row.onset, Math.round(time * fps - 0.5)));
  });
  handle.addEventListener("pointercancel", () => {
    handle.classList.remove("held");
    placeHandles();
  });
}

/** The form of the selected row. */
function showForm() {
  const name = selectedName();
  byId("review").hidden = !name || !isReviewing();
  if (!name) return;
  const row = review.rows.get(name);
  byId("accept").ariaPressed = String(row.status === "accepted" || row.status === "added");
  byId("reject").ariaPressed = String(row.status === "rejected");
  byId("reject").textContent = row.added ? "Remove" : "Reject";
  const unseen = isBlind() && row.status === UNREVIEWED;
  showEmotion(unseen ? "" : row.emotion ?? "");
  byId("review-onset").value = String(row.onset);
  byId("review-offset").value = String(row.offset);
  byId("review-note").value = row.note;
}

// Files

function csvCell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return CSV_BREAKS.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const rounded = (value, digits) => (value === null ? null : Number(value.toFixed(digits)));

function csvOf(rows) {
  const columns = review.about.columns;
  const sorted = [...rows].sort((a, b) => a.curve - b.curve || a.onset - b.onset || a.offset - b.offset);
  const lines = sorted.map((row) => {
    const times = { onset_s: rounded(row.onset / row.fps, 4), offset_s: rounded(row.offset / row.fps, 4) };
    const figures = { score: rounded(row.score, 6), confidence: rounded(row.confidence, 6) };
    const values = { ...row, ...times, ...figures };
    return columns.map((column) => csvCell(values[column])).join(",");
  });
  return [columns.join(","), ...lines].join("\r\n") + "\r\n";
}

function saveFile(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Saves an ELAN file of the video that is shown, with all its faces: what was accepted and what was added. */
function saveEaf() {
  const { eaf, subject, video } = state.curve;
  const rows = [...review.rows.values()].filter((row) => row.subject === subject && row.video === video && SAVED_FOR_ELAN.includes(row.status));
  saveFile("reviewed.eaf", eafOf(eaf, rows, review.about.unnamed, review.coder), "application/xml");
}

// Controls

/** What a key does in a review. Returns whether it did something. */
function reviewKey(key) {
  if (!isReviewing()) return false;
  const frame = player.clip ? player.clip.frames[player.at] : null;
  const row = selectedName() ? review.rows.get(selectedName()) : null;
  if (key === "a") accept();
  else if (key === "r") reject();
  else if (key === "m") addMissed();
  else if (key === "z") undoLast();
  else if (key === "e" && row) byId("review-emotion").focus();
  else if (key === "[" && row && frame !== null) moveEnds(frame, row.offset);
  else if (key === "]" && row && frame !== null) moveEnds(row.onset, frame);
  else return false;
  return true;
}

function startReview() {
  if (!byId("review-data")) return;
  review.about = JSON.parse(byId("review-data").textContent);
  review.rows = predictedRows();
  restoreReview();
  byId("coder").value = review.coder;
  byId("blind").checked = review.blind;
  byId("review-bar").addEventListener("toggle", () => {
    keepReview();
    showForm();
    placeHandles();
  });
  for (const handle of document.querySelectorAll("#plot-box .handle")) startHandle(handle);
  byId("coder").addEventListener("change", () => {
    review.coder = byId("coder").value.trim();
    keepReview();
  });
  byId("blind").addEventListener("change", () => {
    review.blind = byId("blind").checked;
    keepReview();
    refreshReview();
  });
  byId("accept").addEventListener("click", accept);
  byId("reject").addEventListener("click", reject);
  byId("add-missed").addEventListener("click", addMissed);
  byId("undo").addEventListener("click", undoLast);
  byId("review-emotion").addEventListener("change", () => decide({ emotion: byId("review-emotion").value || null }));
  byId("review-note").addEventListener("change", () => decide({ note: byId("review-note").value.replace(/\s+/g, " ").trim() }));
  for (const id of ["review-onset", "review-offset"]) {
    byId(id).addEventListener("change", () => moveEnds(byId("review-onset").valueAsNumber, byId("review-offset").valueAsNumber));
  }
  byId("save-csv").addEventListener("click", () => saveFile("reviewed.csv", csvOf(review.rows.values()), "text/csv"));
  byId("save-eaf")?.addEventListener("click", saveEaf);
}
