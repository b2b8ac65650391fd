// All utterances as a list that can be searched; only the rows in sight are in the page.

import { h, t } from "./page.js";
import { clock, emotionName, percent, swatch } from "./wording.js";

const EXTRA = 6; // rows beyond those in sight

export class UtteranceList {
  /** `choose(index)` goes to an utterance. */
  constructor(root, search, count, prediction, choose) {
    Object.assign(this, { root, count, prediction, choose });
    this.rows = h("div", { class: "rows", role: "presentation" });
    this.space = h("div", { class: "space", role: "presentation" }, this.rows);
    root.replaceChildren(this.space);
    this.sought = "";
    search.addEventListener("input", () => {
      this.sought = search.value.trim().toLowerCase();
      this.update();
    });
    root.addEventListener("scroll", () => this.#drawSoon(), { passive: true });
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) this.choose(Number(row.dataset.index));
    });
    new ResizeObserver(() => this.#drawSoon()).observe(root);
    this.update();
  }

  /** Show what changed in the prediction or in what is sought. */
  update() {
    const { utterances } = this.prediction;
    const all = utterances.map((_, index) => index);
    this.found = this.sought ? all.filter((index) => this.#told(utterances[index]).includes(this.sought)) : all;
    this.count.textContent = t("list.count", { count: this.found.length });
    this.range = null;
    this.#draw();
  }

  /** Mark an utterance and bring it into sight. */
  mark(index, isSpoken) {
    this.marked = index;
    this.isSpoken = isSpoken;
    const place = this.found.indexOf(index);
    this.range = null;
    if (place < 0) return this.#draw();
    const high = this.#rowHeight();
    const [top, bottom] = [place * high, (place + 1) * high];
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    else if (bottom > this.root.scrollTop + this.root.clientHeight) this.root.scrollTop = bottom - this.root.clientHeight;
    this.#draw();
  }

  #told(spoken) {
    return [this.prediction.name(spoken.speaker), emotionName(spoken.emotion), spoken.text].join(" ").toLowerCase();
  }

  #rowHeight() {
    return parseFloat(getComputedStyle(this.root).getPropertyValue("--row-height")) || 56;
  }

  #drawSoon() {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const high = this.#rowHeight();
    const { found, root } = this;
    const first = Math.max(0, Math.floor(root.scrollTop / high) - EXTRA);
    const last = Math.min(found.length, Math.ceil((root.scrollTop + root.clientHeight) / high) + EXTRA);
    const range = `${first} ${last}`;
    if (range === this.range) return;
    this.range = range;
    this.space.style.height = `${found.length * high}px`;
    this.rows.style.transform = `translateY(${first * high}px)`;
    this.rows.replaceChildren(...found.slice(first, last).map((index, at) => this.#row(index, first + at)));
    const isMarkedHere = this.rows.querySelector("[aria-selected=true]");
    if (isMarkedHere) root.setAttribute("aria-activedescendant", isMarkedHere.id);
    else root.removeAttribute("aria-activedescendant");
  }

  #row(index, place) {
    const spoken = this.prediction.utterances[index];
    const isMarked = index === this.marked;
    return h(
      "div",
      {
        class: `row${isMarked && this.isSpoken ? " spoken" : ""}`,
        role: "option",
        id: `utterance-${index}`,
        "aria-selected": `${isMarked}`,
        "aria-setsize": `${this.found.length}`,
        "aria-posinset": `${place + 1}`,
        "data-index": `${index}`,
      },
      h("span", { class: "time" }, clock(spoken.start)),
      h("span", { class: "speaker" }, this.prediction.name(spoken.speaker)),
      h("span", { class: "emotion" }, swatch(spoken.emotion), `${emotionName(spoken.emotion)} ${percent(spoken.confidence)}`),
      h("span", { class: spoken.text ? "words" : "words soft" }, spoken.text || t("list.no_words")),
    );
  }

  #key(event) {
    const here = this.found.indexOf(this.marked);
    const last = this.found.length - 1;
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.#rowHeight()) - 1);
    const place = { ArrowDown: here + 1, ArrowUp: here - 1, PageDown: here + page, PageUp: here - page, Home: 0, End: last }[event.key];
    if (place === undefined || last < 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.found[Math.min(Math.max(0, place), last)]);
  }
}
