// What the page shows over the picture: maps, lines, ranks, the legend, and the region that is pointed at.

const ramp = toBytes(data.ramp);
const colorOf = (k) => ramp.subarray(4 * method.paint[k], 4 * method.paint[k] + 4);

// The picture under a map is lightened, because what shines through would change the map's colors. The legend is drawn
// on the mean color of the lightened picture, so that its colors and those of the map are the same but for the details.
const LIGHTENED = 0.62;

function drawGround() {
  const picture = find("picture"), canvas = find("ground");
  const [w, h] = [picture.naturalWidth, picture.naturalHeight], context = canvas.getContext("2d");
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const cover = (color, how = "source-over") => {
    Object.assign(context, { globalCompositeOperation: how, fillStyle: color });
    context.fillRect(0, 0, w, h);
  };
  cover("#fff");
  if (state.behind !== "blank") {
    context.drawImage(picture, 0, 0);
    if (state.behind === "gray") cover("#808080", "saturation");
    cover(`rgb(255 255 255 / ${LIGHTENED * state.strength})`);
  }
}

function legendColor(level) {
  const [red, green, blue] = data.mean, gray = 0.3 * red + 0.59 * green + 0.11 * blue; // as canvases weigh them
  const mean = { color: data.mean, gray: [gray, gray, gray], blank: [255, 255, 255] }[state.behind];
  const opacity = (ramp[4 * level + 3] / 255) * state.strength, light = LIGHTENED * state.strength;
  return mean.map((value, i) => Math.round(opacity * ramp[4 * level + i] + (1 - opacity) * (light * 255 + (1 - light) * value)));
}

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
  const pixels = new Uint32Array(image.data.buffer), colors = new Uint32Array(mask.count);
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
  const veil = find("veil"), all = showsAll();
  veil.hidden = all;
  if (!all) {
    const tint = getComputedStyle(document.documentElement).getPropertyValue("--veil").split(",").map(Number);
    paint(veil, (k) => (within(k) ? [0, 0, 0, 0] : [...tint, 226]));
  }
  drawLines();
}

function drawLines() {
  const [context, unit] = fit(find("lines"));
  strokeLines(context, unit);
}

// Lines between regions of a few pixels on the screen would hide them.
const tooSmall = (unit) => Math.sqrt((width * height) / mask.count) < 4 * unit;

const FIRM = 500; // more outlines than these would each take their time

function strokeLines(context, unit) {
  const whole = showsAll(), firm = method.chances && mask.count <= FIRM;
  if (find("borders").checked && !tooSmall(unit)) {
    // Many small regions would vanish below lines that suit few large ones.
    const strength = Math.min(1, Math.max(0.45, Math.sqrt((width * height) / mask.count) / (60 * unit)));
    const stroke = (path, opacity, thickness = 1) => {
      for (const [color, size] of [["#0008", thickness + 1.2], ["#fffd", thickness]]) {
        Object.assign(context, { strokeStyle: color, lineWidth: size * strength * unit, globalAlpha: opacity });
        context.stroke(path);
      }
    };
    stroke(mask.borders(), whole && !firm ? 0.4 + 0.4 * strength : 0.22);
    // Sure regions are outlined firmly, and drawn last, where they meet unsure ones.
    const sure = (k) => method.chances[k] || 0;
    if (firm) Array.from(mask.areas.keys()).filter(within).sort((a, b) => sure(a) - sure(b)).forEach((k) => stroke(mask.outline(k), 0.22 + 0.78 * sure(k), 1 + 2.5 * sure(k)));
    else if (!whole) stroke(mask.outlines(within), 1);
    context.globalAlpha = 1;
  }
  strokeTarget(context, unit);
  const numbered = method.order.slice(0, state.top).filter(within);
  if (numbered.length > 20 || whole) return;
  Object.assign(context, { font: `600 ${12 * unit}px system-ui, sans-serif`, textAlign: "center", textBaseline: "middle" });
  numbered.reverse().forEach((k) => {
    const [x, y] = mask.anchors[k];
    context.beginPath();
    context.arc(x, y, 10 * unit, 0, 7);
    Object.assign(context, { fillStyle: "#10141ae6", strokeStyle: "#fff", lineWidth: 1.5 * unit });
    context.fill();
    context.stroke();
    context.fillStyle = "#fff";
    context.fillText(showRank(k), x, y + 0.5 * unit);
    if (!method.chances) return;
    Object.assign(context, { font: `600 ${11 * unit}px system-ui, sans-serif`, strokeStyle: "#10141ae6", lineWidth: 3 * unit });
    context.strokeText(showChance(method.chances[k]), x, y + 17 * unit);
    context.fillText(showChance(method.chances[k]), x, y + 17 * unit);
    context.font = `600 ${12 * unit}px system-ui, sans-serif`;
  });
}

// What is explained, where that is a part of the picture.
function strokeTarget(context, unit) {
  if (!data.outline) return;
  const path = new Path2D(data.outline);
  for (const [color, size] of [["#000c", 5], ["#ffe61a", 2.5]]) {
    Object.assign(context, { strokeStyle: color, lineWidth: size * unit });
    context.stroke(path);
  }
}

function drawOutline() {
  const [context, unit] = fit(find("outline"));
  strokeOutline(context, unit);
}

function strokeOutline(context, unit) {
  const stroke = (k, color) => {
    for (const [style, size] of [["#000c", 5.5], [color, 2.5]]) {
      Object.assign(context, { strokeStyle: style, lineWidth: size * unit });
      context.stroke(mask.outline(k));
    }
  };
  if (state.pinned !== null) stroke(state.pinned, "#ffc400");
  if (current !== null && current !== state.pinned) stroke(current, "#fff");
}

function legendTexts() {
  const layer = method[state.layer], [low, high] = ends(layer);
  if (!layer.limit) return ["0", ""];
  const unit = state.layer === "regions" ? method.unit : unitOf(layer.limit);
  const limit = showLimit(layer.limit, unit), plus = method.signed ? "+" : "";
  const texts = [layer.diverging ? `${layer.below ? "≤ " : ""}−${limit} ${low}` : "0", `${layer.above ? "≥ " : ""}${plus}${limit} ${high}`];
  return texts.map((text) => text.trim());
}

function drawLegend() {
  const layer = method[state.layer], bar = find("bar"), sides = layer.diverging ? 255 : 128;
  Object.assign(bar, { width: sides, height: 1 });
  const context = bar.getContext("2d"), image = context.createImageData(sides, 1);
  for (let i = 0; i < sides; i++) image.data.set([...legendColor(256 - sides + i), 255], 4 * i);
  context.putImageData(image, 0, 0);
  legendTexts().forEach((text, i) => Object.assign(find(["low", "high"][i]), { textContent: text, title: text }));
  bar.setAttribute("aria-label", `Color scale from ${legendTexts().join(" to ")}`);
  const coarse = layer.image && layer.image.naturalWidth < width;
  const size = coarse ? `shown at ${layer.image.naturalWidth} × ${layer.image.naturalHeight} pixels` : "";
  const hidden = tooSmall(width / stage.clientWidth) ? "regions too small for borders" : "";
  find("note").textContent = [layer.note, size, hidden].filter(Boolean).join(", ");
  find("color-meaning").textContent = explainColors();
  colorRows();
}

// The current region: the one pointed at, else the one that was kept

function showTip(at) {
  tip.hidden = current === null;
  if (current === null) return;
  const rank = rankOf(current), lines = [["Score", showScoreUnit(method.scores[current])], ["Share", showShare(method.shares[current])]];
  if (method.chances) lines.push([`Stays top ${method.stays}`, showChance(method.chances[current])]);
  if (method.chances && !Number.isNaN(method.lows[current])) lines.push(["95 % interval", `${showScore(method.lows[current])} to ${showScoreUnit(method.highs[current])}`]);
  const scored = !Number.isNaN(method.scores[current]);
  tip.firstElementChild.textContent = rank !== null ? `Rank ${showRank(current)} of ${method.order.length}` : scored ? "No rank" : "No score";
  const shown = [...(scored ? lines : []), ["Region", mask.ids[current]], ["Area", showArea(current)]];
  tip.lastElementChild.replaceChildren(...shown.flatMap((line) => line.map((text, i) => element(i ? "dd" : "dt", text))));
  const box = stage.getBoundingClientRect(), [ax, ay] = mask.anchors[current];
  const [x, y] = at ?? [(ax / width) * box.width, (ay / height) * box.height];
  const left = x + 18 + tip.offsetWidth > box.width ? x - 18 - tip.offsetWidth : x + 18;
  const top = Math.min(y + 14, Math.max(0, box.height - tip.offsetHeight));
  tip.style.transform = `translate(${Math.round(Math.max(left, -box.left))}px, ${Math.round(top)}px)`;
}

function show({ at, scroll = false, announce = false, tooltip = true } = {}) {
  const before = current;
  current = state.hovered ?? state.pinned;
  if (before !== current) {
    if (before !== null) mark(before, "current", false);
    if (current !== null) mark(current, "current", true);
    drawOutline();
    stage.dataset.region = current === null ? "" : mask.ids[current];
    if (scroll && current !== null) scrollTo(current);
  }
  if (announce) find("live").textContent = current === null ? "" : describe(current) + (current === state.pinned ? ", kept" : "");
  if (tooltip && (before !== current || at)) showTip(at);
  if (!tooltip) tip.hidden = true;
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
