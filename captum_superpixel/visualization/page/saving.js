// The picture as it is seen and the table as it is sorted, as files.

function offer(blob, name) {
  const link = element("a"), url = URL.createObjectURL(blob);
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  find("live").textContent = `Saved as ${name}`;
}

// Titles and methods may hold what names of files must not.
function fileName(ending) {
  const clean = (text) => [...text.replace(/[\p{C}\\/:*?"<>|]+/gu, "_").replace(/\s+/g, " ")].slice(0, 60).join("").trim();
  return [data.title, method.name, ending].map(clean).filter(Boolean).join(" ").replace(/^[\s.]+/, "_");
}

// The table

// Spreadsheets take text that starts like this for a formula, and would run it; an apostrophe makes it text.
const quote = (text) => `"${(/^[\s\p{C}]*[=+\-@＝＋－＠\t\r\n]/u.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
const number = (value) => (Number.isNaN(value) ? "" : String(value));

function makeTable() {
  const sure = method.chances ? [method.chances, method.lows, method.highs] : [];
  const lines = [`title,class,method,score_name,rank,region,score,share,pixels,area_share${method.chances ? `,stays_top_${method.stays},interval_low,interval_high` : ""}`];
  const same = [data.title, method.className ?? "", method.name, method.scoreName].map(quote).join(",");
  for (const k of order) {
    const numbers = [method.ranks[k] || NaN, mask.ids[k], method.scores[k], method.shares[k], mask.areas[k], mask.areas[k] / (width * height), ...sure.map((values) => values[k])];
    lines.push(`${same},${numbers.map(number).join(",")}`);
  }
  // By the byte order mark spreadsheets know that it is UTF-8.
  return new Blob(["\ufeff", lines.join("\r\n"), "\r\n"], { type: "text/csv;charset=utf-8" });
}

// The picture

function wrap(context, text, room) {
  const lines = [];
  let line = "";
  for (const word of text.split(/(?<=\s)/)) {
    if (context.measureText(line + word).width <= room) {
      line += word;
      continue;
    }
    if (line) lines.push(line);
    line = word;
    // A word of a path or a class may be longer than a line.
    while (context.measureText(line).width > room && [...line].length > 1) {
      const letters = [...line];
      let count = letters.length - 1;
      while (count > 1 && context.measureText(letters.slice(0, count).join("")).width > room) count--;
      lines.push(letters.slice(0, count).join(""));
      line = letters.slice(count).join("");
    }
  }
  return [...lines, line].map((each) => each.trim()).filter(Boolean);
}

function makePicture() {
  const scale = Math.min(Math.max(1, Math.round(1000 / Math.max(width, height))), 4096 / Math.max(width, height));
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))], size = Math.max(14, Math.round(Math.max(w, h) / 50));
  const margin = size, whole = Math.max(w, 30 * size), canvas = element("canvas"), context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement), color = (name) => style.getPropertyValue(name).trim();
  const font = (weight, factor) => `${weight} ${Math.round(size * factor)}px system-ui, sans-serif`;
  const lines = (text, weight, factor, shade) => {
    context.font = font(weight, factor);
    return wrap(context, text, whole).map((line) => ({ line, font: context.font, high: 1.4 * factor * size, shade }));
  };
  const layer = method[state.layer], choice = document.querySelector('[name="layer"]:checked + span').textContent.toLowerCase();
  const shown = [method.name, method.pixels ? choice : "", state.top < method.order.length ? `top ${find("top-text").textContent}` : "", method.chances && state.sure ? `at least ${state.sure} % sure` : ""];
  const line = document.querySelector(".prediction"), both = line?.querySelectorAll("span") ?? [];
  const classes = both.length ? [...both] : line ? [line] : [];
  const head = [
    ...lines(data.title, 650, 1.3, "--ink"),
    ...classes.flatMap((each) => lines(each.textContent, 400, 1, "--ink")),
    ...lines(shown.filter(Boolean).join(", "), 400, 1, "--ink"),
  ];
  const remarks = Array.from(document.querySelectorAll(".remarks li"), (item) => item.textContent);
  const [low, high] = legendTexts();
  const foot = [
    ...(layer.note ? lines(`The map is ${layer.note}.`, 400, 0.9, "--ink") : []),
    ...lines(`Color: ${explainColors()}. Score: ${method.scoreName} of the region.`, 400, 0.9, "--faint"),
    ...(method.chances ? lines(`Stays top ${method.stays}: ${data.stays.replaceAll("{k}", method.stays)}.`, 400, 0.9, "--faint") : []),
    ...remarks.flatMap((text) => lines(`Note: ${text}`, 400, 0.9, "--faint")),
  ];
  const tall = (parts) => parts.reduce((total, { high }) => total + high, 0);
  const bar = { y: margin + tall(head) + size / 2 + h + size, high: size };
  Object.assign(canvas, { width: whole + 2 * margin, height: Math.ceil(bar.y + 3.4 * size + tall(foot) + margin) });
  context.fillStyle = color("--panel");
  context.fillRect(0, 0, canvas.width, canvas.height);
  const write = (parts, y) => parts.forEach((part) => {
    Object.assign(context, { font: part.font, fillStyle: color(part.shade), textBaseline: "top", textAlign: "left" });
    context.fillText(part.line, margin, y);
    y += part.high;
  });
  write(head, margin);
  write(foot, bar.y + 3.2 * size);

  const [x, y] = [margin + Math.round((whole - w) / 2), Math.round(margin + tall(head) + size / 2)];
  context.drawImage(find("ground"), x, y, w, h);
  context.imageSmoothingEnabled = scale < 1;
  context.globalAlpha = state.strength;
  context.drawImage(find("heat"), x, y, w, h);
  context.globalAlpha = 1;
  if (!find("veil").hidden) context.drawImage(find("veil"), x, y, w, h);
  context.imageSmoothingEnabled = false;
  context.drawImage(find("bar"), margin, bar.y, whole, bar.high);
  Object.assign(context, { font: font(400, 0.9), fillStyle: color("--ink"), textBaseline: "top", textAlign: "left" });
  context.fillText(wrap(context, low, whole / 2 - size)[0] ?? "", margin, bar.y + 1.4 * size);
  context.textAlign = "right";
  const right = wrap(context, high, whole / 2 - size);
  context.fillText(`${right[0] ?? ""}${right.length > 1 ? " …" : ""}`, margin + whole, bar.y + 1.4 * size);

  context.setTransform(w / width, 0, 0, h / height, x, y);
  Object.assign(context, { lineCap: "round", lineJoin: "round" });
  const unit = (Math.max(w, h) / 700) * (width / w);
  strokeLines(context, unit);
  strokeOutline(context, unit);
  return canvas;
}

function listenToSaving() {
  find("save-picture").addEventListener("click", () => makePicture().toBlob((blob) => offer(blob, fileName("map.png"))));
  find("save-table").addEventListener("click", () => offer(makeTable(), fileName("regions.csv")));
}
