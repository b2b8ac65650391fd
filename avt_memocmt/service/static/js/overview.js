// The whole film at a glance: a row for each emotion, and a slider for the moment.

import { h, known, t } from "./page.js";
import { likeliest } from "./prediction.js";
import { drawTicks, inks, prepared } from "./time_axis.js";
import { clock, emotionName, percent, swatch } from "./wording.js";

const ROW = 14;
const AXIS = 20;
const JUMP = 30; // seconds of PageUp and PageDown

export class Overview {
  /** `film` is sought by pointer and keys. */
  constructor(root, prediction, film) {
    this.prediction = prediction;
    this.film = film;
    this.rows = [...known.emotions];
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.window = h("div", { class: "window" });
    this.playhead = h("div", { class: "playhead" });
    this.slider = h(
      "div",
      { class: "overview-track", role: "slider", tabindex: "0", "aria-label": t("timeline.moment"), "aria-valuemin": "0", "aria-valuemax": `${Math.round(prediction.duration)}` },
      this.canvas,
      this.window,
      this.playhead,
    );
    this.names = h("ul", { class: "overview-names" });
    root.replaceChildren(this.names, this.slider);
    this.#listen();
    this.update();
    new ResizeObserver(() => this.draw()).observe(this.slider);
    document.addEventListener("themechange", () => this.draw());
  }

  /** Show what changed in the prediction. */
  update() {
    const shares = this.prediction.shares();
    this.names.replaceChildren(
      ...this.rows.map((emotion) =>
        h("li", {}, swatch(emotion), h("span", {}, emotionName(emotion)), h("span", { class: "soft" }, percent(shares.get(emotion)))),
      ),
    );
    this.draw();
  }

  draw() {
    const width = this.slider.clientWidth;
    if (!width) return;
    const { duration, utterances } = this.prediction;
    const height = ROW * this.rows.length;
    const context = prepared(this.canvas, width, height + AXIS);
    const colours = inks();
    context.fillStyle = colours.well;
    for (let row = 0; row < this.rows.length; row += 2) context.fillRect(0, row * ROW, width, ROW);
    drawTicks(context, { from: 0, to: duration, width, height: height + 3, labelY: height + 16, colours });
    for (const spoken of utterances) {
      const isUncertain = spoken.emotion === known.uncertain;
      const emotion = isUncertain ? likeliest(spoken.probabilities) : spoken.emotion;
      const x = (spoken.start / duration) * width;
      const wide = Math.max(1.5, ((spoken.end - spoken.start) / duration) * width - 0.5);
      context.globalAlpha = 0.4 + 0.6 * spoken.confidence;
      context.fillStyle = known.colours[emotion];
      const y = this.rows.indexOf(emotion) * ROW;
      if (isUncertain) context.fillRect(x, y + ROW / 2 - 1, wide, 2);
      else context.fillRect(x, y + 2, wide, ROW - 4);
    }
    context.globalAlpha = 1;
    this.width = width;
    this.show(this.film.time);
  }

  /** Show the moment. */
  show(time) {
    const { duration } = this.prediction;
    this.playhead.style.transform = `translateX(${(time / duration) * (this.width ?? 0)}px)`;
    const second = Math.round(time);
    if (second !== this.second) {
      this.second = second;
      this.slider.setAttribute("aria-valuenow", `${second}`);
      this.slider.setAttribute("aria-valuetext", this.#told(time));
    }
  }

  /** Show which stretch the lanes show. */
  showWindow(from, to) {
    const { duration } = this.prediction;
    this.window.hidden = to - from >= duration - 0.01;
    this.window.style.left = `${(100 * from) / duration}%`;
    this.window.style.width = `${(100 * (to - from)) / duration}%`;
  }

  #told(time) {
    const { prediction } = this;
    const index = prediction.indexAt(time);
    const spoken = prediction.utterances[index];
    if (!prediction.isSpokenAt(index, time)) return clock(time);
    return [clock(time), prediction.name(spoken.speaker), emotionName(spoken.emotion), percent(spoken.confidence)]
      .filter(Boolean)
      .join(", ");
  }

  #listen() {
    const { slider, film, prediction } = this;
    const seek = (event) => {
      const box = slider.getBoundingClientRect();
      film.seek(((event.clientX - box.left) / box.width) * prediction.duration);
    };
    slider.addEventListener("pointerdown", (event) => {
      slider.setPointerCapture(event.pointerId);
      seek(event);
    });
    slider.addEventListener("pointermove", (event) => {
      if (slider.hasPointerCapture(event.pointerId)) seek(event);
    });
    slider.addEventListener("keydown", (event) => {
      const time = {
        Home: 0,
        End: prediction.duration,
        PageUp: film.time + JUMP,
        PageDown: film.time - JUMP,
      }[event.key];
      if (time === undefined) return;
      event.preventDefault();
      film.seek(time);
    });
  }
}

