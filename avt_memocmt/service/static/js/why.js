// The explanation of one utterance, made when somebody asks for it.

import { call, jobPath } from "./api.js";
import { byId, h, iconButton, sentence, t } from "./page.js";
import { progressBar } from "./job_row.js";
import { clock, emotionName, percent } from "./wording.js";

const ASKED = { state: "asked", before: 0, progress: null };
const ENDED = ["completed", "failed", "cancelled"];

export class Why {
  constructor(jobId, prediction) {
    Object.assign(this, { jobId, prediction, index: null, state: null });
    this.dialog = byId("why-dialog");
    this.dialog.addEventListener("close", () => (this.index = null));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** Open the dialog on an utterance and ask for its explanation. */
  async open(index) {
    this.index = index;
    const spoken = this.prediction.utterances[index];
    const times = `${clock(spoken.start, true)} – ${clock(spoken.end, true)}`;
    this.close = iconButton("close", t("dialog.close"), () => this.dialog.close());
    this.waiting = h("div", { class: "why-content" });
    this.content = h("div", { class: "why-content", "aria-live": "polite" });
    this.dialog.replaceChildren(
      h("div", { class: "why-head" }, h("h2", { id: "why-title" }, t("why.title", { emotion: emotionName(spoken.emotion) })), this.close),
      h("p", { class: "soft" }, [times, this.prediction.name(spoken.speaker)].filter(Boolean).join(" · ")),
      this.waiting,
      this.content,
    );
    this.#prepareWaiting();
    this.#show(ASKED);
    if (this.dialog.open) this.close.focus();
    else this.dialog.showModal();
    await this.#ask("POST", `${jobPath(this.jobId)}/explanations`, { utterance: index });
  }

  /** An explanation changed its state; `event` has job, utterance, state and progress. */
  async heard(event) {
    const isOurs = event.job === this.jobId && event.utterance === this.index;
    const isAtWork = event.state === "in_progress";
    if (isOurs && isAtWork) this.#show({ ...event, before: 0 });
    else if (isOurs || (this.state === "queued" && !isAtWork)) await this.refresh();
  }

  /** Read the state anew, as after a lost connection. */
  async refresh() {
    if (this.index !== null) await this.#ask("GET", this.#path());
  }

  /** The prediction is another one: ask for its explanation where one is still waited for. */
  async renew() {
    if (this.index !== null && this.isWaiting) await this.open(this.index);
  }

  get isWaiting() {
    return !ENDED.includes(this.state);
  }

  #path() {
    return `${jobPath(this.jobId)}/explanations/${this.index}`;
  }

  /** Show the answer of a call, unless the dialog shows another utterance by then. */
  async #ask(method, path, body) {
    const { index, waiting } = this;
    const isShown = () => this.index === index && this.waiting === waiting;
    try {
      const answer = await call(method, path, body);
      if (isShown()) this.#show(answer);
    } catch (refusal) {
      if (isShown()) this.#showProblem(refusal.message);
    }
  }

  #show({ state, before, progress, error, explanation }) {
    this.state = state;
    if (state === "failed") return this.#showProblem(sentence(error));
    if (state === "cancelled") return this.#showStopped();
    if (!explanation) return this.#showWaiting(before, progress);
    const [faces, figures] = [true, false].map((isFace) =>
      explanation.figures.filter((name) => name.startsWith("face_") === isFace),
    );
    this.#fill(
      explanation.sentences.map((text) => h("p", {}, text)),
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

  /** What is shown while it is made; of it the words alone are a live region, and only as they change. */
  #prepareWaiting() {
    this.told = h("p", { class: "soft", role: "status" });
    this.bar = progressBar(t("why.progress"), null);
    this.share = h("span", { class: "soft", "aria-hidden": "true" });
    this.waiting.replaceChildren(
      this.told,
      h("div", { class: "why-progress" }, this.bar, this.share),
      h("p", { class: "soft" }, t("why.leave")),
      h("button", { type: "button", onclick: () => this.#stop() }, t("why.stop")),
    );
  }

  #showWaiting(before, progress) {
    const text = waitingText(before, progress);
    if (this.told.textContent !== text) this.told.textContent = text;
    const share = progress !== null && progress < 1 ? progress : null;
    const bar = progressBar(t("why.progress"), share);
    this.bar.replaceWith(bar);
    this.bar = bar;
    this.share.textContent = share === null ? "" : percent(share);
  }

  async #stop() {
    const path = `${this.#path()}/cancel`;
    this.dialog.close();
    await call("POST", path).catch(() => null); // it is made, or gone: nothing is left to stop
  }

  #showStopped() {
    this.#fill(
      h("p", { class: "notice" }, t("why.stopped")),
      h("button", { type: "button", onclick: () => this.open(this.index) }, t("why.again")),
    );
  }

  #showProblem(text) {
    this.state = "failed";
    this.#fill(h("p", { class: "notice bad" }, text));
  }

  /** Show this in place of the waiting. */
  #fill(...parts) {
    const hadFocus = this.waiting.contains(document.activeElement);
    this.waiting.replaceChildren();
    this.content.replaceChildren(...parts.flat());
    if (hadFocus) this.close.focus();
  }
}

function waitingText(before, progress) {
  if (before > 0) return t("why.before", { count: before });
  if (progress === null) return t("why.preparing");
  return t(progress < 1 ? "why.reading" : "why.drawing");
}
