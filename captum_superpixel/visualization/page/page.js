"use strict";
const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const { width, height } = data;
const EDGE = 4; // the canvases of lines reach this far over the picture, so that lines at its edge are whole
const stage = find("stage"), tip = find("tip"), scroller = find("scroller"), body = document.querySelector("tbody");
const state = { method: 0, layer: "regions", hovered: null, pinned: null, top: Infinity, column: "rank", descending: false, themed: false };
let masks = [], method, mask, rows = [], order = [], current = null;

// Decoding: nothing is read back from a canvas, which some browsers forbid or blur on purpose.

const toBytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function inflate(text) {
  const stream = new Blob([toBytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function decodeMask({ ids, symbols, literals }) {
  const [steps, bytes] = [await inflate(symbols), await inflate(literals)];
  const values = new Uint32Array(bytes.buffer, 0, bytes.length / 4);
  const labels = new Int32Array(width * height);
  for (let i = 0, next = 0; i < labels.length; i++) {
    const step = steps[i];
    labels[i] = step === 0 ? labels[i - width] : step === 1 ? labels[i - 1] : step === 2 ? labels[i - width + 1] : values[next++];
  }
  return { ids, labels, ...measure(labels, ids.length) };
}

function measure(labels, count) {
  const areas = new Int32Array(count), rowSums = new Float64Array(count), columnSums = new Float64Array(count);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      areas[labels[i]]++;
      rowSums[labels[i]] += y;
      columnSums[labels[i]] += x;
    }
  }
  return { areas, anchors: findAnchors(labels, areas, rowSums, columnSums), ...trace(labels, count) };
}

// Where a number stands best in a region: far from its border, which the centroid of a bent region is not.
function findAnchors(labels, areas, rowSums, columnSums) {
  const depths = new Int32Array(labels.length), deepest = new Int32Array(areas.length);
  const nearest = new Float64Array(areas.length).fill(Infinity), anchors = Array.from(areas, () => [0, 0]);
  const depth = (i, there, other) => (there && labels[other] === labels[i] ? depths[other] : 0);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) depths[i] = 1 + Math.min(depth(i, x > 0, i - 1), depth(i, y > 0, i - width));
  }
  for (let y = height - 1, i = labels.length - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--, i--) {
      const back = 1 + Math.min(depth(i, x + 1 < width, i + 1), depth(i, y + 1 < height, i + width));
      depths[i] = Math.min(depths[i], back);
      deepest[labels[i]] = Math.max(deepest[labels[i]], depths[i]);
    }
  }
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const k = labels[i];
      if (depths[i] < deepest[k]) continue;
      const distance = (y - rowSums[k] / areas[k]) ** 2 + (x - columnSums[k] / areas[k]) ** 2;
      if (distance < nearest[k]) [nearest[k], anchors[k]] = [distance, [x + 0.5, y + 0.5]];
    }
  }
  return anchors;
}

// The edges between pixels of different regions, as long straight pieces: of each region, and all of them once.
function trace(labels, count) {
  const pieces = Array.from({ length: count }, () => []), borders = [], paths = new Array(count);
  const add = (a, b, ...piece) => {
    if (a >= 0) pieces[a].push(piece);
    if (b >= 0) pieces[b].push(piece);
    if (a >= 0 && b >= 0) borders.push(piece);
  };
  const sweep = (lines, length, at, place) => {
    for (let line = 0; line <= lines; line++) {
      let start = 0, a = -1, b = -1;
      for (let i = 0; i <= length; i++) {
        const [before, after] = [i < length && line > 0 ? at(line - 1, i) : -1, i < length && line < lines ? at(line, i) : -1];
        if (before === a && after === b) continue;
        if (a !== b) add(a, b, ...place(line, start, i));
        [start, a, b] = [i, before, after];
      }
    }
  };
  sweep(height, width, (y, x) => labels[y * width + x], (y, from, to) => [from, y, to, y]);
  sweep(width, height, (x, y) => labels[y * width + x], (x, from, to) => [x, from, x, to]);
  const outline = (k) => (paths[k] ??= toPath(pieces[k]));
  return { outline, borders: toPath(borders) };
}

function toPath(pieces) {
  const path = new Path2D();
  for (const [x0, y0, x1, y1] of pieces) {
    path.moveTo(x0, y0);
    path.lineTo(x1, y1);
  }
  return path;
}

// Numbers

const signed = (value) => value.replace("-", "−");

// As many decimals as the largest score needs, so that the numbers of a column can be compared at a glance.
function showScore(value) {
  if (value === null) return "no score";
  if (value === 0) return "0";
  const plain = method.largest >= 1e-5 && method.largest < 1e7;
  const text = plain ? value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(method.largest)))) : value.toExponential(3);
  return signed((value > 0 && method.signed ? "+" : "") + text);
}

function showShare(value) {
  return value === null ? "–" : `${(100 * value).toFixed(value > 0 && value < 0.02 ? 2 : 1)} %`;
}

const rankOf = (k) => method.ranks[k] ?? null;
const showArea = (k) => showShare(mask.areas[k] / (width * height));
const within = (k) => state.top >= method.order.length || (rankOf(k) ?? Infinity) <= state.top;

function describe(k) {
  const rank = rankOf(k), id = `Region ${mask.ids[k]}`;
  if (rank === null) return `${id}, no score, ${showArea(k)} of the picture`;
  return `${id}, rank ${rank} of ${method.order.length}, score ${showScore(method.scores[k])}, share ${showShare(method.shares[k])}`;
}

// Drawing

const ramp = toBytes(data.ramp);
const colourOf = (k) => ramp.subarray(4 * method.paint[k], 4 * method.paint[k] + 4);

function fit(canvas) {
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const [w, h] = [Math.max(1, Math.round(box.width * ratio)), Math.max(1, Math.round(box.height * ratio))];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d"), scale = (w - 2 * EDGE * ratio) / width;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, w, h);
  context.setTransform(scale, 0, 0, (h - 2 * EDGE * ratio) / height, EDGE * ratio, EDGE * ratio);
  Object.assign(context, { lineCap: "round", lineJoin: "round" });
  return [context, ratio / scale]; // one CSS pixel in the picture's pixels
}

function paint(canvas, colour) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer), colours = new Uint32Array(mask.ids.length);
  const parts = new Uint8Array(colours.buffer);
  for (let k = 0; k < colours.length; k++) parts.set(colour(k), 4 * k);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colours[mask.labels[i]];
  context.putImageData(image, 0, 0);
}

function drawHeat() {
  const canvas = find("heat"), layer = method[state.layer];
  if (layer.image === undefined) return paint(canvas, colourOf);
  Object.assign(canvas, { width: layer.image.naturalWidth, height: layer.image.naturalHeight });
  canvas.getContext("2d").drawImage(layer.image, 0, 0);
}

function drawTop() {
  const veil = find("veil"), all = state.top >= method.order.length;
  veil.hidden = all;
  if (!all) {
    const tint = getComputedStyle(document.documentElement).getPropertyValue("--veil").split(",").map(Number);
    paint(veil, (k) => (within(k) ? [0, 0, 0, 0] : [...tint, 226]));
  }
  drawLines();
}

function drawLines() {
  const [context, unit] = fit(find("lines"));
  if (find("borders").checked) {
    // Many small regions would vanish below lines that suit few large ones.
    const strength = Math.min(1, Math.max(0.45, Math.sqrt((width * height) / mask.ids.length) / (60 * unit)));
    const whole = state.top >= method.order.length;
    const stroke = (path, opacity) => {
      for (const [colour, size] of [["#0008", 2.2], ["#fffd", 1]]) {
        Object.assign(context, { strokeStyle: colour, lineWidth: size * strength * unit, globalAlpha: opacity });
        context.stroke(path);
      }
    };
    stroke(mask.borders, whole ? 0.4 + 0.4 * strength : 0.22);
    if (!whole) method.order.slice(0, state.top).forEach((k) => stroke(mask.outline(k), 1));
    context.globalAlpha = 1;
  }
  if (state.top > 20 || state.top >= method.order.length) return;
  Object.assign(context, { font: `600 ${12 * unit}px system-ui, sans-serif`, textAlign: "center", textBaseline: "middle" });
  method.order.slice(0, state.top).reverse().forEach((k) => {
    const [x, y] = mask.anchors[k];
    context.beginPath();
    context.arc(x, y, 10 * unit, 0, 7);
    Object.assign(context, { fillStyle: "#10141ae6", strokeStyle: "#fff", lineWidth: 1.5 * unit });
    context.fill();
    context.stroke();
    context.fillStyle = "#fff";
    context.fillText(rankOf(k), x, y + 0.5 * unit);
  });
}

function drawOutline() {
  const [context, unit] = fit(find("outline"));
  const stroke = (k, colour) => {
    for (const [style, size] of [["#000c", 5.5], [colour, 2.5]]) {
      Object.assign(context, { strokeStyle: style, lineWidth: size * unit });
      context.stroke(mask.outline(k));
    }
  };
  if (state.pinned !== null) stroke(state.pinned, "#ffc400");
  if (current !== null && current !== state.pinned) stroke(current, "#fff");
}

function drawLegend() {
  const layer = method[state.layer], bar = find("bar"), sides = layer.diverging ? 255 : 128;
  const limit = layer.limit && layer.limit.toPrecision(2);
  Object.assign(bar, { width: sides, height: 1 });
  const context = bar.getContext("2d"), image = context.createImageData(sides, 1);
  image.data.set(ramp.subarray(ramp.length - 4 * sides));
  context.putImageData(image, 0, 0);
  find("low").textContent = layer.diverging && limit ? `−${limit}` : "0";
  find("high").textContent = limit ? signed(`+${limit}`) : "";
  bar.setAttribute("aria-label", `Colour scale from ${find("low").textContent} to ${limit}`);
  const coarse = layer.image && layer.image.naturalWidth < width;
  const size = coarse ? `shown at ${layer.image.naturalWidth} × ${layer.image.naturalHeight} pixels` : "";
  find("note").textContent = [layer.note, size].filter(Boolean).join(", ");
}

// The current region: the one pointed at, else the one that was kept

function showTip(at) {
  tip.hidden = current === null;
  if (current === null) return;
  const rank = rankOf(current), lines = [["Score", showScore(method.scores[current])], ["Share", showShare(method.shares[current])]];
  tip.firstElementChild.textContent = rank === null ? "No score" : `Rank ${rank} of ${method.order.length}`;
  const shown = [...(rank === null ? [] : lines), ["Region", String(mask.ids[current])], ["Area", showArea(current)]];
  tip.lastElementChild.replaceChildren(...shown.flatMap((line) => line.map((text, i) => element(i ? "dd" : "dt", text))));
  const box = stage.getBoundingClientRect(), [ax, ay] = mask.anchors[current];
  const [x, y] = at ?? [(ax / width) * box.width, (ay / height) * box.height];
  const left = x + 18 + tip.offsetWidth > box.width ? x - 18 - tip.offsetWidth : x + 18;
  const top = Math.min(y + 14, Math.max(0, box.height - tip.offsetHeight));
  tip.style.transform = `translate(${Math.round(Math.max(left, -box.left))}px, ${Math.round(top)}px)`;
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function scrollTo(row) {
  const head = document.querySelector("thead").offsetHeight, top = row.offsetTop - head, low = row.offsetTop + row.offsetHeight;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (low > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = low - scroller.clientHeight;
}

function show({ at, scroll = false, announce = false, tooltip = true } = {}) {
  const before = current;
  current = state.hovered ?? state.pinned;
  if (before !== current) {
    if (before !== null) mark(before, "current", false);
    if (current !== null) mark(current, "current", true);
    drawOutline();
    stage.dataset.region = current === null ? "" : mask.ids[current];
    if (scroll && current !== null) scrollTo(rows[current]);
  }
  if (announce) find("live").textContent = current === null ? "" : describe(current) + (current === state.pinned ? ", kept" : "");
  if (tooltip && (before !== current || at)) showTip(at);
  if (!tooltip) tip.hidden = true;
}

function mark(k, name, on) {
  const row = rows[k];
  if (!row) return;
  row.classList.toggle(name, on);
  if (name === "current") on ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current");
}

function pin(k) {
  if (state.pinned !== null) mark(state.pinned, "pinned", false);
  state.pinned = state.pinned === k ? null : k;
  if (state.pinned !== null) mark(k, "pinned", true);
  show({ scroll: true, announce: true });
  drawOutline();
}

function letGo(options) {
  if (state.pinned !== null) mark(state.pinned, "pinned", false);
  state.pinned = state.hovered = null;
  show({ announce: true, ...options });
  drawOutline();
}

// The table

const columns = {
  rank: rankOf,
  id: (k) => k, // regions are numbered in the order of their ids
  score: (k) => method.scores[k],
  share: (k) => method.shares[k],
  area: (k) => mask.areas[k],
};

function fill() {
  const most = Math.max(...method.shares.filter((share) => share !== null), 1e-300);
  rows = mask.ids.map((id, k) => {
    const row = element("tr"), chip = element("span"), colour = element("i"), amount = element("span");
    const cells = [rankOf(k) ?? "–", id, showScore(method.scores[k]), showShare(method.shares[k]), showArea(k)].map((text) => element("td", text));
    const [red, green, blue, alpha] = colourOf(k);
    colour.style.background = `rgb(${red} ${green} ${blue} / ${alpha / 255})`;
    chip.className = "chip";
    chip.append(colour);
    cells[0].prepend(chip);
    amount.className = "amount";
    amount.style.width = `${(88 * (method.shares[k] ?? 0)) / most}%`;
    cells[3].append(amount);
    row.dataset.index = k;
    row.tabIndex = -1;
    row.append(...cells);
    return row;
  });
}

function sort() {
  const value = columns[state.column], sign = state.descending ? -1 : 1;
  order = rows.map((_, k) => k).sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return (x === null) - (y === null) || sign * (x - y) || a - b;
  });
  for (const head of document.querySelectorAll("th")) {
    if (head.dataset.column === state.column) head.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  body.replaceChildren(...order.map((k) => rows[k]));
  rove(rows[order[0]]);
  if (current !== null) scrollTo(rows[current]);
}

// One row at a time can be reached by the tabulator, the others by arrows.
function rove(row) {
  body.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  row.tabIndex = 0;
}

// Choices

function chooseMethod(index) {
  const former = mask;
  state.method = index;
  method = data.methods[index];
  mask = masks[method.mask];
  if (mask !== former) state.pinned = state.hovered = current = null;
  const pixels = document.querySelector('[name="layer"][value="pixels"]');
  pixels.disabled = !method.pixels;
  if (pixels.disabled) document.querySelector('[name="layer"][value="regions"]').checked = true;
  state.layer = document.querySelector('[name="layer"]:checked').value;
  const slider = find("top"), wasAll = slider.max === "" || state.top >= Number(slider.max);
  slider.max = Math.max(1, method.order.length);
  slider.disabled = method.order.length < 2;
  if (wasAll || state.top > method.order.length) state.top = Number(slider.max);
  slider.value = state.top;
  current = null;
  fill();
  sort();
  if (state.pinned !== null) mark(state.pinned, "pinned", true);
  chooseTop();
  chooseLayer();
  show();
  drawOutline();
}

function chooseLayer() {
  drawHeat();
  drawLegend();
  stage.dataset.layer = state.layer;
}

function chooseTop() {
  const count = method.order.length, held = method.order.slice(0, state.top).reduce((sum, k) => sum + method.shares[k], 0);
  const text = count === 0 ? "no region has a score" : state.top >= count ? `all ${count}` : `${state.top} of ${count}, share ${showShare(held)}`;
  find("top-text").textContent = text;
  find("top").setAttribute("aria-valuetext", text);
  rows.forEach((row, k) => row.classList.toggle("out", !within(k)));
  drawTop();
}

function chooseTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  find("theme-text").textContent = dark ? "Light" : "Dark";
}

// Events

function listen() {
  find("methods").addEventListener("change", (event) => chooseMethod(Number(event.target.value)));
  find("layers").addEventListener("change", (event) => {
    state.layer = event.target.value;
    chooseLayer();
  });
  find("behind").addEventListener("change", (event) => (stage.dataset.behind = event.target.value));
  find("top").addEventListener("input", (event) => {
    state.top = Number(event.target.value);
    chooseTop();
  });
  find("strength").addEventListener("input", (event) => {
    find("heat").style.opacity = event.target.value / 100;
    find("strength-text").textContent = `${event.target.value} %`;
  });
  find("borders").addEventListener("change", drawLines);
  find("theme").addEventListener("click", () => {
    state.themed = true;
    chooseTheme(document.documentElement.dataset.theme !== "dark");
    drawTop();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    if (state.themed) return;
    chooseTheme(event.matches);
    drawTop();
  });
  document.querySelector("thead").addEventListener("click", (event) => {
    const column = event.target.closest("th")?.dataset.column;
    if (!column) return;
    const first = column !== "rank" && column !== "id";
    state.descending = column === state.column ? !state.descending : first;
    state.column = column;
    sort();
  });

  const locate = (event) => {
    const box = stage.getBoundingClientRect(), at = [event.clientX - box.left, event.clientY - box.top];
    const [x, y] = [Math.floor((at[0] / box.width) * width), Math.floor((at[1] / box.height) * height)];
    return { at, region: x >= 0 && y >= 0 && x < width && y < height ? mask.labels[y * width + x] : null };
  };
  stage.addEventListener("pointermove", (event) => {
    const { at, region } = locate(event);
    state.hovered = region;
    show({ at, scroll: true });
  });
  stage.addEventListener("pointerleave", () => {
    state.hovered = null;
    show();
  });
  // Located anew, because a finger has left the picture by the time that its tap becomes a click.
  stage.addEventListener("click", (event) => {
    const { region } = locate(event);
    if (region !== null) pin(region);
  });
  stage.addEventListener("keydown", (event) => {
    const ranked = method.order, place = current === null ? null : ranked.indexOf(current), last = ranked.length - 1;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key === "Escape") letGo();
    else if ((event.key === "Enter" || event.key === " ") && current !== null) pin(current);
    else if (last >= 0 && (event.key in steps || event.key === "Home" || event.key === "End")) {
      const next = place === null || event.key === "Home" ? 0 : event.key === "End" ? last : place + steps[event.key];
      state.hovered = ranked[Math.min(Math.max(next, 0), last)];
      show({ scroll: true, announce: true });
    } else return;
    event.preventDefault();
  });
  stage.addEventListener("blur", () => {
    state.hovered = null;
    show({ tooltip: false });
  });

  const rowOf = (event) => event.target.closest("tbody tr");
  const enter = (event) => {
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
    const row = rowOf(event), moves = { ArrowDown: row.nextSibling, ArrowUp: row.previousSibling, Home: body.firstChild, End: body.lastChild };
    if (event.key === "Escape") letGo();
    else if (event.key === "Enter" || event.key === " ") pin(Number(row.dataset.index));
    else if (event.key in moves) {
      const next = moves[event.key] ?? row;
      next.focus({ preventScroll: true });
      scrollTo(next);
    } else return;
    event.preventDefault();
  });
  new ResizeObserver(() => {
    drawLines();
    drawOutline();
  }).observe(stage);
}

// Start

function offerMethods() {
  find("methods").hidden = data.methods.length < 2;
  find("layers").hidden = !data.methods.some((each) => each.pixels);
  document.querySelector("#methods .choices").append(
    ...data.methods.map((each, index) => {
      const label = element("label"), input = element("input");
      Object.assign(input, { type: "radio", name: "method", value: index, checked: index === 0 });
      label.append(input, element("span", each.name));
      return label;
    }),
  );
}

async function prepare(each) {
  each.paint = toBytes(each.paint);
  each.ranks = {};
  each.order.forEach((k, place) => (each.ranks[k] = place + 1));
  each.signed = each.scores.some((score) => score < 0);
  each.largest = Math.max(0, ...each.scores.map(Math.abs));
  for (const layer of [each.regions, each.pixels]) {
    if (!layer?.png) continue;
    layer.image = new Image();
    layer.image.src = layer.png;
    await layer.image.decode();
  }
}

async function start() {
  chooseTheme(window.matchMedia("(prefers-color-scheme: dark)").matches);
  stage.style.setProperty("--aspect", width / height);
  stage.classList.toggle("coarse", Math.max(width, height) <= 160);
  offerMethods();
  masks = await Promise.all(data.masks.map(decodeMask));
  await Promise.all(data.methods.map(prepare));
  chooseMethod(0);
  find("heat").style.opacity = find("strength").value / 100;
  listen();
  document.documentElement.dataset.ready = "";
}

start().catch((error) => {
  const old = typeof DecompressionStream === "undefined" ? "This browser is too old for the page: use one of 2023 or later. " : "";
  find("failure").textContent = `${old}The page could not be drawn: ${error.message}`;
  find("failure").hidden = false;
});
