// Sound and pictures of this browser to the server, decisions back; a lost connection is resumed.

import { sentence, t } from "./page.js";

const CHUNK = 40; // milliseconds of recording that are sent at a time
const WAITS = [0.3, 0.7, 1.5, 3, 5, 8]; // seconds before each attempt to resume; the server waits 30
const REFUSALS = [1008, 1013]; // codes with which the server closes what it does not take
const FORMATS = {
  video: ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"],
  audio: ["audio/webm;codecs=opus", "audio/webm", "audio/mp4"],
};

/**
 * Sends the events "state" (detail: "connecting", "running", "resuming", "finishing", "ended"), "decision" and
 * "warning" (detail: as the server says them) and "failure" (detail: a sentence).
 */
export class LiveSession extends EventTarget {
  #session = null;
  #since = 0;
  #attempt = 0;
  #isEnding = false;

  constructor(stream, options) {
    super();
    this.stream = stream;
    this.options = options;
    const kind = stream.getVideoTracks().length ? "video" : "audio";
    this.format = FORMATS[kind].find((format) => MediaRecorder.isTypeSupported(format));
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.stop());
  }

  start() {
    if (!this.format) return this.#fail(t("live.no_recorder"));
    this.#connect();
  }

  /** Send what is left, and let the server finish. */
  stop() {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const finish = () => {
      this.#send(JSON.stringify({ type: "stop" }));
      this.#release();
    };
    this.#tell("state", "finishing");
    if (this.recorder?.state === "recording") {
      this.recorder.addEventListener("stop", finish, { once: true });
      this.recorder.stop();
    } else finish();
    if (this.socket?.readyState !== WebSocket.OPEN) this.#end();
  }

  #connect() {
    this.#tell("state", this.#session ? "resuming" : "connecting");
    const address = new URL("/v1/stream", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.addEventListener("open", () => {
      const start = { type: "start", mime: this.format, options: this.options, session: this.#session };
      if (this.#session) start.since = this.#since;
      this.#send(JSON.stringify(start));
    });
    this.socket.addEventListener("message", (event) => this.#heard(JSON.parse(event.data)));
    this.socket.addEventListener("close", ({ code, reason }) => {
      if (REFUSALS.includes(code)) this.#fail(sentence(reason));
      else this.#lost();
    });
  }

  #heard(message) {
    if (message.type === "ready") {
      this.#session = message.session;
      this.#attempt = 0;
      this.#record();
      this.#tell("state", "running");
    } else if (message.type === "decision") {
      this.#since = message.sequence;
      this.#tell("decision", message);
    } else if (message.type === "warning") this.#tell("warning", sentence(message.text));
    else if (message.type === "end") this.#end();
  }

  /** Record from now on; every connection has its own recorder, whose first bytes are a new header. */
  #record() {
    const { socket } = this;
    this.recorder = new MediaRecorder(this.stream, { mimeType: this.format });
    this.recorder.addEventListener("dataavailable", ({ data }) => {
      if (data.size && socket.readyState === WebSocket.OPEN) socket.send(data);
    });
    this.recorder.start(CHUNK);
  }

  #lost() {
    if (this.hasEnded) return;
    if (this.recorder?.state === "recording") this.recorder.stop();
    if (this.#isEnding) return this.#end();
    if (this.#attempt >= WAITS.length) return this.#fail(t("live.lost"));
    this.#tell("state", "resuming");
    setTimeout(() => !this.hasEnded && this.#connect(), 1000 * WAITS[this.#attempt++]);
  }

  #send(data) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(data);
  }

  #fail(problem) {
    if (this.hasEnded) return;
    this.#tell("failure", problem);
    this.#end();
  }

  #end() {
    if (this.hasEnded) return;
    this.hasEnded = true;
    if (this.recorder?.state === "recording") this.recorder.stop();
    this.#release();
    this.socket?.close();
    this.#tell("state", "ended");
  }

  /** Switch camera and microphone off. */
  #release() {
    for (const track of this.stream.getTracks()) track.stop();
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
