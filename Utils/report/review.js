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
        emotion: interval.emotion, confidence: interval.confidence, kind: curve.expressions,
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
  changeRow(name, { ...before, ...hidden, status, ...fields, coder: review.coder, reviewed_at: timeNow() });
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
    score: null, emotion: null, confidence: null, kind: state.curve.expressions, status: "added", added: true, coder: review.coder,
    reviewed_at: timeNow(), note: "", fps: curve.fps, frames: curve.frames,
  });
  selectInterval(number, position);
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
