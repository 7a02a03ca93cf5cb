// The table and the controls, and what happens when they are used.

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
    const row = element("tr"), chip = element("span"), color = element("i"), amount = element("span");
    const cells = [showRank(k), id, showScore(method.scores[k]), showShare(method.shares[k]), showArea(k)].map((text) => element("td", text));
    const [red, green, blue, alpha] = colorOf(k);
    color.style.background = `rgb(${red} ${green} ${blue} / ${alpha / 255})`;
    chip.className = "chip";
    chip.append(color);
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

// The Tab key reaches one row; arrow keys lead to the others.
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
  find("score-name").textContent = method.scoreName;
  find("equal").hidden = !method.ties.length;
  document.querySelector('[data-column="score"] button').title = `${method.scoreName} of the region`;
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
  const none = method.scores.every((score) => score === null) ? "no region has a score" : "all scores are 0: no ranks";
  const text = count === 0 ? none : state.top >= count ? `all ${count}` : `${state.top} of ${count}, share ${showShare(held)}`;
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
  const ties = new Set(each.ties);
  Object.assign(each, { places: {}, ranks: {}, tied: new Set() });
  each.order.forEach((k, place) => {
    each.places[k] = place;
    each.ranks[k] = ties.has(place) ? each.ranks[each.order[place - 1]] : place + 1;
    if (ties.has(place)) each.tied.add(each.ranks[k]);
  });
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
