"use strict";
// Tables can be sorted by their heads, and long ones filtered. Without scripts they are what they are.
const SHORT = 12;

function valueOf(row, at, numeric) {
  const cell = row.cells[at];
  const said = cell.dataset.v ?? cell.textContent.trim();
  if (!numeric) return said;
  const number = parseFloat(said.replaceAll(",", ""));
  return Number.isNaN(number) ? -Infinity : number;
}

function sort(table, at, head) {
  const numeric = head.classList.contains("n");
  const first = numeric ? "descending" : "ascending";
  const second = numeric ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? second : first;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [valueOf(row, at, numeric), row]);
  rows.sort(([a], [b]) => sign * (numeric ? (a === b ? 0 : a < b ? -1 : 1) : a.localeCompare(b)));
  for (const [, row] of rows) body.append(row);
}

function addFilter(table) {
  const rows = Array.from(table.tBodies[0].rows);
  const line = document.createElement("p");
  line.className = "filter";
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "Filter";
  field.setAttribute("aria-label", `Filter: ${table.caption.textContent}`);
  const found = document.createElement("span");
  found.setAttribute("role", "status");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += !row.hidden;
    }
    found.textContent = wanted ? `${shown} of ${rows.length}` : "";
  });
  line.append(field, found);
  (table.closest(".scroll") ?? table).before(line);
}

for (const table of document.querySelectorAll("table.sortable")) {
  Array.from(table.tHead.rows[0].cells, (head, at) => {
    if (table.tBodies[0].rows.length < 2 || head.classList.contains("unsorted")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, at, head));
    head.append(button);
  });
}

for (const table of document.querySelectorAll("table.sortable, table.long")) {
  if (table.tBodies[0].rows.length > SHORT) addFilter(table);
}
