// The utterance of the moment: emotion, words, what voice, face and words say on their own.

import { h, icon, known, t } from "./page.js";
import { clock, emotionName, percent, swatch, warningText } from "./wording.js";

const MODALITIES = ["audio", "visual", "text"];

export class MomentCard {
  /**
   * `correct(index, text, speaker)` decides again, `restore(index)` on what was recognised, which
   * `recognised(index)` is where it is no more shown; `explain(index)` shows why.
   */
  constructor(root, prediction, actions) {
    Object.assign(this, { root, prediction, ...actions });
    this.isEdited = false;
  }

  /** Show an utterance; while its words are corrected the card stays with it. */
  show(index, isSpoken) {
    this.root.classList.toggle("spoken", isSpoken || this.prediction.duration === 0);
    if (this.isEdited || (index === this.index && this.shown === this.prediction.utterances[index])) return;
    this.index = index;
    this.shown = this.prediction.utterances[index];
    if (!this.shown) return this.root.replaceChildren(h("p", { class: "soft" }, t("card.nothing")));
    this.#draw();
  }

  /** Show it anew, because the prediction changed. */
  update() {
    this.shown = null;
    this.show(this.index ?? 0, false);
  }

  #draw() {
    const spoken = this.shown;
    const { prediction } = this;
    const who = prediction.name(spoken.speaker);
    const times = prediction.duration ? `${clock(spoken.start, true)} – ${clock(spoken.end, true)}` : "";
    this.root.replaceChildren(
      h("p", { class: "eyebrow" }, [times, who].filter(Boolean).join(" · ")),
      h("h2", { class: "verdict" }, swatch(spoken.emotion), h("span", {}, emotionName(spoken.emotion)), h("span", { class: "chance" }, percent(spoken.confidence))),
      this.#words(),
      opinions(spoken),
      warnings(spoken.warnings),
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", id: "why", onclick: () => this.explain(this.index) }, icon("why"), t("card.why")),
        h("button", { type: "button", class: "quiet", id: "correct", onclick: () => this.#edit() }, icon("pen"), t("card.correct")),
      ),
    );
  }

  #words() {
    const { text, text_source: source } = this.shown;
    if (!text) return h("p", { class: "soft quote" }, t("list.no_words"));
    return h("blockquote", { class: "quote" }, text, source === "asr" ? h("span", { class: "source" }, ` ${t("card.recognised")}`) : "");
  }

  #edit() {
    const { prediction, shown, index } = this;
    this.isEdited = true;
    const text = h("textarea", { id: "edited-words", rows: "3", maxlength: "5000" }, shown.text);
    const speaker = h(
      "select",
      { id: "edited-speaker" },
      h("option", { value: "" }, t("edit.unknown")),
      prediction.speakers.map((who) => h("option", { value: who.id, selected: who.id === shown.speaker }, prediction.name(who.id))),
    );
    const close = () => {
      this.isEdited = false;
      this.shown = null;
      this.show(index, true);
      this.root.querySelector("#correct")?.focus();
    };
    const form = h(
      "form",
      { class: "edit" },
      h("p", { class: "eyebrow" }, `${clock(shown.start, true)} – ${clock(shown.end, true)}`),
      h("h2", {}, t("edit.title")),
      h("div", { class: "field" }, h("label", { for: "edited-words" }, t("edit.words")), text),
      prediction.speakers.length
        ? h("div", { class: "field" }, h("label", { for: "edited-speaker" }, t("edit.speaker")), speaker)
        : "",
      this.#first(close),
      h("p", { class: "soft small" }, t("edit.hint")),
      h("div", { class: "buttons" }, h("button", { type: "submit", class: "main" }, t("edit.save")), h("button", { type: "button", onclick: close }, t("dialog.cancel"))),
    );
    form.addEventListener("keydown", (event) => event.key === "Escape" && close());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = text.value.trim();
      const said = speaker.value || null;
      close();
      if (typed !== shown.text || said !== shown.speaker) this.correct(index, typed, said);
    });
    this.root.replaceChildren(form);
    text.focus();
  }

  /** What was recognised, and the button that restores it. */
  #first(close) {
    const { index } = this;
    const first = this.recognised(index);
    if (!first) return "";
    const restore = () => {
      close();
      this.restore(index);
    };
    const told = [this.prediction.name(first.speaker), first.text || t("list.no_words")].filter(Boolean).join(": ");
    return h(
      "div",
      { class: "recognised" },
      h("p", { class: "soft small", id: "recognised" }, t("edit.recognised", { words: told })),
      h("button", { type: "button", "aria-describedby": "recognised", onclick: restore }, t("edit.restore")),
    );
  }
}

/** A table: a row for each emotion, columns for the decision and each modality's own opinion. */
export function opinions(spoken) {
  const columns = [
    { name: t("card.decision"), note: "", values: spoken.probabilities },
    ...MODALITIES.map((modality) => {
      const use = spoken.modalities[modality];
      const note = use?.present ? t("card.counts", { share: percent(use.weight) }) : t("card.absent");
      return { name: t(`modality.${modality}`), note, values: use?.probabilities ?? null };
    }),
  ];
  return h(
    "table",
    { class: "opinions" },
    h("caption", { class: "unseen" }, t("card.opinions")),
    h("thead", {}, h("tr", {}, h("td"), columns.map((column) => h("th", { scope: "col" }, column.name, h("span", { class: "soft" }, column.note))))),
    h(
      "tbody",
      {},
      known.emotions.map((emotion) =>
        h("tr", {}, h("th", { scope: "row" }, emotionName(emotion)), columns.map(({ values }) => opinionCell(values, emotion))),
      ),
    ),
  );
}

function opinionCell(values, emotion) {
  if (!values) return h("td", { class: "none" }, h("span", { class: "unseen" }, t("card.absent")));
  const isHighest = values[emotion] === Math.max(...Object.values(values));
  return h("td", { class: isHighest ? "highest" : null, "--share": `${100 * values[emotion]}%`, "--emotion": `var(--${emotion})` }, h("span", {}, percent(values[emotion])));
}

/** Warnings in plain words. */
export function warnings(names) {
  if (!names.length) return "";
  return h("ul", { class: "warnings" }, names.map((name) => h("li", { class: "notice small" }, icon("warn"), h("span", {}, warningText(name)))));
}
