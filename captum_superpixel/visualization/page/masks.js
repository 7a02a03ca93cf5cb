// What the page knows: its data and its state, and the masks, decoded and measured.
"use strict";
const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const { width, height } = data;
const EDGE = 4; // the canvases of lines reach this far over the picture, so that lines at its edge are whole
const stage = find("stage"), tip = find("tip"), scroller = find("scroller"), body = find("rows");
const state = { method: 0, layer: "regions", behind: "gray", strength: 1, hovered: null, pinned: null, top: Infinity, sure: 0, column: "rank", descending: false, themed: false };
let masks = [], method, mask, current = null;

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

// Decoding: nothing is read back from a canvas, which some browsers forbid or blur on purpose.

const toBytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function inflate(text, Numbers = Uint8Array) {
  const stream = new Blob([toBytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Numbers(await new Response(stream).arrayBuffer());
}

async function decodeMask({ count, ids, symbols, literals }) {
  const [differences, steps, values] = await Promise.all([inflate(ids, BigInt64Array), inflate(symbols), inflate(literals, Uint32Array)]);
  const labels = new Int32Array(width * height);
  for (let i = 0, next = 0; i < labels.length; i++) {
    const step = steps[i];
    labels[i] = step === 0 ? labels[i - width] : step === 1 ? labels[i - 1] : step === 2 ? labels[i - width + 1] : values[next++];
  }
  let id = 0n; // ids may be larger than the numbers of JavaScript are exact
  return { count, ids: Array.from(differences, (step) => String((id += step))), labels, ...measure(labels, count) };
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

// The edges between pixels of different regions, as long straight pieces: of each region, and all of them once. There may
// be a million, which is why they lie in one array of numbers, and become paths only when they are drawn.
function trace(labels, count) {
  const pieces = []; // six numbers each: the two regions, or -1 beyond the picture, and the two ends
  const sweep = (lines, length, at, place) => {
    for (let line = 0; line <= lines; line++) {
      let start = 0, a = -1, b = -1;
      for (let i = 0; i <= length; i++) {
        const before = i < length && line > 0 ? at(line - 1, i) : -1, after = i < length && line < lines ? at(line, i) : -1;
        if (before === a && after === b) continue;
        if (a !== b) place(a, b, line, start, i);
        [start, a, b] = [i, before, after];
      }
    }
  };
  sweep(height, width, (y, x) => labels[y * width + x], (a, b, y, from, to) => pieces.push(a, b, from, y, to, y));
  sweep(width, height, (x, y) => labels[y * width + x], (a, b, x, from, to) => pieces.push(a, b, x, from, x, to));
  // Sorted by region: those of region k are at starts[k] to starts[k + 1].
  const starts = new Int32Array(count + 1);
  const each = (act) => {
    for (let i = 0; i < pieces.length; i += 6) {
      if (pieces[i] >= 0) act(pieces[i], i);
      if (pieces[i + 1] >= 0) act(pieces[i + 1], i);
    }
  };
  each((k) => starts[k + 1]++);
  for (let k = 0; k < count; k++) starts[k + 1] += starts[k];
  const next = starts.slice(), sorted = new Int32Array(starts[count]);
  each((k, i) => (sorted[next[k]++] = i));
  const paths = new Map();
  const add = (path, i) => {
    path.moveTo(pieces[i + 2], pieces[i + 3]);
    path.lineTo(pieces[i + 4], pieces[i + 5]);
  };
  const make = (key, fill) => {
    if (!paths.has(key)) {
      const path = new Path2D();
      fill(path);
      if (paths.size > 1000) paths.clear();
      paths.set(key, path);
    }
    return paths.get(key);
  };
  return {
    outline: (k) => make(k, (path) => sorted.subarray(starts[k], starts[k + 1]).forEach((i) => add(path, i))),
    borders: () => make("all", (path) => {
      for (let i = 0; i < pieces.length; i += 6) if (pieces[i] >= 0 && pieces[i + 1] >= 0) add(path, i);
    }),
    // The borders of several regions at once, of which those between two are drawn once.
    outlines: (inside) => {
      const path = new Path2D();
      for (let i = 0; i < pieces.length; i += 6) {
        if ((pieces[i] >= 0 && inside(pieces[i])) || (pieces[i + 1] >= 0 && inside(pieces[i + 1]))) add(path, i);
      }
      return path;
    },
  };
}
