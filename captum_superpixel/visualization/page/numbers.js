// Numbers and words: how scores, shares and ranks are written.

const signed = (value) => value.replace("-", "−");

// Numbers are written without exponents: very small and very large ones are counted in units that have a name.
const UNITS = [[1e12, "trillions"], [1e9, "billions"], [1e6, "millions"], [1e-6, "millionths"], [1e-9, "billionths"], [1e-12, "trillionths"]];

function unitOf(largest) {
  if (!largest || (largest >= 1e-4 && largest < 1e6)) return { size: 1, name: "" };
  const known = largest >= 1e-12 && largest < 1e15 && UNITS.find(([size]) => largest >= size);
  if (known) return { size: known[0], name: known[1] };
  const exponent = Math.floor(Math.log10(largest)), digits = [...String(exponent)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit] ?? "⁻");
  return { size: Number(`1e${exponent}`), name: `× 10${digits.join("")}` };
}

const decimals = (largest, digits) => Math.max(0, digits - 1 - Math.floor(Math.log10(largest)));

function showLimit(limit, unit) {
  const value = limit / unit.size;
  return `${Number(value.toPrecision(2)).toFixed(decimals(value, 2))}${unit.name && ` ${unit.name}`}`;
}

// As many decimals as the largest score needs, so that the numbers of a column can be compared at a glance.
function showScore(value) {
  if (Number.isNaN(value)) return "no score";
  if (value === 0) return "0";
  const { size } = method.unit, text = (value / size).toFixed(decimals(method.largest / size, 4));
  return signed((value > 0 && method.negative ? "+" : "") + text);
}

const showScoreUnit = (value) => `${showScore(value)}${value && !Number.isNaN(value) && method.unit.name ? ` ${method.unit.name}` : ""}`;

function showShare(value) {
  if (Number.isNaN(value)) return "–";
  return value > 0 && value < 0.00005 ? "< 0.01 %" : `${(100 * value).toFixed(value > 0 && value < 0.02 ? 2 : 1)} %`;
}

// Neither none nor certainty.
function showChance(value) {
  if (Number.isNaN(value)) return "–";
  return value < 0.005 ? "< 1 %" : value >= 0.995 ? "> 99 %" : `${(100 * value).toFixed(0)} %`;
}

const rankOf = (k) => method.ranks[k] || null;
const tied = (k) => rankOf(k) !== null && method.counts.get(rankOf(k)) > 1;
const showArea = (k) => showShare(mask.areas[k] / (width * height));
const showRank = (k) => (rankOf(k) === null ? "–" : `${rankOf(k)}${tied(k) ? "=" : ""}`);
// Regions without a rank are there as long as all are, and those of unknown sureness as long as none is asked for.
const sureEnough = (k) => !method.chances || state.sure === 0 || 100 * method.chances[k] >= state.sure;
const within = (k) => (state.top >= method.order.length || method.places[k] < state.top) && sureEnough(k);
const showsAll = () => state.top >= method.order.length && !(method.chances && state.sure > 0);

function describe(k) {
  const rank = rankOf(k), id = `Region ${mask.ids[k]}`;
  if (Number.isNaN(method.scores[k])) return `${id}, no score, ${showArea(k)} of the picture`;
  const place = rank === null ? "no rank" : `rank ${rank} of ${method.order.length}${tied(k) ? ", shared by equal scores" : ""}`;
  return `${id}, ${place}, score ${showScoreUnit(method.scores[k])}, share ${showShare(method.shares[k])}${method.chances ? `, stays top ${method.stays}: ${showChance(method.chances[k])}` : ""}`;
}

// What colors, scores and shares mean

// A method without a class explains none, such as activations; a class without a name is null.
const ofClass = () => method.className ?? "the class";
const speaks = () => method.signed && method.className !== "";
const forClass = () => (method.className ? `for ${method.className}` : "for");

function ends(layer) {
  if (speaks()) return [layer.diverging ? "against" : "", forClass()];
  return ["", method.signed ? "" : "magnitude"];
}

function explainColors() {
  const layer = method[state.layer], whole = state.layer === "regions" && !layer.png;
  const what = whole ? (data.score === "mean" ? "score of the region" : "mean of the map over the region") : state.layer === "pixels" ? "value of each pixel before grouping" : "value of the map at each pixel";
  if (layer.diverging) return `${what}; ${speaks() ? `red speaks for ${ofClass()}, blue against it` : "red is positive, blue negative"}`;
  return `${what}; the stronger, the ${speaks() ? `more it speaks for ${ofClass()}` : `larger${method.signed ? "" : " the magnitude"}`}`;
}

// Methods, decoded

function sum(values) {
  let total = 0;
  for (const value of values) if (!Number.isNaN(value)) total += value;
  return total;
}

// Neither Math.max(...values) nor push(...values): 160,000 arguments are too many for some browsers.
const largest = (values) => values.reduce((most, value) => (value > most ? value : most), 0);

async function decodeMethod(each) {
  if (each.chances) {
    const names = ["chances", "lows", "highs"], values = await Promise.all(names.map((name) => inflate(each[name], Float64Array)));
    names.forEach((name, i) => (each[name] = values[i]));
  }
  const [scores, ranks, paint] = await Promise.all([inflate(each.scores, Float64Array), inflate(each.ranks, Uint32Array), inflate(each.paint)]);
  const sizes = scores.map(Math.abs), total = sum(sizes);
  const order = Array.from(ranks.keys()).filter((k) => ranks[k] > 0).sort((a, b) => ranks[a] - ranks[b] || a - b);
  const places = new Float64Array(scores.length).fill(Infinity), counts = new Map(), held = new Float64Array(order.length + 1);
  const shares = sizes.map((size) => (total > 0 ? size / total : size && NaN));
  order.forEach((k, place) => {
    places[k] = place;
    counts.set(ranks[k], (counts.get(ranks[k]) ?? 0) + 1);
    held[place + 1] = held[place] + shares[k];
  });
  Object.assign(each, { scores, ranks, paint, order, places, counts, held, shares, largest: largest(sizes), most: largest(shares) });
  Object.assign(each, { negative: scores.some((score) => score < 0), unit: unitOf(each.largest), ties: counts.size < order.length });
  for (const layer of [each.regions, each.pixels]) {
    if (!layer?.png) continue;
    layer.image = new Image();
    layer.image.src = layer.png;
    await layer.image.decode();
  }
}
