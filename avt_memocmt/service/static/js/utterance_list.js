// All utterances as a list that can be searched; only the rows in sight are in the page.

import { h, t } from "./page.js";
import { clock, emotionName, percent, swatch } from "./wording.js";

const EXTRA = 6; // rows beyond those in sight

export class UtteranceList {
  /** `choose(index)` goes to an utterance. */
  constructor(root, search, count, prediction, choose) {
    Object.assign(this, { root, count, prediction, choose });
    this.rows = h("div", { class: "rows", role: "presentation" });
    this.drawn = new Map(); // the rows in the page, by their place in what was found
    this.rowHeight = this.height = 0;
    root.replaceChildren(this.rows);
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
    this.update();
    new ResizeObserver(() => this.#measure()).observe(root);
    this.#measure();
  }

  /** Show what changed in the prediction or in what is sought. */
  update() {
    const { utterances } = this.prediction;
    const all = utterances.map((_, index) => index);
    this.found = this.sought ? all.filter((index) => this.#told(utterances[index]).includes(this.sought)) : all;
    this.count.textContent = t("list.count", { count: this.found.length });
    this.#draw(true);
  }

  /** Mark an utterance and bring it into sight. */
  mark(index, isSpoken) {
    const places = [this.marked, index].map((one) => this.found.indexOf(one));
    [this.marked, this.isSpoken] = [index, isSpoken];
    const [top, bottom] = [places[1] * this.rowHeight, (places[1] + 1) * this.rowHeight];
    const { root, height } = this;
    if (places[1] >= 0 && top < root.scrollTop) root.scrollTop = top;
    else if (places[1] >= 0 && bottom > root.scrollTop + height) root.scrollTop = bottom - height;
    for (const place of places) {
      this.drawn.get(place)?.remove();
      this.drawn.delete(place);
    }
    this.#draw();
  }

  #told(spoken) {
    return [this.prediction.name(spoken.speaker), emotionName(spoken.emotion), spoken.text].join(" ").toLowerCase();
  }

  #drawSoon() {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.#draw());
  }

  /** Draw the rows in sight; those that stay in sight are kept, unless all are drawn anew. */
  #draw(isAnew = false) {
    const { found, root, rows, rowHeight } = this;
    const first = Math.max(0, Math.floor(root.scrollTop / rowHeight) - EXTRA);
    const last = Math.min(found.length, Math.ceil((root.scrollTop + this.height) / rowHeight) + EXTRA);
    if (isAnew) this.#clear();
    for (const [place, row] of this.drawn) {
      if (place >= first && place < last) continue;
      row.remove();
      this.drawn.delete(place);
    }
    for (let place = first; place < last; place += 1) {
      if (this.drawn.has(place)) continue;
      const row = this.#row(found[place], place);
      row.style.transform = `translateY(${place * rowHeight}px)`;
      this.drawn.set(place, row);
      rows.append(row);
    }
    const marked = this.drawn.get(found.indexOf(this.marked));
    if (marked) root.setAttribute("aria-activedescendant", marked.id);
    else root.removeAttribute("aria-activedescendant");
  }

  #clear() {
    this.drawn = new Map();
    this.rows.replaceChildren();
    this.rows.style.height = `${this.found.length * this.rowHeight}px`;
  }

  #measure() {
    this.height = this.root.clientHeight;
    const rowHeight = parseFloat(getComputedStyle(this.root).getPropertyValue("--row-height"));
    const isChanged = rowHeight !== this.rowHeight;
    this.rowHeight = rowHeight;
    this.#draw(isChanged);
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
    const page = Math.max(1, Math.floor(this.height / this.rowHeight) - 1);
    const place = { ArrowDown: here + 1, ArrowUp: here - 1, PageDown: here + page, PageUp: here - page, Home: 0, End: last }[event.key];
    if (place === undefined || last < 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.found[Math.min(Math.max(0, place), last)]);
  }
}
