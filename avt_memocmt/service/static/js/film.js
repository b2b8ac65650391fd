// The player: one time that all parts of the page follow, and can set.

import { byId, icon, t } from "./page.js";
import { clock } from "./wording.js";

/**
 * Sends "time" whenever the moment changes, while it plays at most once a picture of the screen. It
 * keeps a time of its own where there is nothing to play: a file that the browser cannot, a photo.
 */
export class Film extends EventTarget {
  #still = 0;
  #shown = "";

  constructor(media, duration) {
    super();
    this.media = media;
    this.duration = duration;
    this.canPlay = false;
    media.addEventListener("loadedmetadata", () => {
      this.canPlay = true;
      if (this.#still) media.currentTime = this.#still;
      this.#prepareControls();
    });
    for (const event of ["play", "pause", "ended"]) media.addEventListener(event, () => this.#showState());
    media.addEventListener("seeked", () => this.#tell());
    media.addEventListener("play", () => this.#follow());
    this.#bind();
  }

  get time() {
    return this.canPlay ? this.media.currentTime : this.#still;
  }

  get isPlaying() {
    return this.canPlay && !this.media.paused;
  }

  seek(time) {
    this.#still = Math.min(Math.max(0, time), this.duration);
    if (this.canPlay) this.media.currentTime = this.#still;
    this.#tell();
  }

  toggle() {
    if (!this.canPlay) return;
    if (this.media.paused) this.media.play().catch(() => this.#showState());
    else this.media.pause();
  }

  #follow() {
    this.#tell();
    if (this.isPlaying) requestAnimationFrame(() => this.#follow());
  }

  #tell() {
    const shown = `${clock(this.time)} / ${clock(this.duration)}`;
    if (shown !== this.#shown) byId("clock").textContent = this.#shown = shown;
    this.dispatchEvent(new Event("time"));
  }

  #bind() {
    const { media } = this;
    byId("play").addEventListener("click", () => this.toggle());
    media.addEventListener("click", () => this.toggle());
    byId("speed").addEventListener("change", (event) => (media.playbackRate = Number(event.target.value)));
    byId("mute").addEventListener("click", () => {
      media.muted = !media.muted;
      this.#showState();
    });
    byId("wide").addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else byId("stage").requestFullscreen?.();
    });
    this.#tell();
  }

  #prepareControls() {
    for (const id of ["play", "mute", "speed", "wide"]) byId(id).disabled = false;
    this.#showState();
  }

  #showState() {
    const show = (id, drawing, label) => {
      byId(id).replaceChildren(icon(drawing));
      byId(id).setAttribute("aria-label", label);
      byId(id).title = label;
    };
    if (this.isPlaying) show("play", "pause", t("film.pause"));
    else show("play", "play", t("film.play"));
    if (this.media.muted) show("mute", "mute", t("film.unmute"));
    else show("mute", "sound", t("film.mute"));
  }
}
