// Numbers, times and emotions as people read them.

import { h, known, t } from "./page.js";

const percents = new Intl.NumberFormat(known.language, { style: "percent", maximumFractionDigits: 0 });
const decimals = new Intl.NumberFormat(known.language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat(known.language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const moments = new Intl.DateTimeFormat(known.language, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(known.language, { numeric: "auto" });

export const percent = (share) => percents.format(share);
export const oneDecimal = (value) => decimals.format(value);
export const twoDecimals = (value) => precise.format(value);

/** "0:03", "12:40", "1:02:09"; with `tenths` "0:03.2". */
export function clock(seconds, tenths = false) {
  const unit = tenths ? 10 : 1;
  const rounded = tenths ? Math.round(seconds * unit) : Math.floor(seconds + 1e-6);
  const whole = Math.floor(rounded / unit);
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, pad(whole % 60)];
  const tail = tenths ? `${rest}.${rounded % 10}` : rest;
  return hours ? `${hours}:${pad(minutes)}:${tail}` : `${minutes}:${tail}`;
}

/** A length of time in words: "40 seconds", "3 minutes". */
export function lasting(seconds) {
  if (seconds < 90) return t("time.seconds", { count: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return t("time.minutes", { count: Math.round(seconds / 60) });
  return t("time.hours", { count: Math.round(seconds / 3600) });
}

/** When something was: "2 minutes ago", or a date. */
export function when(moment) {
  const past = (Date.now() - Date.parse(moment)) / 1000;
  if (past < 45) return t("time.now");
  if (past < 2700) return relative.format(-Math.round(past / 60), "minute");
  if (past < 64800) return relative.format(-Math.round(past / 3600), "hour");
  return moments.format(new Date(moment));
}

export const emotionName = (emotion) => t(`emotion.${emotion}`);

/** The colour of an emotion as a small square; its name must stand beside it. */
export function swatch(emotion) {
  const name = emotion === known.uncertain ? "swatch uncertain" : "swatch";
  return h("span", { class: name, "--emotion": `var(--${emotion})`, "aria-hidden": "true" });
}

/** Black or white, whichever is read better on an emotion's colour. */
export function inkOn(emotion) {
  const colour = known.colours[emotion];
  const channels = [1, 3, 5].map((at) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
  return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 ? "#ffffff" : "#000000";
}

export const warningText = (name) => known.warnings[name] ?? t("warning.unknown", { name });
