// The controls, what happens when they are used, and how the page starts.

function chooseMethod(index) {
  const former = mask;
  state.method = index;
  method = data.methods[index];
  mask = masks[method.mask];
  if (mask !== former) state.pinned = state.hovered = null;
  current = null;
  tip.hidden = true;
  stage.dataset.region = "";
  const pixels = document.querySelector('[name="layer"][value="pixels"]');
  pixels.disabled = !method.pixels;
  if (pixels.disabled) document.querySelector('[name="layer"][value="regions"]').checked = true;
  state.layer = document.querySelector('[name="layer"]:checked').value;
  const slider = find("top"), wasAll = slider.max === "" || state.top >= Number(slider.max);
  slider.max = Math.max(1, method.order.length);
  slider.disabled = method.order.length < 2;
  if (wasAll || state.top > method.order.length) state.top = Number(slider.max);
  slider.value = state.top;
  find("score-name").textContent = method.scoreName;
  find("score-unit").textContent = method.unit.name;
  find("equal").hidden = !method.ties;
  offerSureness();
  document.querySelector('[data-column="score"] button').title = `${method.scoreName} of the region${method.unit.name && `, in ${method.unit.name}`}`;
  sort();
  chooseTop();
  chooseLayer();
  show();
  drawOutline();
}

const staysHead = document.querySelector('[data-column="stays"]');

function offerSureness() {
  const known = Boolean(method.chances), name = `Stays top ${method.stays}`;
  for (const part of [find("sureness"), find("stays-meaning")]) part.hidden = !known;
  // A header without a column would be read out as one.
  if (known) document.querySelector('[data-column="share"]').before(staysHead);
  else staysHead.remove();
  document.querySelector("main").classList.toggle("sure", known);
  if (!known && state.column === "stays") Object.assign(state, { column: "rank", descending: false });
  if (!known) return;
  find("stays-name").textContent = name;
  find("stays-text").textContent = data.stays.replaceAll("{k}", method.stays);
  staysHead.firstElementChild.title = `${name}: probability to be among the top ${method.stays} of an independently trained network`;
}

function chooseSure() {
  find("sure-text").textContent = `${state.sure} % sure`;
  find("sure").setAttribute("aria-valuetext", `${state.sure} % sure`);
  shadeRows();
  drawTop();
}

function chooseLayer() {
  drawHeat();
  drawLegend();
  stage.dataset.layer = state.layer;
}

function chooseTop() {
  const count = method.order.length;
  const none = method.scores.every(Number.isNaN) ? "no region has a score" : "all scores are 0: no ranks";
  const text = count === 0 ? none : state.top >= count ? `all ${count}` : `${state.top} of ${count}, share ${showShare(method.held[state.top])}`;
  find("top-text").textContent = text;
  find("top").setAttribute("aria-valuetext", text);
  shadeRows();
  drawTop();
}

function chooseStrength(percentage) {
  state.strength = percentage / 100;
  find("heat").style.opacity = state.strength;
  find("strength-text").textContent = `${percentage} %`;
  find("strength").setAttribute("aria-valuetext", `${percentage} %`);
  drawGround();
  drawLegend();
}

function chooseTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  find("theme-text").textContent = dark ? "Light" : "Dark";
}

// A long title is cut after two lines on a phone; the button shows the rest.
function fitTitle() {
  const title = document.querySelector("h1"), more = find("more"), open = more.getAttribute("aria-expanded") === "true";
  title.classList.toggle("short", !open);
  more.hidden = !open && title.scrollHeight <= title.clientHeight + 1;
}

// Events

function listen() {
  find("methods").addEventListener("change", (event) => chooseMethod(Number(event.target.value)));
  find("layers").addEventListener("change", (event) => {
    state.layer = event.target.value;
    chooseLayer();
  });
  find("behind").addEventListener("change", (event) => {
    state.behind = event.target.value;
    drawGround();
    drawLegend();
  });
  find("top").addEventListener("input", (event) => {
    state.top = Number(event.target.value);
    chooseTop();
  });
  find("sure").addEventListener("input", (event) => {
    state.sure = Number(event.target.value);
    chooseSure();
  });
  find("strength").addEventListener("input", (event) => chooseStrength(Number(event.target.value)));
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
  find("more").addEventListener("click", () => {
    const open = find("more").getAttribute("aria-expanded") === "true";
    find("more").setAttribute("aria-expanded", !open);
    find("more").textContent = open ? "Full title" : "Short title";
    fitTitle();
  });
  listenToStage();
  listenToTable();
  listenToSaving();
  new ResizeObserver(() => {
    // Enlarged, a map has the edges of its pixels, along which the borders run; made smaller, it is smoothed.
    const enlarged = stage.clientWidth * (window.devicePixelRatio || 1) >= width;
    for (const canvas of [find("heat"), find("veil")]) canvas.classList.toggle("enlarged", enlarged);
    drawLines();
    drawOutline();
    drawLegend();
  }).observe(stage);
  new ResizeObserver(fitTitle).observe(document.querySelector(".headline"));
}

function listenToStage() {
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
    const ranked = method.order, last = ranked.length - 1, place = current === null ? null : method.places[current];
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

async function start() {
  chooseTheme(window.matchMedia("(prefers-color-scheme: dark)").matches);
  stage.style.setProperty("--aspect", width / height);
  stage.classList.toggle("coarse", Math.max(width, height) <= 160);
  offerMethods();
  fitTitle();
  await find("picture").decode();
  masks = await Promise.all(data.masks.map(decodeMask));
  await Promise.all(data.methods.map(decodeMethod));
  chooseMethod(0);
  chooseStrength(Number(find("strength").value));
  listen();
  document.documentElement.dataset.ready = "";
}

start().catch((error) => {
  const old = typeof DecompressionStream === "undefined" ? "This browser is too old for the page: use one of 2023 or later. " : "";
  find("failure").textContent = `${old}The page could not be drawn: ${error.message}`;
  find("failure").hidden = false;
});
