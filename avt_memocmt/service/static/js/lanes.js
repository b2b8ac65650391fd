// A lane for each speaker: who it is beside a stretch of the film that can be moved and enlarged.

import { jobPath } from "./api.js";
import { h, icon, iconButton, known, t } from "./page.js";
import { likeliest } from "./prediction.js";
import { drawTicks, inks, prepared } from "./time_axis.js";
import { clock, emotionName, inkOn, percent } from "./wording.js";

const LANE = 52;
const PAD = 7;
const AXIS = 22;
const FIRST_SPAN = 120; // seconds shown at first of a longer film
const SHORTEST = 4; // seconds, enlarged as far as it goes
const NARROW = 12; // pixels; where most bars are narrower, their height says which emotion it is
const NEAR = 4; // pixels by which a click may miss

export class Lanes {
  /** `rename(speaker, name)` saves a name, "" the recognised one; `onWindow(from, to)` hears of each move. */
  constructor(root, jobId, prediction, film, { rename, onWindow }) {
    Object.assign(this, { jobId, prediction, film, rename, onWindow });
    this.from = 0;
    this.to = Math.min(prediction.duration, FIRST_SPAN);
    this.heads = h("ul", { class: "lane-heads", "aria-label": t("lanes.people") });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.playhead = h("div", { class: "playhead" });
    this.hint = h("div", { class: "hint-box", hidden: true });
    this.track = h("div", { class: "lane-track" }, this.canvas, this.playhead, this.hint);
    root.replaceChildren(this.heads, this.track);
    this.#listen();
    this.update();
    new ResizeObserver(() => this.draw()).observe(this.track);
    document.addEventListener("themechange", () => this.draw());
  }

  /** Show what changed in the prediction. */
  update() {
    this.draw();
    if (this.heads.querySelector("input")) return; // a name is being typed
    const focused = [...this.heads.children].findIndex((head) => head.contains(document.activeElement));
    this.heads.replaceChildren(...this.prediction.lanes.map((lane) => this.#head(lane)));
    this.heads.children[focused]?.querySelector("button")?.focus();
  }

  draw() {
    const width = this.track.clientWidth;
    if (!width) return;
    this.width = width;
    const { lanes } = this.prediction;
    const height = LANE * lanes.length;
    const context = prepared(this.canvas, width, height + AXIS);
    const colours = inks();
    context.fillStyle = colours.line;
    lanes.forEach((_, row) => context.fillRect(0, row * LANE, width, 1));
    drawTicks(context, { from: this.from, to: this.to, width, height: height + 4, labelY: height + 17, colours });
    const shown = lanes.map((lane) => lane.indices.filter((index) => this.#isShown(index)));
    const widths = shown.flat().map((index) => this.#bar(index)[1]);
    this.isDense = widths.filter((wide) => wide < NARROW).length > widths.length / 2;
    shown.forEach((indices, row) => {
      for (const index of indices) this.#drawBar(context, row * LANE, index, colours);
    });
    this.show(this.film.time);
    this.onWindow(this.from, this.to);
  }

  /** Mark an utterance. */
  mark(index) {
    this.marked = index;
    this.#drawSoon();
  }

  /** Show the moment; the window goes along while it plays. */
  show(time) {
    const isInside = time >= this.from && time <= this.to;
    this.playhead.hidden = !isInside;
    this.playhead.style.transform = `translateX(${this.#x(time)}px)`;
  }

  /** Bring a moment into the window. */
  reach(time) {
    if (time >= this.from && time <= this.to) return;
    this.#move(time - 0.1 * (this.to - this.from), this.to - this.from);
  }

  /** Show more or less; 0.5 shows half as much, Infinity all. */
  zoom(factor, centre = this.#centre()) {
    const span = Math.min(this.prediction.duration, Math.max(SHORTEST, (this.to - this.from) * factor));
    const share = (centre - this.from) / (this.to - this.from);
    this.#move(Number.isFinite(factor) ? centre - share * span : 0, span);
  }

  #centre() {
    const time = this.film.time;
    return time >= this.from && time <= this.to ? time : (this.from + this.to) / 2;
  }

  #move(from, span) {
    const { duration } = this.prediction;
    const fitting = Math.min(span, duration);
    this.from = Math.min(Math.max(0, from), duration - fitting);
    this.to = this.from + fitting;
    this.hint.hidden = true;
    this.#drawSoon();
  }

  #drawSoon() {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.draw());
  }

  #x(time) {
    return ((time - this.from) / (this.to - this.from)) * (this.width ?? 0);
  }

  #isShown(index) {
    const spoken = this.prediction.utterances[index];
    return spoken.end >= this.from && spoken.start <= this.to;
  }

  #bar(index) {
    const spoken = this.prediction.utterances[index];
    const left = this.#x(spoken.start);
    return [left, Math.max(2, this.#x(spoken.end) - left - 1)];
  }

  #drawBar(context, top, index, colours) {
    const spoken = this.prediction.utterances[index];
    const [left, wide] = this.#bar(index);
    const isUncertain = spoken.emotion === known.uncertain;
    let [y, high] = [top + PAD, LANE - 2 * PAD];
    if (this.isDense) {
      high = (LANE - 2 * PAD) / known.emotions.length;
      y += high * known.emotions.indexOf(likeliest(spoken.probabilities));
    }
    context.beginPath();
    context.roundRect(left, y, wide, high, Math.min(4, wide / 2, high / 2));
    context.fillStyle = isUncertain ? colours.well : known.colours[spoken.emotion];
    context.fill();
    if (isUncertain && !this.isDense) {
      context.setLineDash([4, 3]);
      context.strokeStyle = colours.soft;
      context.lineWidth = 1;
      context.stroke();
      context.setLineDash([]);
    }
    if (index === this.marked) {
      context.strokeStyle = colours.ink;
      context.lineWidth = 2.5;
      context.beginPath();
      context.roundRect(left - 2.5, y - 3.5, wide + 5, high + 7, 6);
      context.stroke();
    }
    if (!this.isDense) this.#label(context, spoken, [left, y, wide, high], isUncertain ? colours.ink : inkOn(spoken.emotion), colours);
  }

  #label(context, spoken, [left, top, wide, high], ink, colours) {
    const visible = Math.min(left + wide, this.width) - Math.max(0, left);
    const x = Math.max(0, left) + 7;
    context.fillStyle = ink;
    context.textBaseline = "middle";
    context.font = `600 12px ${colours.family}`;
    const name = emotionName(spoken.emotion);
    const texts = [`${name} ${percent(spoken.confidence)}`, name, name.slice(0, 3)];
    const text = texts.find((one) => context.measureText(one).width <= visible - 12);
    if (text) context.fillText(text, x, top + high / 2 + 0.5);
  }

  #head(lane) {
    const { prediction } = this;
    const name = prediction.laneName(lane);
    const picture = lane.face
      ? h("img", { class: "thumbnail", src: `${jobPath(this.jobId)}/faces/${lane.face}`, alt: "", width: "36", height: "36" })
      : h("span", { class: "thumbnail" }, icon("voice"));
    const title = lane.id === null ? h("span", { class: "who" }, name) : this.#nameButton(lane, name);
    const facts = h("span", { class: "soft small" }, t("lane.share", { share: percent(lane.share), time: clock(lane.seconds) }));
    return h("li", { class: "lane-head" }, picture, h("div", {}, title, facts));
  }

  #nameButton(lane, name) {
    const label = t("lane.rename", { name });
    return h(
      "button",
      { type: "button", class: "who", "aria-label": label, title: label, onclick: (event) => this.#editName(event.currentTarget, lane, name) },
      h("span", {}, name),
      icon("pen"),
    );
  }

  #editName(button, lane, name) {
    const field = h("input", { type: "text", value: name, "aria-label": t("lane.new_name", { name }), placeholder: t("lane.recognised"), title: t("lane.empty"), maxlength: "80", class: "who" });
    let isDone = false;
    const finish = async (isKept) => {
      if (isDone) return;
      isDone = true;
      const typed = field.value.trim();
      field.replaceWith(button);
      button.focus();
      if (isKept && typed !== name) await this.rename(lane.id, typed);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // else Enter presses the button that takes the field's place
      finish(event.key === "Enter");
    });
    field.addEventListener("blur", () => finish(true));
    button.replaceWith(field);
    field.focus();
    field.select();
  }

  /** The utterance at a place of the track, or null. */
  #hit(event) {
    const box = this.track.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const lane = this.prediction.lanes[Math.floor(y / LANE)];
    if (!lane) return null;
    const found = lane.indices.find((index) => {
      const [left, wide] = this.#bar(index);
      return x >= left - NEAR && x <= left + wide + NEAR;
    });
    return found ?? null;
  }

  #listen() {
    const { track } = this;
    track.addEventListener("click", (event) => {
      const index = this.#hit(event);
      const box = track.getBoundingClientRect();
      const there = this.from + ((event.clientX - box.left) / box.width) * (this.to - this.from);
      this.film.seek(index === null ? there : this.prediction.utterances[index].start);
    });
    track.addEventListener("pointermove", (event) => this.#showHint(event));
    track.addEventListener("pointerleave", () => (this.hint.hidden = true));
    track.addEventListener(
      "wheel",
      (event) => {
        const span = this.to - this.from;
        const box = track.getBoundingClientRect();
        const along = event.shiftKey ? event.deltaY : event.deltaX;
        if (event.ctrlKey) this.zoom(2 ** (event.deltaY / 200), this.from + ((event.clientX - box.left) / box.width) * span);
        else if (along && Math.abs(along) >= Math.abs(event.shiftKey ? 0 : event.deltaY)) this.#move(this.from + (along / box.width) * span, span);
        else return;
        event.preventDefault();
      },
      { passive: false },
    );
  }

  #showHint(event) {
    const index = event.pointerType === "touch" ? null : this.#hit(event);
    this.hint.hidden = index === null;
    this.track.classList.toggle("over", index !== null);
    if (index === null) return;
    const spoken = this.prediction.utterances[index];
    this.hint.replaceChildren(
      h("strong", {}, `${emotionName(spoken.emotion)} ${percent(spoken.confidence)}`),
      h("span", { class: "soft" }, ` ${clock(spoken.start, true)}–${clock(spoken.end, true)}`),
      spoken.text ? h("p", {}, spoken.text) : "",
    );
    const box = this.track.getBoundingClientRect();
    const left = Math.min(Math.max(0, event.clientX - box.left + 12), box.width - this.hint.offsetWidth - 4);
    this.hint.style.transform = `translate(${left}px, ${event.clientY - box.top + 14}px)`;
  }
}

/** The buttons that enlarge the lanes. */
export function zoomButtons(lanes) {
  return [
    iconButton("minus", t("lanes.less"), () => lanes.zoom(2)),
    iconButton("plus", t("lanes.more"), () => lanes.zoom(0.5)),
    iconButton("fit", t("lanes.all"), () => lanes.zoom(Infinity)),
  ];
}
