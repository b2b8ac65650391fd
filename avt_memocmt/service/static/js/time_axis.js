// What the canvases of the timeline share: their size, their colours, round numbers for ticks.

import { clock } from "./wording.js";

const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** Seconds between two ticks, so that there are at most `most` of them. */
export function tickStep(span, most) {
  return STEPS.find((step) => span / step <= most) ?? 3600 * Math.ceil(span / most / 3600);
}

/** A canvas context in CSS pixels, cleared, at the sharpness of the screen. */
export function prepared(canvas, width, height) {
  const scale = devicePixelRatio;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

let known = null;
document.addEventListener("themechange", () => (known = null));

/** The colours of the theme, and the page's type; asked of the style once for each theme. */
export function inks() {
  known ??= read(document.documentElement);
  return known;
}

function read(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    ink: colour("--ink"),
    soft: colour("--soft"),
    line: colour("--line"),
    well: colour("--well"),
    family: getComputedStyle(document.body).fontFamily,
  };
}

/** Draw lines and labels of the seconds `from` to `to`; labels stand at `labelY`. */
export function drawTicks(context, { from, to, width, height, labelY, colours }) {
  const step = tickStep(to - from, Math.max(2, Math.floor(width / 80)));
  context.font = `11px ${colours.family}`;
  context.textBaseline = "alphabetic";
  for (let number = Math.ceil(from / step); number * step <= to; number += 1) {
    const x = Math.round(((number * step - from) / (to - from)) * width) + 0.5;
    context.fillStyle = colours.line;
    context.fillRect(x - 0.5, 0, 1, height);
    const label = clock(number * step, step < 1);
    const room = context.measureText(label).width;
    context.fillStyle = colours.soft;
    context.fillText(label, Math.min(Math.max(0, x - room / 2), width - room), labelY);
  }
}
