// What was recognised before any correction, and the way back to it.

import { byId, h, t } from "./page.js";
import { call } from "./api.js";

export class Corrections {
  /** `restore()` takes everything back. */
  constructor(path, root, restore) {
    Object.assign(this, { path, root });
    root.replaceChildren(
      h("div", {}, t("restore.notice")),
      h("button", { type: "button", onclick: restore }, t("restore.all")),
    );
  }

  /** Say whether anything differs from what was recognised; a job that was never corrected is not asked. */
  async update(job, prediction) {
    this.prediction = prediction;
    if (job.revision > 0) this.first ??= await call("GET", `${this.path}/recognised`).catch(() => null);
    const hadFocus = this.root.contains(document.activeElement);
    this.root.hidden = !this.first || !this.#differs();
    if (hadFocus && this.root.hidden) byId("name").focus();
  }

  /** An utterance as it was recognised; null where it still is so, or that is not known. */
  of(index) {
    const [first, now] = [this.first?.utterances[index], this.prediction?.utterances[index]];
    return first && (first.text !== now.text || first.speaker !== now.speaker) ? first : null;
  }

  #differs() {
    const { utterances, speakers } = this.prediction;
    const names = new Map(this.first.speakers.map((who) => [who.id, who.name]));
    return utterances.some((_, index) => this.of(index)) || speakers.some((who) => who.name !== (names.get(who.id) ?? null));
  }
}
