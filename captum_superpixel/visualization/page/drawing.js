// What the page shows over the picture: maps, lines, ranks, the legend, and the region that is pointed at.

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
const showRank = (k) => (rankOf(k) === null ? "–" : `${rankOf(k)}${method.tied.has(rankOf(k)) ? "=" : ""}`);
const within = (k) => state.top >= method.order.length || (method.places[k] ?? Infinity) < state.top;

function describe(k) {
  const rank = rankOf(k), id = `Region ${mask.ids[k]}`;
  if (method.scores[k] === null) return `${id}, no score, ${showArea(k)} of the picture`;
  const place = rank === null ? "no rank" : `rank ${rank} of ${method.order.length}${method.tied.has(rank) ? ", shared by equal scores" : ""}`;
  return `${id}, ${place}, score ${showScore(method.scores[k])}, share ${showShare(method.shares[k])}`;
}

// Drawing

const ramp = toBytes(data.ramp);
const colorOf = (k) => ramp.subarray(4 * method.paint[k], 4 * method.paint[k] + 4);

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

function paint(canvas, color) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer), colors = new Uint32Array(mask.ids.length);
  const parts = new Uint8Array(colors.buffer);
  for (let k = 0; k < colors.length; k++) parts.set(color(k), 4 * k);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[mask.labels[i]];
  context.putImageData(image, 0, 0);
}

function drawHeat() {
  const canvas = find("heat"), layer = method[state.layer];
  if (layer.image === undefined) return paint(canvas, colorOf);
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
      for (const [color, size] of [["#0008", 2.2], ["#fffd", 1]]) {
        Object.assign(context, { strokeStyle: color, lineWidth: size * strength * unit, globalAlpha: opacity });
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
    context.fillText(showRank(k), x, y + 0.5 * unit);
  });
}

function drawOutline() {
  const [context, unit] = fit(find("outline"));
  const stroke = (k, color) => {
    for (const [style, size] of [["#000c", 5.5], [color, 2.5]]) {
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
  bar.setAttribute("aria-label", `Color scale from ${find("low").textContent} to ${limit}`);
  const coarse = layer.image && layer.image.naturalWidth < width;
  const size = coarse ? `shown at ${layer.image.naturalWidth} × ${layer.image.naturalHeight} pixels` : "";
  find("note").textContent = [layer.note, size].filter(Boolean).join(", ");
}

// The current region: the one pointed at, else the one that was kept

function showTip(at) {
  tip.hidden = current === null;
  if (current === null) return;
  const rank = rankOf(current), lines = [["Score", showScore(method.scores[current])], ["Share", showShare(method.shares[current])]];
  const scored = method.scores[current] !== null;
  tip.firstElementChild.textContent = rank !== null ? `Rank ${showRank(current)} of ${method.order.length}` : scored ? "No rank" : "No score";
  const shown = [...(scored ? lines : []), ["Region", String(mask.ids[current])], ["Area", showArea(current)]];
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
