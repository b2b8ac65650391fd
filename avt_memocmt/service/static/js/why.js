// The explanation of one utterance, made when somebody asks for it.

import { call, jobPath } from "./api.js";
import { byId, h, iconButton, sentence, t } from "./page.js";
import { progressBar } from "./job_row.js";
import { clock, emotionName } from "./wording.js";

export class Why {
  constructor(jobId, prediction) {
    Object.assign(this, { jobId, prediction });
    this.dialog = byId("why-dialog");
    this.dialog.addEventListener("close", () => (this.index = null));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** Open the dialog on an utterance and ask for its explanation. */
  async open(index) {
    this.index = index;
    const spoken = this.prediction.utterances[index];
    const close = iconButton("close", t("dialog.close"), () => this.dialog.close());
    const times = `${clock(spoken.start, true)} – ${clock(spoken.end, true)}`;
    this.content = h("div", { class: "why-content", "aria-live": "polite" });
    this.dialog.replaceChildren(
      h("div", { class: "why-head" }, h("h2", { id: "why-title" }, t("why.title", { emotion: emotionName(spoken.emotion) })), close),
      h("p", { class: "soft" }, [times, this.prediction.name(spoken.speaker)].filter(Boolean).join(" · ")),
      this.content,
    );
    this.#showWaiting();
    if (!this.dialog.open) this.dialog.showModal();
    try {
      this.#show(await call("POST", `${jobPath(this.jobId)}/explanations`, { utterance: index }));
    } catch (refusal) {
      this.#showProblem(refusal.message);
    }
  }

  /** An explanation changed its state; `event` has job and utterance. */
  async heard(event) {
    if (event.job === this.jobId && event.utterance === this.index) await this.refresh();
  }

  /** Read the state anew, as after a lost connection. */
  async refresh() {
    if (this.index === null || this.index === undefined) return;
    try {
      this.#show(await call("GET", this.#path()));
    } catch (refusal) {
      this.#showProblem(refusal.message);
    }
  }

  #path() {
    return `${jobPath(this.jobId)}/explanations/${this.index}`;
  }

  #show({ state, error, explanation }) {
    if (state === "failed") return this.#showProblem(sentence(error));
    if (!explanation) return this.#showWaiting();
    const [faces, figures] = [true, false].map((isFace) =>
      explanation.figures.filter((name) => name.startsWith("face_") === isFace),
    );
    this.content.replaceChildren(
      ...explanation.sentences.map((text) => h("p", {}, text)),
      faces.length ? h("h3", {}, t("why.faces")) : "",
      faces.length
        ? h("div", { class: "figures", tabindex: "0", role: "region", "aria-label": t("why.faces") }, faces.map((name, index) => this.#figure(name, t("why.face", { number: index + 1 }))))
        : "",
      h("details", {}, h("summary", {}, t("why.details")), figures.map((name) => this.#figure(name, t("why.figure")))),
    );
  }

  #figure(name, description) {
    const address = `${this.#path()}/${encodeURIComponent(name)}`;
    return h("a", { href: address, target: "_blank", class: "figure" }, h("img", { src: address, alt: description, loading: "lazy" }));
  }

  #showWaiting() {
    this.content.replaceChildren(h("p", { class: "soft" }, t("why.waiting")), progressBar(t("why.waiting"), null));
  }

  #showProblem(text) {
    this.content.replaceChildren(h("p", { class: "notice bad" }, text));
  }
}
