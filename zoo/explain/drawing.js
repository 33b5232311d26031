// Draws logos and heat maps. The pages of zoo explain and zoo serve include this script.
// outlines of DejaVu Sans Bold in a box of 1000 by 1000, y downwards
const GLYPHS = {
  A: "M693 818L308 818L247 1000L0 1000L353 0L647 0L1000 1000L753 1000L693 818ZM369 632L631 632L500 234L369 632Z",
  C: "M1000 928Q916 964 826 982Q735 1000 637 1000Q343 1000 172 865Q0 731 0 500Q0 269 172 135Q343 0 637 0Q735 0 826 18Q916 36 1000 72L1000 271Q916 224 834 202Q752 180 661 180Q499 180 406 265Q313 351 313 500Q313 649 406 735Q499 820 661 820Q752 820 834 798Q916 776 1000 729L1000 928Z",
  G: "M1000 910Q899 955 791 977Q682 1000 567 1000Q305 1000 153 865Q0 731 0 500Q0 267 155 134Q311 0 581 0Q686 0 781 18Q877 36 961 72L961 271Q874 225 788 203Q701 180 614 180Q453 180 366 263Q279 346 279 500Q279 653 363 737Q447 820 602 820Q644 820 680 815Q716 810 745 800L745 613L580 613L580 446L1000 446L1000 910Z",
  T: "M0 0L1000 0L1000 195L640 195L640 1000L360 1000L360 195L0 195L0 0Z",
};
const LOGO = {cell: 10, height: 240};
const MOST = 16384;
const make = (tag, attributes = {}, text = "") => {
  const svg = tag === "svg" || tag === "path" || tag === "line";
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
};
const signed = value => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(Math.abs(value) < 0.01 ? 4 : 3);
const glyphs = Object.fromEntries(Object.entries(GLYPHS).map(([base, path]) => [base,
  path.match(/[A-Z][^A-Z]*/g).map(part => [part[0], part.slice(1).trim().split(/\s+/).filter(Boolean).map(Number)])]));

function numbers([scale, text]) {
  const raw = atob(text), view = new DataView(new ArrayBuffer(raw.length));
  for (let i = 0; i < raw.length; i++) view.setUint8(i, raw.charCodeAt(i));
  return Float32Array.from({length: raw.length / 2}, (_, i) => scale * view.getInt16(2 * i, true));
}

function letter(base, x, top, height, flipped) {
  // a small gap on both sides
  const width = LOGO.cell * 0.94, left = x * LOGO.cell + LOGO.cell * 0.03;
  return glyphs[base].map(([command, points]) => command + points.map((value, i) => i % 2
    ? (top + (flipped ? 1000 - value : value) / 1000 * height).toFixed(2)
    : (left + value / 1000 * width).toFixed(2)).join(" ")).join("");
}

// scores: the contribution of each base; scaled: the scores that decide on the scale, if these are a part of them
function drawLogo(svg, axis, bases, scores, colours, scaled = scores) {
  const top = Math.max(0, ...scaled), bottom = Math.min(0, ...scaled), span = top - bottom || 1;
  const y = value => (top - value) / span * LOGO.height;
  const paths = {};
  scores.forEach((score, i) => {
    const base = bases[i];
    if (!(base in glyphs) || score === 0) return;
    const height = Math.abs(score) / span * LOGO.height;
    paths[base] = (paths[base] || "") + letter(base, i, score > 0 ? y(score) : y(0), height, score < 0);
  });
  svg.setAttribute("viewBox", `0 0 ${bases.length * LOGO.cell} ${LOGO.height}`);
  svg.replaceChildren(
    ...Object.entries(paths).map(([base, d]) => make("path", {d, fill: colours[base], "data-base": base})),
    make("line", {x1: 0, x2: bases.length * LOGO.cell, y1: y(0), y2: y(0), stroke: "currentColor",
      "stroke-opacity": 0.45, "stroke-width": 1, "vector-effect": "non-scaling-stroke"}));
  const share = value => (y(value) / LOGO.height * 100).toFixed(1) + "%";
  axis.replaceChildren(...[top, 0, bottom].filter((value, i) => i === 1 || Math.abs(value) > span * 0.12)
    .map(value => make("span", {style: `top:${share(value)}`}, value ? signed(value).replace(/0$/, "") : "0")));
}

const largestOf = values => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;

// effects: of each base of the alphabet at each position, in the order of the sequence; largest: the end of the scale
function drawHeat(canvas, bases, effects, alphabet, largest = largestOf(effects)) {
  const style = getComputedStyle(document.documentElement);
  const up = style.getPropertyValue("--up"), down = style.getPropertyValue("--down");
  // the pixels of the screen, with cells on whole pixels; browsers draw no canvas wider than MOST
  const box = canvas.getBoundingClientRect();
  canvas.width = Math.min(MOST, Math.max(bases.length, Math.round(box.width * devicePixelRatio)));
  canvas.height = Math.max(4, Math.round(box.height * devicePixelRatio));
  const context = canvas.getContext("2d"), x = i => Math.round(i / bases.length * canvas.width);
  const y = b => Math.round(b / 4 * canvas.height);
  context.fillStyle = style.getPropertyValue("--zero");
  context.fillRect(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < bases.length; i++) for (let b = 0; b < 4; b++) {
    const effect = effects[4 * i + b], own = bases[i] === alphabet[b];
    const [left, top, width, height] = [x(i), y(b), x(i + 1) - x(i), y(b + 1) - y(b)];
    if (own) {
      const side = Math.max(1, Math.round(Math.min(width, height) * 0.35));
      context.fillStyle = style.getPropertyValue("--own");
      context.fillRect(left + Math.floor((width - side) / 2), top + Math.floor((height - side) / 2), side, side);
    } else {
      // the square root makes small effects visible
      context.fillStyle = `rgba(${effect < 0 ? down : up}, ${Math.sqrt(Math.abs(effect) / largest).toFixed(3)})`;
      context.fillRect(left, top, width, height);
    }
  }
}

// the colours of drawHeat for effects from -largest to largest, between these two numbers
function drawScale(box, largest) {
  const style = getComputedStyle(document.documentElement), steps = 16;
  const stops = Array.from({length: 2 * steps + 1}, (_, i) => (i - steps) / steps).map(value =>
    `rgba(${style.getPropertyValue(value < 0 ? "--down" : "--up")}, ${Math.sqrt(Math.abs(value)).toFixed(3)})`);
  const bar = make("i", {style: `background: linear-gradient(to right, ${stops.join(", ")}), var(--zero)`});
  const [text, low, high] = ["effect", signed(-largest), signed(largest)].map(text => make("span", {}, text));
  box.replaceChildren(text, low, bar, high);
}

// the text about one position; effects: null without substitutions
function positionText(bases, at, contributions, effects, alphabet) {
  const own = bases[at];
  const changes = [...effects ? alphabet : ""].map((base, b) =>
    base === own ? null : `${own}→${base} ${signed(effects[4 * at + b])}`);
  return `${at + 1} ${own}  contribution ${signed(contributions[at])}\n${changes.filter(Boolean).join("  ")}`;
}
