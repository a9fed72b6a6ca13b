"use strict";
// What a review shows in the curve, the table and the form of the selected expression, and its controls.

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
  showBlindness();
  showForm();
  if (state.selected !== null && state.curve.intervals[state.selected]) showSelection();
}

function showBlindness() {
  document.body.classList.toggle("blind", isBlind());
  for (const option of byId("curve-choice").options) option.textContent = isBlind() ? option.dataset.blind : option.dataset.open;
  showSummary();
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

/** Where the plot's time axis is, in pixels of the box around the plot. Null as long as the curve is a still picture. */
function plotFrame() {
  if (!window.Plotly) return null;
  const { xaxis, yaxis, yaxis2 } = byId("plot")._fullLayout;
  const bottom = yaxis2._offset + yaxis2._length;
  return { left: xaxis._offset, width: xaxis._length, top: yaxis._offset, height: bottom - yaxis._offset };
}

/** Puts the handles on the borders of the selected expression, if it can be reviewed and the borders are in sight. */
function placeHandles() {
  const frame = plotFrame();
  const [first, last] = state.range;
  const chosen = frame && isReviewing() && selectedName() ? state.curve.intervals[state.selected] : null;
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
