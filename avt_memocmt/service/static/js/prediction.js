// A prediction as the page asks it: who is called what, what is said when, where an emotion is strongest.

import { known, t } from "./page.js";

const TOLERANCE = 0.02; // seconds by which a player may stop before the place it was sent to

export class Prediction {
  /** `json` is the object of `predict --json`. */
  constructor(json) {
    this.utterances = json.utterances;
    this.speakers = json.speakers;
    this.faces = json.faces;
    this.warnings = json.warnings;
    this.duration = this.utterances.reduce((end, spoken) => Math.max(end, spoken.end), json.duration);
    this.byId = new Map(json.speakers.map((who) => [who.id, who]));
    this.ranked = new Map();
    this.lanes = this.#lanes();
    this.laneOf = new Map(this.lanes.flatMap((lane, row) => lane.indices.map((index) => [index, row])));
  }

  /** What a speaker is called; "" where who speaks is not known. */
  name(id) {
    const who = this.byId.get(id);
    return who ? (who.name ?? who.id) : "";
  }

  /** What a face is called: as who speaks with it, or its own id. */
  faceName(id) {
    const who = this.speakers.find((speaker) => speaker.face === id);
    return who ? this.name(who.id) : id;
  }

  /** The index of the utterance at a time, or of the last before it; 0 before the first. */
  indexAt(time) {
    let [low, high] = [0, this.utterances.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.utterances[middle].start <= time + TOLERANCE) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  isSpokenAt(index, time) {
    const spoken = this.utterances[index];
    return spoken && time >= spoken.start - TOLERANCE && time < spoken.end;
  }

  /** Each emotion's share of the time of the utterances. */
  shares() {
    const seconds = new Map([...known.emotions, known.uncertain].map((emotion) => [emotion, 0]));
    const total = this.utterances.reduce((sum, spoken) => {
      const length = spoken.end - spoken.start;
      seconds.set(spoken.emotion, seconds.get(spoken.emotion) + length);
      return sum + length;
    }, 0);
    return new Map([...seconds].map(([emotion, length]) => [emotion, total ? length / total : 0]));
  }

  /**
   * Indices of the utterances in which an emotion is strongest, the strongest first: those that it
   * was decided for, or else the single one in which it is likeliest.
   */
  strongest(emotion) {
    if (!this.ranked.has(emotion)) this.ranked.set(emotion, this.#rank(emotion));
    return this.ranked.get(emotion);
  }

  #rank(emotion) {
    const chance = (index) => this.utterances[index].probabilities[emotion];
    const ranked = this.utterances.map((_, index) => index).sort((one, other) => chance(other) - chance(one));
    const decided = ranked.filter((index) => likeliest(this.utterances[index].probabilities) === emotion);
    return decided.length ? decided : ranked.slice(0, 1);
  }

  #lanes() {
    const lanes = this.speakers.map((who) => ({ id: who.id, face: who.face, indices: [], seconds: 0 }));
    const rows = new Map(lanes.map((lane) => [lane.id, lane]));
    const unknown = { id: null, face: null, indices: [], seconds: 0 };
    this.utterances.forEach((spoken, index) => {
      const lane = rows.get(spoken.speaker) ?? unknown;
      lane.indices.push(index);
      lane.seconds += spoken.end - spoken.start;
    });
    const shown = unknown.indices.length ? [...lanes, unknown] : lanes;
    const total = shown.reduce((sum, lane) => sum + lane.seconds, 0);
    return shown.map((lane) => ({ ...lane, share: total ? lane.seconds / total : 0 }));
  }

  /** The heading of a lane. */
  laneName(lane) {
    if (lane.id !== null) return this.name(lane.id);
    return t(this.speakers.length ? "lane.unknown" : "lane.everybody");
  }
}

/** The likeliest emotion of probabilities by name. */
export function likeliest(probabilities) {
  return known.emotions.reduce((best, name) => (probabilities[name] > probabilities[best] ? name : best));
}
