// To the strongest moment of each emotion; the same button again goes to the next strongest.

import { announce, h, known, t } from "./page.js";
import { clock, emotionName, percent, swatch } from "./wording.js";

export class Jumps {
  /** `choose(index)` goes to an utterance. */
  constructor(root, told, prediction, choose) {
    Object.assign(this, { told, prediction, choose });
    this.place = new Map();
    root.replaceChildren(
      ...known.emotions
        .filter((emotion) => emotion !== "neutral")
        .concat("neutral")
        .map((emotion) => h("li", {}, h("button", { type: "button", "data-emotion": emotion, "aria-label": t(`moment.${emotion}`), onclick: () => this.#jump(emotion) }, swatch(emotion), t(`jump.${emotion}`)))),
    );
  }

  #jump(emotion) {
    const ranked = this.prediction.strongest(emotion);
    if (!ranked.length) return;
    const place = this.last === emotion ? ((this.place.get(emotion) ?? -1) + 1) % ranked.length : 0;
    this.last = emotion;
    this.place.set(emotion, place);
    const index = ranked[place];
    this.choose(index);
    const spoken = this.prediction.utterances[index];
    const chance = spoken.probabilities[emotion];
    const gaps = { name: emotionName(emotion), chance: percent(chance), time: clock(spoken.start), place: place + 1, all: ranked.length };
    const isDecided = chance === Math.max(...Object.values(spoken.probabilities));
    const text = t(!isDecided ? "jump.never" : ranked.length === 1 ? "jump.only" : "jump.told", gaps);
    this.told.textContent = text;
    announce(text);
  }
}
