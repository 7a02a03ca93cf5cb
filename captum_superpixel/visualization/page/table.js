// The table. Only the rows near those in view are in the document: 160,000 would take it minutes.

const WINDOW = 80, MARGIN = 15;
const gaps = [find("above"), find("below")];
let rows = new Map(), order = [], positions = new Int32Array(0), first = 0, rowHeight = 32;

const columns = {
  rank: (k) => method.ranks[k] || NaN,
  id: (k) => k, // regions are numbered in the order of their ids
  score: (k) => method.scores[k],
  stays: (k) => method.chances[k],
  share: (k) => method.shares[k],
  area: (k) => mask.areas[k],
};

function makeRow(k) {
  const row = element("tr"), chip = element("span"), amount = element("span");
  const share = element("td", showShare(method.shares[k])), stays = method.chances ? [element("td", showChance(method.chances[k]))] : [];
  const cells = [...[showRank(k), mask.ids[k], showScore(method.scores[k])].map((text) => element("td", text)), ...stays, share, element("td", showArea(k))];
  chip.className = "chip";
  cells[0].prepend(chip);
  amount.className = "amount";
  amount.style.width = `${(88 * (method.shares[k] || 0)) / (method.most || 1)}%`;
  share.append(amount);
  row.dataset.index = k;
  row.tabIndex = -1;
  row.setAttribute("aria-rowindex", positions[k] + 2); // the header is the first
  row.append(...cells);
  row.classList.toggle("pinned", k === state.pinned);
  row.classList.toggle("current", k === current);
  if (k === current) row.setAttribute("aria-current", "true");
  return row;
}

// Put the rows from this place on into the document, and leave room for those that are not in it.
function fill(from) {
  first = Math.max(0, Math.min(from, order.length - WINDOW));
  const shown = order.slice(first, first + WINDOW), focused = body.contains(document.activeElement) ? Number(document.activeElement.dataset.index) : null;
  rows = new Map(shown.map((k) => [k, rows.get(k) ?? makeRow(k)]));
  body.replaceChildren(...rows.values());
  [first, order.length - first - shown.length].forEach((count, i) => {
    gaps[i].hidden = count === 0;
    Object.assign(gaps[i].querySelector("td"), { colSpan: method.chances ? 6 : 5 }).style.height = `${count * rowHeight}px`;
  });
  colorRows();
  shadeRows();
  const kept = rows.get(focused);
  rove(kept ?? rows.get(shown[0]));
  kept?.focus({ preventScroll: true });
}

// All rows are equally high, whatever the width of the screen makes of them.
function measureRows() {
  const high = body.getBoundingClientRect().height / rows.size;
  if (!high || high === rowHeight) return;
  rowHeight = high;
  fill(first);
}

function refill() {
  if (order.length <= WINDOW) return;
  const top = Math.floor(scroller.scrollTop / rowHeight), low = top + Math.ceil(scroller.clientHeight / rowHeight);
  const enough = (first === 0 || top >= first + MARGIN) && (first + WINDOW >= order.length || low <= first + WINDOW - MARGIN);
  if (!enough) fill(top - Math.floor((WINDOW - low + top) / 2));
}

function sort() {
  const sign = state.descending ? -1 : 1, values = Float64Array.from(mask.areas, (_, k) => columns[state.column](k));
  order = Array.from(values.keys()).sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y) || a - b;
  });
  positions = new Int32Array(order.length);
  order.forEach((k, place) => (positions[k] = place));
  for (const head of document.querySelectorAll("th")) {
    if (head.dataset.column === state.column) head.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  find("table").setAttribute("aria-rowcount", order.length + 1);
  rows = new Map();
  scroller.scrollTop = 0;
  fill(0);
  measureRows();
  if (current !== null) scrollTo(current);
}

const colorRows = () => rows.forEach((row, k) => (row.firstChild.firstChild.style.background = `rgb(${legendColor(method.paint[k])})`));
const shadeRows = () => rows.forEach((row, k) => row.classList.toggle("out", !within(k)));

// The Tab key reaches one row; arrow keys lead to the others.
function rove(row) {
  body.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  if (row) row.tabIndex = 0;
}

function scrollTo(k) {
  const head = document.querySelector("thead").offsetHeight, top = positions[k] * rowHeight, low = top + head + rowHeight;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (low > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = low - scroller.clientHeight;
  refill();
  if (!rows.has(k)) fill(positions[k] - WINDOW / 2); // the table may be hidden, and not scroll
}

function mark(k, name, on) {
  const row = rows.get(k);
  if (!row) return;
  row.classList.toggle(name, on);
  if (name === "current") on ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current");
}

function listenToTable() {
  new ResizeObserver(measureRows).observe(scroller);
  let waiting = false;
  scroller.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      refill();
    });
  });
  document.querySelector("thead").addEventListener("click", (event) => {
    const column = event.target.closest("th")?.dataset.column;
    if (!column) return;
    const descends = column !== "rank" && column !== "id";
    state.descending = column === state.column ? !state.descending : descends;
    state.column = column;
    sort();
  });
  const rowOf = (event) => event.target.closest("tr");
  const enter = (event) => {
    if (!rowOf(event)) return;
    state.hovered = Number(rowOf(event).dataset.index);
    show();
  };
  body.addEventListener("pointerover", enter);
  body.addEventListener("focusin", (event) => {
    rove(rowOf(event));
    enter(event);
  });
  for (const name of ["pointerleave", "focusout"]) {
    body.addEventListener(name, () => {
      state.hovered = null;
      show();
    });
  }
  body.addEventListener("click", (event) => pin(Number(rowOf(event).dataset.index)));
  body.addEventListener("keydown", (event) => {
    const k = Number(rowOf(event).dataset.index), place = positions[k], last = order.length - 1, page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight) - 2);
    const moves = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + page, PageUp: place - page, Home: 0, End: last };
    if (event.key === "Escape") letGo();
    else if (event.key === "Enter" || event.key === " ") pin(k);
    else if (event.key in moves) {
      const next = order[Math.min(Math.max(moves[event.key], 0), last)];
      scrollTo(next);
      rows.get(next).focus({ preventScroll: true });
    } else return;
    event.preventDefault();
  });
}
