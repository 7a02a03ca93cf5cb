// What the page knows: its data and its state, and the masks, decoded and measured.
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
