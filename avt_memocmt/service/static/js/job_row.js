// One line of the list of work: name, state, what came of it.

import { h, iconButton, sentence, t } from "./page.js";
import { clock, emotionName, lasting, percent, when } from "./wording.js";

export class JobRow {
  /** `actions`: remove(job) and cancel(job). */
  constructor(job, actions) {
    this.element = h("li", {});
    this.actions = actions;
    this.update(job);
  }

  update(job) {
    const hadFocus = this.element.contains(document.activeElement);
    this.job = job;
    this.element.className = `job ${job.state}`;
    this.element.dataset.job = job.id;
    const button = this.#button();
    this.element.replaceChildren(
      h("div", {}, this.#name(), h("p", { class: "facts" }, this.#facts())),
      this.#state(),
      button,
      job.error ? h("p", { class: "problem" }, sentence(job.error)) : "",
    );
    if (hadFocus) button.focus();
    return this;
  }

  #name() {
    const { id, name, state } = this.job;
    const isOpen = state === "completed" || state === "in_progress" || state === "queued";
    return isOpen
      ? h("a", { class: "name", href: `/jobs/${encodeURIComponent(id)}` }, name)
      : h("span", { class: "name" }, name);
  }

  #facts() {
    const { created, duration, kind } = this.job;
    const parts = [when(created)];
    if (kind) parts.push(t(`kind.${kind}`));
    if (duration) parts.push(clock(duration));
    return parts.join(" · ");
  }

  #state() {
    const { state, emotions, progress } = this.job;
    if (state === "completed" && emotions) return h("div", { class: "state" }, shareBar(emotions), told(emotions));
    const parts = [h("span", {}, this.#stateText())];
    if (state === "in_progress" || state === "queued") {
      const isKnown = state === "in_progress" && progress !== null;
      parts.push(progressBar(t("job.progress", { name: this.job.name }), isKnown ? progress : null));
    }
    return h("div", { class: "state" }, parts);
  }

  #stateText() {
    const { state, progress } = this.job;
    if (state !== "in_progress" || progress === null) return t(`state.${state}`);
    return progressText(this.job);
  }

  #button() {
    const { job, actions } = this;
    const isWaiting = job.state === "queued" || job.state === "in_progress";
    return isWaiting
      ? iconButton("close", t("job.cancel", { name: job.name }), () => actions.cancel(job))
      : iconButton("bin", t("job.delete", { name: job.name }), () => actions.remove(job));
  }
}

/** How far a job is whose progress is known, and how long it still takes where that is known. */
export function progressText({ progress, seconds_left: left }) {
  const share = percent(progress);
  return left === null ? t("job.at", { share }) : t("job.left", { share, left: lasting(left) });
}

/** A bar of a share, 0 to 1, or of unknown length where it is null. */
export function progressBar(label, share) {
  const bar = { class: "progress", role: "progressbar", "aria-label": label };
  if (share === null) return h("span", { ...bar, class: "progress waiting" }, h("span"));
  const done = Math.round(100 * share);
  return h("span", { ...bar, "aria-valuenow": `${done}`, "aria-valuemin": "0", "aria-valuemax": "100" }, h("span", { "--done": `${done}%` }));
}

function shareBar(emotions) {
  const ranked = Object.entries(emotions).sort((one, other) => other[1] - one[1]);
  return h(
    "div",
    { class: "shares", "aria-hidden": "true" },
    ranked.map(([emotion, share]) =>
      h("span", { class: emotion, "--emotion": `var(--${emotion})`, "--share": `${100 * share}%` }),
    ),
  );
}

function told(emotions) {
  const ranked = Object.entries(emotions).sort((one, other) => other[1] - one[1]).slice(0, 3);
  return h("p", { class: "told" }, ranked.map(([name, share]) => `${emotionName(name)} ${percent(share)}`).join(", "));
}
