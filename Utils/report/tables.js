"use strict";
// Tables that can be sorted by their headings, filtered, and copied as CSV. Used by the report and by the index.

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function cellValue(row, column, isNumber) {
  const cell = row.cells[column];
  const text = (cell.dataset.value ?? cell.textContent).trim();
  if (!isNumber) return text;
  return text === "" ? NaN : Number(text);
}

function compareValues(a, b, isNumber) {
  return isNumber ? a - b : collator.compare(a, b);
}

/** Sorts the rows of a table. Unknown numbers come last in both directions; equal rows keep their order. */
function sortTable(table, column, direction) {
  const heading = table.tHead.rows[0].cells[column];
  const isNumber = heading.dataset.type === "number";
  const body = table.tBodies[0];
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = Array.from(body.rows, (row) => ({ row, value: cellValue(row, column, isNumber) }));
  keyed.sort((a, b) => {
    const unknown = Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
    return unknown || (Number.isNaN(a.value) ? 0 : sign * compareValues(a.value, b.value, isNumber));
  });
  body.append(...keyed.map((item) => item.row));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
}

function shownRows(table) {
  return Array.from(table.tBodies[0].rows).filter((row) => !row.hidden);
}

/** Shows the rows that have all typed words and all chosen values, and hides the others. */
function filterTable(table) {
  const controls = document.querySelectorAll(`[data-filters="${table.id}"]`);
  const words = [];
  const chosen = [];
  for (const control of controls) {
    if (control.dataset.key) chosen.push([control.dataset.key, control.value]);
    else words.push(...control.value.toLowerCase().split(/\s+/).filter(Boolean));
  }
  for (const row of table.tBodies[0].rows) {
    const text = Array.from(row.cells, (cell) => cell.textContent.toLowerCase()).join(" ");
    row.hidden = !words.every((word) => text.includes(word)) ||
      !chosen.every(([key, value]) => value === "" || row.dataset[key] === value);
  }
  report(table, `${shownRows(table).length} of ${table.tBodies[0].rows.length} shown.`);
}

function report(table, text) {
  document.getElementById(`${table.id}-status`).textContent = text;
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // the browser does not allow it: no permission, or no secure context
  }
}

/** Copies the visible rows in their order. If the browser does not allow it, shows the text for copying by hand. */
async function copyTable(table, header) {
  const rows = shownRows(table);
  const text = [header, ...rows.map((row) => row.dataset.csv)].join("\r\n") + "\r\n";
  const copied = await copyText(text);
  const area = document.getElementById(`${table.id}-text`);
  area.hidden = copied;
  if (copied) {
    report(table, `Copied ${rows.length} row${rows.length === 1 ? "" : "s"} as CSV.`);
  } else {
    area.value = text;
    area.focus();
    area.select();
    report(table, "The browser does not allow this page to copy. The text is selected: copy it with the keyboard or the menu.");
  }
}

/** Gives every cell of a row its column's heading, which is shown on a narrow screen. */
function labelCells(row) {
  const headings = row.closest("table").tHead.rows[0].cells;
  for (const cell of row.cells) cell.dataset.label = headings[cell.cellIndex].textContent.trim();
}

for (const row of document.querySelectorAll("table.cards :is(tbody, tfoot) tr")) labelCells(row);
for (const table of document.querySelectorAll("table.sortable")) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      sortTable(table, column, heading.ariaSort === "ascending" ? "descending" : "ascending");
    });
  });
}
for (const control of document.querySelectorAll("[data-filters]")) {
  const table = document.getElementById(control.dataset.filters);
  control.addEventListener("input", () => filterTable(table));
}
for (const button of document.querySelectorAll("[data-copies]")) {
  const table = document.getElementById(button.dataset.copies);
  button.addEventListener("click", () => copyTable(table, button.dataset.header));
}
