// Boxes around the faces of the moment, drawn over the film where its pictures were read.

import { known } from "./page.js";
import { likeliest } from "./prediction.js";
import { inks, prepared } from "./time_axis.js";
import { emotionName, inkOn } from "./wording.js";

const REACH = 0.3; // seconds from a picture that was read, within which its box is shown
const GAP = 0.6; // seconds between two such pictures, across which a box moves evenly

export class FaceBoxes {
  #tracks = new Map();
  #picture = null;

  constructor(canvas, prediction) {
    this.canvas = canvas;
    this.prediction = prediction;
    this.isOn = true;
    const stage = canvas.parentElement; // whose size the canvas takes only when it is drawn anew
    new ResizeObserver(() => {
      [this.width, this.height] = [stage.clientWidth, stage.clientHeight];
      this.show(this.time ?? 0);
    }).observe(stage);
  }

  /** Take `GET .../frames`: rows of time, left, top, width, height, face, whether it speaks. */
  take({ picture, faces }) {
    this.#picture = picture;
    for (const [time, left, top, width, height, id] of faces) {
      if (!this.#tracks.has(id)) this.#tracks.set(id, []);
      this.#tracks.get(id).push([time, left, top, width, height]);
    }
    this.show(this.time ?? 0);
  }

  show(time) {
    this.time = time;
    const { width, height } = this;
    if (!width) return;
    const context = prepared(this.canvas, width, height);
    if (!this.isOn || !this.#picture) return;
    const [pictureWidth, pictureHeight] = this.#picture;
    const zoom = Math.min(width / pictureWidth, height / pictureHeight);
    context.translate((width - pictureWidth * zoom) / 2, (height - pictureHeight * zoom) / 2);
    const spoken = this.prediction.utterances[this.prediction.indexAt(time)];
    for (const [id, track] of this.#tracks) {
      const box = boxAt(track, time);
      if (box) this.#draw(context, box.map((side) => side * zoom), id, spoken, [pictureWidth * zoom, pictureHeight * zoom]);
    }
  }

  #draw(context, [left, top, width, height], id, spoken, [right, bottom]) {
    const emotion = spoken ? emotionOf(spoken, id) : null;
    const colour = known.colours[emotion ?? known.uncertain];
    context.lineWidth = 2.5;
    context.setLineDash(emotion === known.uncertain || !emotion ? [5, 4] : []);
    context.strokeStyle = colour;
    context.beginPath();
    context.roundRect(left, top, width, height, 6);
    context.stroke();
    const name = this.prediction.faceName(id ?? "");
    const label = [name, emotion && emotionName(emotion)].filter(Boolean).join(" · ");
    if (!label) return;
    context.font = `600 13px ${inks().family}`;
    const room = context.measureText(label).width + 14;
    const x = Math.max(0, Math.min(left, right - room));
    const y = [top - 26, top + height + 4].find((place) => place >= 0 && place + 22 <= bottom) ?? top + 4;
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(x, y, room, 22, 5);
    context.fill();
    context.fillStyle = inkOn(emotion ?? known.uncertain);
    context.textBaseline = "middle";
    context.fillText(label, x + 7, y + 11.5);
  }
}

/** What a face shows by itself in an utterance; null where it was not judged. */
function emotionOf(spoken, id) {
  if (spoken.face === id) {
    const own = spoken.modalities.visual.probabilities;
    return own ? likeliest(own) : null;
  }
  const face = spoken.faces.find((seen) => seen.id === id);
  return face ? likeliest(face.probabilities) : null;
}

/** The box [left, top, width, height] of a face at a time, between those of the pictures around it. */
function boxAt(track, time) {
  let [low, high] = [0, track.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (track[middle][0] <= time) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [track[low - 1], track[low]];
  if (before && after && after[0] - before[0] <= GAP) {
    const share = (time - before[0]) / (after[0] - before[0]);
    return before.slice(1).map((side, index) => side + share * (after[index + 1] - side));
  }
  const near = [before, after].find((sample) => sample && Math.abs(sample[0] - time) <= REACH);
  return near ? near.slice(1) : null;
}
